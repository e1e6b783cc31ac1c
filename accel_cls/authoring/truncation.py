"""What `data.max_length` cuts off, and what another length or side would keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accel_cls.authoring.findings import Finding
from accel_cls.data.labels import Classes, LabelReader
from accel_cls.recipe.sections.data import Data
from accel_cls.tokenization.encode import Encoded

WHOLE = 1_000_000  # tokens: longer than any text
LENGTHS = (32, 64, 128, 256, 512)
CHARACTER_LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)  # of models whose tokens are characters
_MANY = 0.05  # share of the texts (or, of a class, twice that) from which on cutting is a finding
_MORE = 0.02  # share of their tokens that another side must keep more to be worth telling
_LOOKED_AT = 2000  # cut texts whose words are counted


@dataclass(frozen=True)
class Kept:
    """What a length keeps of the texts."""

    max_length: int
    cut: float  # share of texts that lose tokens
    tokens: float  # share of all tokens that stay
    by_class: tuple[float, ...]  # share of each class's texts that lose tokens


@dataclass(frozen=True)
class Sides:
    """Of the texts that are cut: the share of their different tokens that stays, by the part that is kept."""

    start: float
    end: float
    both: float  # the first quarter of max_length, and the last three quarters


def kept_by_length(
    lengths: np.ndarray,
    labels: np.ndarray,
    classes: Classes,
    reader: LabelReader,
    chosen: int,
    usual: Sequence[int] = LENGTHS,
) -> list[Kept]:
    """What usual lengths, and the chosen one, keep.

    Args:
        lengths: int, tokens of each whole text, special tokens included.
        labels: the encoded label of each text.
        classes: the classes.
        reader: that has encoded the labels.
        chosen: data.max_length.
        usual: the usual lengths.
    """
    counts = np.maximum(reader.class_counts(labels, len(classes)), 1)
    kept = []
    for length in sorted({*usual, chosen}):
        cut = lengths > length
        by_class = reader.class_counts(labels[cut], len(classes)) / counts
        tokens = np.minimum(lengths, length).sum() / lengths.sum()
        kept.append(Kept(length, float(cut.mean()), float(tokens), tuple(map(float, by_class))))
        if not cut.any() and length >= chosen:
            break
    return kept


def kept_by_side(encoded: Encoded, max_length: int) -> Sides | None:
    """What start, end, or both keep of the different tokens of the texts that are cut; None where none is.

    Keeping both ends, a quarter from the start, is what Sun et al., "How to Fine-Tune BERT for Text
    Classification?" (2019), found best.
    """
    cut = np.flatnonzero(encoded.lengths > max_length)
    if not len(cut):
        return None
    sums = np.zeros(3)
    looked_at = cut[:: -(-len(cut) // _LOOKED_AT)]
    head = max_length // 4
    for i in looked_at:
        ids = encoded.ids[encoded.offsets[i] : encoded.offsets[i + 1]]
        parts = (ids[:max_length], ids[-max_length:], np.concatenate([ids[:head], ids[head - max_length :]]))
        sums += [len(np.unique(part)) / len(np.unique(ids)) for part in parts]
    start, end, both = sums / len(looked_at)
    return Sides(float(start), float(end), float(both))


def truncation_findings(kept: Sequence[Kept], sides: Sides | None, data: Data, names: Sequence[str]) -> list[Finding]:
    """A finding where max_length cuts many texts, of all or of one class."""
    chosen = next(k for k in kept if k.max_length == data.max_length)
    worst = max(range(len(names)), key=lambda i: chosen.by_class[i])
    if sides is None or (chosen.cut < _MANY and chosen.by_class[worst] < 2 * _MANY):
        return []
    longer = [k for k in kept if k.max_length > data.max_length]
    enough = next((k for k in longer if k.cut < _MANY), longer[-1] if longer else None)
    advice = []
    if enough is not None and enough.cut < chosen.cut / 2:
        advice.append(f"data.max_length={enough.max_length} cuts {enough.cut:.1%} of the texts")
    other, share = ("start", sides.end) if data.truncate == "end" else ("end", sides.start)
    now = sides.start if data.truncate == "end" else sides.end
    if share > now + _MORE:
        advice.append(
            f"data.truncate={other} keeps {share:.0%} of the cut texts' different tokens instead of {now:.0%} "
            f"(both ends would keep {sides.both:.0%})"
        )
    if not advice:
        advice.append("longer texts than any usual length: divide them, or live with it")
    return [
        Finding(
            "truncation",
            f"data.max_length {data.max_length} cuts {chosen.cut:.1%} of the texts and {1 - chosen.tokens:.1%} of all "
            f"tokens; most of all {names[worst]}, {chosen.by_class[worst]:.1%} of its texts",
            "; ".join(advice),
        )
    ]


def unknown_findings(encoded: Encoded, unknown_id: int | None) -> list[Finding]:
    """A finding where the tokenizer does not know much of what it reads."""
    share = float((encoded.ids == unknown_id).mean()) if unknown_id is not None else 0.0
    if share < _MANY:
        return []
    return [
        Finding(
            "unknown-tokens",
            f"{share:.1%} of the tokens are unknown to the model's tokenizer",
            "choose a model that was trained on this script and language",
        )
    ]
