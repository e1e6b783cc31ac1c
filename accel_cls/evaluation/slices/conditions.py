"""Conditions by which labelled rows are told apart: how long a text is, where it comes from, what a column says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_BINS = 4  # of numbers, as equally large as their values allow
_MOST_VALUES = 20  # of a column that are told apart, the most frequent ones
_FEW_NUMBERS = 10  # so many different numbers, or fewer, are values and no amounts
CLASS = "class"


@dataclass(frozen=True)
class Condition:
    """Some of the rows, and by what they are told from the others."""

    by: str  # "length", "file", "class", "truncation" or a column's name
    value: str
    rows: np.ndarray  # bool [rows]

    def __str__(self) -> str:
        return f"{self.by} {self.value}"

    @property
    def is_known_before(self) -> bool:
        """Whether it is known of a text that nobody has labelled yet."""
        return self.by != CLASS


def by_length(columns: Sequence[Sequence[str]]) -> Iterator[Condition]:
    """By characters, in quarters of the rows; of pairs both texts' together."""
    lengths = np.array([sum(map(len, cells)) for cells in zip(*columns, strict=True)], np.float64)
    yield from _binned("length", lengths, "characters")


def by_file(rows: Sequence[str]) -> Iterator[Condition]:
    """By the file that a row stands in, where there are several; a row is "file.csv:17"."""
    yield from _by_value("file", [row.rpartition(":")[0] for row in rows])


def by_truncation(is_cut: np.ndarray) -> Iterator[Condition]:
    """By whether a text was cut to the length that the model takes, bool [rows]."""
    if is_cut.any() and not is_cut.all():
        yield Condition("truncation", "cut", is_cut)
        yield Condition("truncation", "whole", ~is_cut)


def by_class(classes: Sequence[Sequence[int]], names: Sequence[str]) -> Iterator[Condition]:
    """By the classes that each row has; of these it may have several."""
    for i, name in enumerate(names):
        rows = np.array([i in own for own in classes], bool)
        if rows.any() and not rows.all():
            yield Condition(CLASS, name, rows)


def by_column(name: str, cells: Sequence[str]) -> Iterator[Condition]:
    """By a column: numbers in quarters of the rows, all else by its most frequent values; "" is a missing value."""
    cells = [cell.strip() for cell in cells]
    name = f"column {name}" if name in ("length", "file", CLASS, "truncation") else name
    numbers = _numbers(cells)
    if numbers is None:
        yield from _by_value(name, cells)
        return
    yield from _binned(name, numbers, "")
    if (missing := np.isnan(numbers)).any():
        yield Condition(name, "missing", missing)


def _numbers(cells: Sequence[str]) -> np.ndarray | None:
    """Cells as numbers, a missing one as nan; None where they are others, or so few that they are values."""
    try:
        numbers = np.array([float(cell) if cell else math.nan for cell in cells])
    except ValueError:
        return None
    known = numbers[~np.isnan(numbers)]
    return numbers if np.isfinite(known).all() and len(np.unique(known)) > _FEW_NUMBERS else None


def _binned(by: str, numbers: np.ndarray, unit: str) -> Iterator[Condition]:
    """Numbers between their quartiles; fewer parts where many are equal. Those that are nan are in none."""
    known = numbers[~np.isnan(numbers)]
    shares = np.arange(1, _BINS) / _BINS
    uppers = np.unique([*np.quantile(known, shares, method="inverted_cdf"), known.max()])
    lower = -math.inf
    for upper in uppers if len(uppers) > 1 else ():
        rows = (numbers > lower) & (numbers <= upper)
        found = numbers[rows]
        yield Condition(by, f"{found.min():g} to {found.max():g} {unit}".rstrip(), rows)
        lower = upper


def _by_value(by: str, cells: Sequence[str]) -> Iterator[Condition]:
    """The most frequent values, and all others together."""
    counts = Counter(cells)
    if len(counts) < 2:
        return
    array = np.array(cells, object)
    kept = [value for value, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:_MOST_VALUES]]
    for value in kept:
        yield Condition(by, value or "missing", array == value)
    others = ~np.isin(array, kept)
    if others.any():
        yield Condition(by, f"one of {len(counts) - len(kept):,} others", others)
