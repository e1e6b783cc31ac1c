"""Intervals as short bars in a column of a table, over an axis that its rows have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accel_cls.reporting.html.plots import short, ticks

WIDTH = 160  # of a bar's own coordinates


@dataclass(frozen=True)
class Span:
    """An interval, and where its middle lies."""

    low: float
    high: float
    at: float


@dataclass(frozen=True)
class Spans:
    """Intervals in a column."""

    spans: tuple[Span, ...]
    first: str  # what the axis begins with
    last: str
    guide: float | None  # a value of all rows together, as a line through each
    width: int = WIDTH


def spans(
    values: Sequence[tuple[float, float, float]], guide: float | None = None, ends: tuple[float, float] | None = None
) -> Spans:
    """Lay out intervals.

    Args:
        values: of each row the value, and the interval's ends.
        guide: a value that all are seen beside.
        ends: of the axis; None: as far as the values go.
    """
    if ends is None:
        known = [*(one for value in values for one in value), *([] if guide is None else [guide])]
        axis = ticks(min(known), max(known))
        ends = axis[0], axis[-1]
    first, last = ends

    def at(value: float) -> float:
        share = (value - first) / (last - first)
        return round(4 + min(1.0, max(0.0, share)) * (WIDTH - 8), 1)

    found = tuple(Span(at(low), at(high), at(value)) for value, low, high in values)
    return Spans(found, short(first), short(last), None if guide is None else at(guide))
