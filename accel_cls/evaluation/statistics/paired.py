"""Two models on the same rows: how far they are apart, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from accel_cls.evaluation.statistics.resampling import Z, regroup, standard_error, sums_of_groups, swaps

_FLIPS = 10_000
_MOST_COINS = 100_000_000  # to flip, where there are very many rows
_FEWEST_FLIPS = 1000
_FEW = 13  # groups that differ: all 8,192 ways to flip them are tried
_ROUNDING = 1e-9  # two sums that differ by less are equal


@dataclass(frozen=True)
class PairedDifference:
    """By how much the first one is better than the second."""

    difference: float  # of the two means
    low: float  # 95% interval of the difference
    high: float
    p: float  # of a test of no difference
    standard_error: float  # of the difference; 0 where no row tells the two apart


def paired_difference(first: np.ndarray, second: np.ndarray, groups: np.ndarray | None = None) -> PairedDifference:
    """Compare what two models are worth on each row.

    Whether rows are right: only those tell that one has right and the other wrong. The interval is Bonett and Price's
    adjusted one (2012), good for few of these, too; the test McNemar's, with its exact mid-p. Where groups have
    several rows, counts are divided by the design effect for the interval, and the test flips the signs of groups.
    Numbers: the interval is the jackknife's, the test flips signs.

    Args:
        first: of one model, bool or float64 [rows], more is better.
        second: of the other one.
        groups: int [rows], those of identical texts have the same; None: each row is one.
    """
    apart = first.astype(np.float64) - second.astype(np.float64)
    groups = np.arange(len(apart)) if groups is None else regroup(groups)
    sums: np.ndarray = np.asarray(sums_of_groups(np.stack([apart, np.ones(len(apart))], axis=1), groups))
    total, rows = sums.sum(axis=0)
    difference = total / rows
    left_out = (total - sums[:, 0]) / np.maximum(rows - sums[:, 1], 1)
    error = standard_error(left_out)
    if first.dtype == np.bool_:
        design = max(1.0, error**2 * (rows - 1) / apart.var()) if len(sums) < rows and error else 1.0
        low, high = _bonett_price((apart > 0).sum() / design, (apart < 0).sum() / design, rows / design)
    else:
        low, high = difference - Z * error, difference + Z * error
    return PairedDifference(float(difference), float(low), float(high), _sign_flip_p(sums[:, 0]), error)


def _bonett_price(won: float, lost: float, rows: float) -> tuple[float, float]:
    """The interval of the difference of two shares of the same rows."""
    share_won, share_lost = (won + 1) / (rows + 2), (lost + 1) / (rows + 2)
    center = share_won - share_lost
    margin = Z * sqrt((share_won + share_lost - center**2) / (rows + 2))
    return max(-1.0, center - margin), min(1.0, center + margin)


def _sign_flip_p(apart: np.ndarray) -> float:
    """Whether differences, float64 [groups], are as often for the one as for the other: the mid-p, of two sides.

    What is as far apart as what was seen counts half: where sums are few, an exact test of 5% would reject 3%.
    """
    apart = apart[apart != 0]
    if not len(apart):
        return 1.0
    size = np.abs(apart)
    if (size == size[0]).all():
        return _mcnemar((apart > 0).sum(), (apart < 0).sum())
    seen = abs(apart.sum())
    if len(apart) <= _FEW:
        ways = np.arange(2 ** len(apart))[:, None] >> np.arange(len(apart)) & 1
        return mid_p(np.abs((2 * ways - 1) @ size), seen)
    flips = int(np.clip(_MOST_COINS // len(apart), _FEWEST_FLIPS, _FLIPS))
    drawn = [np.abs(2 * (flipped @ size) - size.sum()) for flipped in swaps(len(apart), flips)]
    return mid_p(np.concatenate([*drawn, [seen]]), seen)  # what was seen is one of the ways


def _mcnemar(won: int, lost: int) -> float:
    from scipy.stats import binom  # slow to import

    less, count = min(won, lost), won + lost
    seen = binom.pmf(less, count, 0.5)  # on each side
    return float(1 - seen / 2 if won == lost else 2 * binom.cdf(less, count, 0.5) - seen)


def mid_p(drawn: np.ndarray, seen: float) -> float:
    """The share of distances, float64 [any], that are greater than what was seen, and half of those as great.

    1 where there is no distance at all.
    """
    if (drawn <= _ROUNDING).all():
        return 1.0
    greater = (drawn > seen + _ROUNDING).mean()
    return float(greater + (drawn >= seen - _ROUNDING).mean()) / 2


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjustment (1979) of several tests' p: that one of them sees what is not there stays as unlikely."""
    adjusted, most = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=lambda at: ps[at])):
        most = max(most, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = most
    return adjusted
