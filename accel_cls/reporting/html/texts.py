"""What the texts were: how many, of which classes, how many were cut, which were left out."""

from __future__ import annotations

from dataclasses import dataclass

from accel_cls.reporting.augmentation import describe_augmentation
from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html.plots import Bars, bars
from accel_cls.reporting.long_texts import how_cut
from accel_cls.reporting.markdown import describe_dropped

_MOST_BARS = 30  # classes; of more, the largest and the smallest


@dataclass(frozen=True)
class PartRow:
    """How many texts a part has, and of these how many were cut."""

    name: str
    rows: int
    truncated: int | None


@dataclass(frozen=True)
class TextFacts:
    """See `content`."""

    sources: tuple[tuple[str, str], ...]  # keys of the recipe's data, and what they say
    parts: tuple[PartRow, ...]
    max_length: int
    longer: str  # what becomes of longer texts
    mean: float | None  # tokens; None in runs of older versions
    most: int | None  # that 95% of the training texts stay within
    augmentation: str | None  # what was learned besides
    dropped: tuple[str, ...]
    counts: Bars | None  # training examples of each class
    unshown: int  # classes between the largest and the smallest


def content(facts: Facts) -> TextFacts:
    """Of the recipe and results.json."""
    data, texts, rows = facts.recipe.data, facts.results.get("texts", {}), facts.results["rows"]
    tokens, cut = texts.get("tokens", {}), texts.get("truncated", {})
    parts = tuple(
        PartRow(part, rows[part], cut.get(part)) for part in ("training", "validation", "test") if part in rows
    )
    sources = [("train", data.train), ("validation", data.validation), ("test", data.test)]
    counts = sorted(
        zip(facts.names, texts.get("classes", {}).get("training", []), strict=False), key=lambda one: -one[1]
    )
    unshown = max(0, len(counts) - _MOST_BARS)
    if unshown:
        counts = counts[: _MOST_BARS // 2] + counts[-_MOST_BARS // 2 :]
    drawn = bars("training examples of each class", counts) if counts else None
    return TextFacts(
        tuple((key, _source(value)) for key, value in sources if value is not None),
        parts,
        data.max_length,
        how_cut(data),
        tokens.get("mean"),
        tokens.get("95%"),
        describe_augmentation(facts.results),
        tuple(describe_dropped(facts.results)),
        drawn,
        unshown,
    )


def _source(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g} of the training file, by class"
    return ", ".join(value) if isinstance(value, list) else str(value)
