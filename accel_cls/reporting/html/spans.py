"""Intervals as short bars in a column of a table, over an axis that its rows have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accel_cls.reporting.html.plots import short, ticks

_WIDTH = 160  # pixels


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
    width: int


def spans(
    values: Sequence[tuple[float, float, float]],
    guide: float | None = None,
    from_zero: bool = False,
    written: Callable[[float], str] = short,
    width: int = _WIDTH,
) -> Spans:
    """Lay out intervals.

    Args:
        values: of each row the value, and the interval's ends.
        guide: a value that all are seen beside.
        from_zero: whether the axis begins at 0.
        written: a number at its ends.
        width: of the column, in pixels.
    """
    known = [*(one for value in values for one in value), *([] if guide is None else [guide]), *[0.0] * from_zero]
    first, *_, last = ticks(min(known), max(known))

    def at(value: float) -> float:
        share = (value - first) / (last - first)
        return round(4 + share * (width - 8), 1)

    found = tuple(Span(at(low), at(high), at(value)) for value, low, high in values)
    return Spans(found, written(first), written(last), None if guide is None else at(guide), width)
