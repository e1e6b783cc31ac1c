"""What a finished run says of the texts that its encoder was pre-trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accel_cls.data.corpus import Corpus
from accel_cls.recipe import Recipe
from accel_cls.runs.pretrained import count_learned, read_pretrained


def pretraining_results(recipe: Recipe, corpus: Corpus) -> dict[str, Any] | None:
    """Of results.json: what the encoder has read before, and how many judged texts; None where nobody here knows.

    Raises:
        UserError: where what lies beside the encoder is damaged.
    """
    folder = None if recipe.model.name is None else Path(recipe.model.name)
    known = None if folder is None else read_pretrained(folder)
    if folder is None or known is None:
        return None
    return {
        "name": known.name,
        "texts": known.texts,
        "perplexity": known.perplexity,
        "judged_texts_learned": {part: count_learned(folder, of) for part, of in corpus.judged.items()},
    }


def describe_pretraining(results: dict[str, Any]) -> str | None:
    """What the encoder was pre-trained on, from a results.json, in a sentence; None where nothing is known of it."""
    known = results.get("pretraining")
    if not known:  # not there in runs of older versions
        return None
    held_out = f"perplexity {known['perplexity']:.2f} on texts held out"
    counts = known["judged_texts_learned"]
    among = " and ".join(f"{count:,} of the {part} texts" for part, count in counts.items() if count)
    judged = (
        f"{among}, without their labels, were among them" if among else "none of the texts judged here was among them"
    )
    return f"Pre-trained before on {known['texts']:,} texts ({known['name']}; {held_out}); {judged}"


def read_beforehand(known: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    """What is to be known of an encoder that has read judged texts, and what to do about it.

    Args:
        known: see `pretraining_results`.
    """
    counts = known["judged_texts_learned"] if known else {}
    if any(counts.values()):
        told = " and ".join(f"{count:,} of the {part} texts" for part, count in counts.items() if count)
        what = f"the encoder was pre-trained on {told}, without their labels: scores on texts to come may be lower"
        yield what, "pre-train with pretrain.judged: false and the same data, or judge by other texts"
