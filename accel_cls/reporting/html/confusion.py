"""What is taken for what: the confusion matrix as a heat map, and the pairs that are confused most."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accel_cls.reporting.facts import Facts

_LEVELS = 8  # of colour
_MOST_PAIRS = 15
_FEW = 24  # classes, up to which cells are large


@dataclass(frozen=True)
class Cell:
    """How many of one class were predicted to be of another."""

    count: int
    style: str  # the CSS class: "r1" … right, "w1" … wrong; "" for none


@dataclass(frozen=True)
class Pair:
    """Examples of one class that were taken for another."""

    true: str
    predicted: str
    count: int
    share: float  # of the examples of the true class


@dataclass(frozen=True)
class Confusion:
    """See `content`."""

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]  # the true classes
    pairs: tuple[Pair, ...]
    is_large: bool


def content(facts: Facts) -> Confusion | None:
    """Of tasks with one class a text; None for others."""
    counts: list[list[int]] | None = facts.results.get("confusion")
    if not counts:
        return None
    names = facts.names
    rows = tuple(tuple(_cell(n, sum(row), i == j) for j, n in enumerate(row)) for i, row in enumerate(counts))
    return Confusion(tuple(names), rows, tuple(_pairs(names, counts)), len(names) > _FEW)


def _cell(count: int, examples: int, is_right: bool) -> Cell:
    if not count:
        return Cell(0, "")
    # By the root of the share: one in a hundred is still seen beside nine in ten.
    level = max(1, math.ceil(_LEVELS * math.sqrt(count / examples)))
    return Cell(count, f"{'r' if is_right else 'w'}{level}")


def _pairs(names: list[str], counts: list[list[int]]) -> list[Pair]:
    found = [
        Pair(names[i], names[j], n, n / sum(row))
        for i, row in enumerate(counts)
        for j, n in enumerate(row)
        if n and i != j
    ]
    return sorted(found, key=lambda pair: -pair.count)[:_MOST_PAIRS]
