"""Where is it worse: the score by length, file, class and columns, and the worst parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html.spans import Span, Spans, spans
from accel_cls.reporting.slices import MINUS_ERROR, worst_in_words


@dataclass(frozen=True)
class SliceRow:
    """Some rows that have something in common."""

    by: str  # "length"
    value: str  # "5 to 12 characters"
    rows: int
    score: float
    low: float  # 95% interval
    high: float
    difference: float  # to the mean of all other rows
    p: float  # of this one alone
    span: Span


@dataclass(frozen=True)
class PartSlices:
    """The slices of a part."""

    part: str
    rows: int
    mean: float
    worst: tuple[str, ...]  # a sentence each
    looked_at: int
    least_rows: int
    table: tuple[SliceRow, ...]
    axis: Spans


@dataclass(frozen=True)
class Slices:
    """See `content`."""

    score: str
    parts: tuple[PartSlices, ...]


def content(facts: Facts) -> Slices | None:
    """None of runs of older versions, and where rows have nothing by which they are told apart."""
    found: dict[str, dict[str, Any]] = facts.results.get("slices") or {}
    parts = tuple(_part(part, slices) for part, slices in found.items() if slices["single"])
    if not parts:
        return None
    is_error = next(iter(found.values()))["score"] == MINUS_ERROR
    return Slices("mean absolute error" if is_error else "accuracy", parts)


def _part(part: str, slices: dict[str, Any]) -> PartSlices:
    # As people say it: an error is no negative number, and more of it is worse.
    sign = -1 if slices["score"] == MINUS_ERROR else 1
    values = [_value(one, sign) for one in slices["single"]]
    axis = spans(values, sign * slices["mean"])
    rows = []
    for one, value, span in zip(slices["single"], values, axis.spans, strict=True):
        ((by, name),) = one["where"]
        rows.append(SliceRow(by, name, one["rows"], *value, sign * one["difference"], one["p"], span))
    worst = tuple(worst_in_words(slices))
    looked_at, least = slices["looked_at"], slices["least_rows"]
    return PartSlices(part, slices["rows"], sign * slices["mean"], worst, looked_at, least, tuple(rows), axis)


def _value(one: dict[str, Any], sign: int) -> tuple[float, float, float]:
    """The score, and its interval's ends."""
    low, high = sorted(sign * end for end in one["interval"])
    return sign * one["score"], low, high
