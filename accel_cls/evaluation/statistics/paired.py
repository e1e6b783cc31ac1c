"""Two models on the same rows: how far they are apart, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np

from accel_cls.evaluation.statistics.resampling import Z, regroup, standard_error, sums_of_groups, swaps

_FLIPS = 10_000
_MOST_COINS = 100_000_000  # to flip, where there are very many rows
_FEWEST_FLIPS = 1000
_FEW = 13  # groups that differ: all 8,192 ways to flip them are tried
_NEAR = 1e-12  # ends of intervals
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

    Whether rows are right: only those tell that one has right and the other wrong. The interval is Tango's (1998), of
    score tests, and the test McNemar's, which is the score test of no difference: p is under 0.05 just where the
    interval leaves out 0. Where groups have several rows, counts are divided by the design effect. Numbers: the
    interval is the jackknife's, the test flips the signs of groups.

    Args:
        first: of one model, bool or float64 [rows], more is better.
        second: of the other one.
        groups: int [rows], those of identical texts have the same; None: each row is one.
    """
    apart = first.astype(np.float64) - second.astype(np.float64)
    groups = np.arange(len(apart)) if groups is None else regroup(groups)
    sums: np.ndarray = np.asarray(sums_of_groups(np.stack([apart, np.ones(len(apart))], axis=1), groups))
    total, rows = sums.sum(axis=0)
    left_out = (total - sums[:, 0]) / np.maximum(rows - sums[:, 1], 1)
    error = standard_error(left_out)
    difference = float(total / rows)
    if first.dtype == np.bool_:
        design = _design_effect(apart, sums)
        won, lost, rows = (float(count / design) for count in ((apart > 0).sum(), (apart < 0).sum(), rows))
        return PairedDifference(difference, *score_interval(won, lost, rows), _mcnemar(won, lost), error)
    low, high = difference - Z * error, difference + Z * error
    return PairedDifference(difference, float(low), float(high), _sign_flip_p(sums[:, 0]), error)


def _design_effect(apart: np.ndarray, sums: np.ndarray) -> float:
    """By how much copies of texts make a difference less sure than as many different rows would.

    Args:
        apart: of each row, 1, 0 or -1.
        sums: of each group what its rows are apart, and how many these are, float64 [groups, 2].
    """
    differing = np.abs(apart).sum()
    if not differing:  # nothing tells how alike the rows of a group are: as alike as can be, then
        return float(np.square(sums[:, 1]).sum() / sums[:, 1].sum())
    return max(1.0, float(np.square(sums[:, 0]).sum() / differing))


def score_interval(won: float, lost: float, rows: float) -> tuple[float, float]:
    """Tango's interval of the difference of two shares of the same rows: what a score test would not reject.

    Args:
        won: rows, or parts of such, that only the first has right.
        lost: that only the second has.
        rows: in all.
    """
    return -_furthest(lost, won, rows), _furthest(won, lost, rows)


def _furthest(won: float, lost: float, rows: float) -> float:
    """The greatest difference, to within 1e-12, that the test would not reject."""
    near, far = (won - lost) / rows, 1.0
    while far - near > _NEAR:
        middle = (near + far) / 2
        near, far = (near, middle) if _is_rejected(middle, won, lost, rows) else (middle, far)
    return near


def _is_rejected(difference: float, won: float, lost: float, rows: float) -> bool:
    """Whether the score test of a difference rejects it, with what the rows say most likely of the rest."""
    linear = (2 * rows - won + lost) * difference - won - lost
    constant = -lost * difference * (1 - difference)
    only_second = (sqrt(max(0.0, linear**2 - 8 * rows * constant)) - linear) / (4 * rows)
    variance = rows * (2 * only_second + difference * (1 - difference))
    return (won - lost - rows * difference) ** 2 > Z**2 * variance


def _mcnemar(won: float, lost: float) -> float:
    """Without a correction for continuity, which rejects 1 to 4% of true nulls where 5 are meant."""
    return erfc(abs(won - lost) / sqrt(2 * (won + lost))) if won + lost else 1.0


def _sign_flip_p(apart: np.ndarray) -> float:
    """Whether differences, float64 [groups], are as often for the one as for the other: the mid-p, of two sides.

    What is as far apart as what was seen counts half: where sums are few, an exact test of 5% would reject 3%.
    """
    apart = apart[apart != 0]
    if not len(apart):
        return 1.0
    size, seen = np.abs(apart), abs(apart.sum())
    if len(apart) <= _FEW:
        ways = np.arange(2 ** len(apart))[:, None] >> np.arange(len(apart)) & 1
        return mid_p(np.abs((2 * ways - 1) @ size), seen)
    flips = int(np.clip(_MOST_COINS // len(apart), _FEWEST_FLIPS, _FLIPS))
    drawn = [np.abs(2 * (flipped @ size) - size.sum()) for flipped in swaps(len(apart), flips)]
    return mid_p(np.concatenate([*drawn, [seen]]), seen)  # what was seen is one of the ways


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
