"""What some rows can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from accel_cls.evaluation.statistics.paired import PairedDifference

_BOTH_ENDS = 1.959964 + 0.841621  # of a normal distribution: a test of 5%, two-sided, with a power of 80%


@dataclass(frozen=True)
class Resolution:
    """How great a difference has to be for rows to show it: with a power of 80%, by a test of 5%."""

    rows: int
    differing: int  # those that tell two models apart
    difference: float  # that is seen: of what rows are worth
    smallest: float | None  # that they can tell apart; None where no row differs
    more_rows: int | None  # of the same kind, that it takes to tell what is seen; None where that is nothing


def resolution(found: PairedDifference, first: np.ndarray, second: np.ndarray) -> Resolution:
    """By how often two models differ on these rows.

    The standard error, which shrinks with the root of the rows, is that of the difference that was seen.

    Args:
        found: their difference.
        first: what one model is worth on each row, as `paired_difference` takes it.
        second: likewise of the other one.
    """
    rows, differing = len(first), int((first != second).sum())
    if not differing:
        return Resolution(rows, 0, 0.0, None, None)
    smallest = _BOTH_ENDS * found.standard_error
    needed = rows * (smallest / abs(found.difference)) ** 2 if found.difference else None
    more = None if needed is None else max(0, ceil(needed) - rows)
    return Resolution(rows, differing, found.difference, smallest, more)
