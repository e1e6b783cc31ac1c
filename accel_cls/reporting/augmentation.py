"""What is said of the changed copies that a training learns, before it and afterwards."""

from __future__ import annotations

from typing import Any

from accel_cls.data.changed import count_unchanged
from accel_cls.data.corpus import Corpus
from accel_cls.errors import shown
from accel_cls.recipe import Recipe

_SHOWN = 3  # texts before and after
_LONG = 120  # characters of each


def augmentation_results(recipe: Recipe, corpus: Corpus) -> dict[str, Any] | None:
    """Of results.json: how many copies, by which edits, how many are like their texts, examples; None without any."""
    augment, changed = recipe.augment, corpus.changed
    if augment is None or changed is None:
        return None
    before, after = (part.texts[: len(corpus.train)] for part in (corpus.train, changed))
    pairs = [pair for name in before for pair in zip(before[name], after[name], strict=True)]
    return {
        "copies": len(changed),
        "edits": [*augment.edits],
        "share": augment.share,
        "unchanged": count_unchanged(corpus.train, changed),
        "examples": [[shown(text, _LONG) for text in pair] for pair in pairs if pair[0] != pair[1]][:_SHOWN],
    }


def describe_augmentation(results: dict[str, Any]) -> str | None:
    """What a run has learned besides its texts, from its results.json, in sentences; None where that is nothing."""
    found = results.get("augmentation")
    if not found:  # not there in runs of older versions
        return None
    said = f"Learned with {in_words(found)}"
    examples = "; ".join(f"“{text}” → “{copy}”" for text, copy in found["examples"])
    return f"{said}. For example {examples}" if examples else said


def in_words(found: dict[str, Any]) -> str:
    """How many copies there are, and how they differ from their texts."""
    edits, share = " or ".join(found["edits"]), found["share"]
    said = f"{found['copies']:,} changed copies of the training texts, each by {edits} of {share:.0%}"
    unchanged = found["unchanged"]
    return f"{said}; {unchanged:,} are like their texts, where nothing can be changed so" if unchanged else said
