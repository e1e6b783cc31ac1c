"""What `data.max_length` cuts off, and what another length or side would keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from accel_cls.authoring.findings import Finding
from accel_cls.data.labels import Classes, LabelReader
from accel_cls.recipe.sections.data import Data, Windows
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.encoded import Encoded

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
class Choice:
    """What a way to read long texts keeps of those that are longer than data.max_length."""

    name: str  # "end", "start" or "middle", which are cut off; "windows"
    is_chosen: bool  # by the recipe
    tokens: float  # share of their tokens that is read
    different: float  # share of their different tokens, on average
    passes: float  # rows that go through the model for each of them


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


def kept_by_choice(encoded: Encoded, data: Data) -> list[Choice]:
    """What each way to read long texts would keep of those that are cut; none where none is.

    Args:
        encoded: whole texts. Special tokens count as any others: two of a hundred or more.
        data: the recipe's section; its windows, or the usual ones, are looked at beside the three ways to cut.
    """
    long = np.flatnonzero(encoded.lengths > data.max_length)
    if not len(long):
        return []
    looked_at = long[:: -(-len(long) // _LOOKED_AT)]
    plain = Cutting(data.max_length, head_tokens=data.head_tokens)
    windows = data.windows or Windows(overlap=min(Windows().overlap, data.max_length // 4))
    ways = {way: replace(plain, truncate=way) for way in ("end", "start", "middle")}
    if isinstance(data.text, str):
        ways["windows"] = replace(plain, truncate=data.truncate, windows=windows)
    chosen = "windows" if data.windows is not None else data.truncate
    lengths, different = encoded.lengths[looked_at], dict.fromkeys(ways, 0.0)
    for i in looked_at:
        ids = encoded.ids[encoded.offsets[i] : encoded.offsets[i + 1]]
        whole = len(np.unique(ids))
        for name, cutting in ways.items():
            different[name] += len(np.unique(cutting.kept(ids, cutting.room(0), 0))) / whole
    choices = []
    for name, cutting in ways.items():
        tokens = np.minimum(lengths, cutting.room(0)).sum() / lengths.sum()
        rows = cutting.sizes(lengths, 0)[1]
        passes = 1.0 if rows is None else float(rows.mean())
        choices.append(Choice(name, name == chosen, float(tokens), different[name] / len(looked_at), passes))
    return choices


def truncation_findings(
    kept: Sequence[Kept], choices: Sequence[Choice], data: Data, names: Sequence[str]
) -> list[Finding]:
    """A finding where max_length cuts many texts, of all or of one class, and windows don't read them."""
    chosen = next(k for k in kept if k.max_length == data.max_length)
    worst = max(range(len(names)), key=lambda i: chosen.by_class[i])
    now = next((choice for choice in choices if choice.is_chosen), None)
    if data.windows is not None:
        return _windows_findings(now, data, data.windows)
    if now is None or (chosen.cut < _MANY and chosen.by_class[worst] < 2 * _MANY):
        return []
    longer = [k for k in kept if k.max_length > data.max_length]
    enough = next((k for k in longer if k.cut < _MANY), longer[-1] if longer else None)
    advice = []
    if enough is not None and enough.cut < chosen.cut / 2:
        advice.append(f"data.max_length={enough.max_length} cuts {enough.cut:.1%} of the texts")
    cuts = [choice for choice in choices if choice.name != "windows"]
    best = max(cuts, key=lambda choice: choice.different)
    if best.different > now.different + _MORE:
        advice.append(
            f"data.truncate={best.name} keeps {best.different:.0%} of the cut texts' different tokens instead of "
            f"{now.different:.0%}"
        )
    if not advice:
        advice.append("longer texts than any usual length: data.windows reads them in parts, or live with it")
    return [
        Finding(
            "truncation",
            f"data.max_length {data.max_length} cuts {chosen.cut:.1%} of the texts and {1 - chosen.tokens:.1%} of all "
            f"tokens; most of all {names[worst]}, {chosen.by_class[worst]:.1%} of its texts",
            "; ".join(advice),
        )
    ]


def _windows_findings(now: Choice | None, data: Data, windows: Windows) -> list[Finding]:
    if now is None or 1 - now.tokens < _MANY:
        return []
    return [
        Finding(
            "truncation",
            f"{windows.most} windows of {data.max_length} tokens leave {1 - now.tokens:.1%} of the tokens of longer "
            "texts unread",
            "a larger data.windows.most, or a larger data.max_length",
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
