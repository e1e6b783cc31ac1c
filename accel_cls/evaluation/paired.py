"""Two classifiers on the same rows: how far they are apart, and whether that may be chance."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

_Z = 1.959964  # of a normal distribution, between whose minus and plus 95% lie


@dataclass(frozen=True)
class PairedDifference:
    """By how much the first one is more often right than the second."""

    difference: float  # of the two accuracies
    low: float  # 95% interval of the difference
    high: float
    p: float  # McNemar's exact test of no difference


def paired_difference(first: np.ndarray, second: np.ndarray) -> PairedDifference:
    """Compare what two classifiers have right, bool [rows] each.

    Only rows that one has right and the other wrong tell. The interval is Bonett and Price's adjusted one (2012), good
    for few of these, too; the test is McNemar's, exact.
    """
    from scipy.stats import binomtest  # slow to import, and needed once a run

    count = len(first)
    won, lost = int((first & ~second).sum()), int((~first & second).sum())
    share_won, share_lost = (won + 1) / (count + 2), (lost + 1) / (count + 2)
    center = share_won - share_lost
    margin = _Z * sqrt((share_won + share_lost - center**2) / (count + 2))
    p = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return PairedDifference((won - lost) / count, max(-1.0, center - margin), min(1.0, center + margin), p)
