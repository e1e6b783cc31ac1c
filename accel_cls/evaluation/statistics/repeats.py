"""Several trainings of one recipe: their mean, how far they differ by chance, and which of them has gone wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

_FAR = 3.0  # times what chance makes of a score: so far below the others' median one has gone wrong
_MAD = 1.4826  # of a normal distribution, its standard deviation in median absolute deviations


@dataclass(frozen=True)
class Mean:
    """The mean of a score over runs."""

    mean: float
    sd: float  # of one run's score, with n - 1
    low: float  # 95% interval of the mean, by Student's t: of as many runs as one would like to make
    high: float


@dataclass(frozen=True)
class Spread:
    """Where the differences of a score come from, as standard deviations of one run's score.

    The scores of runs on the same rows vary by `seeds`. A run on another sample of as many rows would vary by `rows`.
    `seeds_alone` is what of the first would be left with endless rows: what the seed makes of the model as such.
    """

    seeds: float
    rows: float
    seeds_alone: float

    @property
    def share_of_seeds(self) -> float:
        """Which part of the variance of a new run's score on new rows the seeds make; 0 where nothing varies."""
        whole = self.seeds_alone**2 + self.rows**2
        return self.seeds_alone**2 / whole if whole else 0.0


def mean_of(scores: Sequence[float]) -> Mean:
    """The mean of two or more runs' scores."""
    from scipy.stats import t  # slow to import, and needed once a run

    count = len(scores)
    mean, sd = float(np.mean(scores)), float(np.std(scores, ddof=1))
    margin = float(t.ppf(0.975, count - 1)) * sd / sqrt(count)
    return Mean(mean, sd, mean - margin, mean + margin)


def deviation_of_mean(values: np.ndarray, groups: np.ndarray) -> float:
    """The standard error of the mean of what each row is worth, where groups of rows are drawn together.

    Args:
        values: float64 [rows].
        groups: a number for each row, int64 [rows], from 0 on; see `Answers.groups`.
    """
    sums = np.bincount(groups, values - values.mean())
    count = len(sums)
    return sqrt(float(np.square(sums).sum()) * count / max(1, count - 1)) / len(values)


def spread_of(values: np.ndarray, groups: np.ndarray) -> Spread:
    """Tell the noise of seeds from that of the rows, for runs that have answered the same rows.

    The model is that of a two-way analysis of variance without replication: row + seed + what is left. What is left,
    whose runs disagree on single rows, is part of either noise; a score's seed effect alone is estimated by
    subtracting it, as usual, and is 0 where that leaves less than nothing.

    Args:
        values: what each row is worth in each run, such as
            1 where it is right: float64 [runs, rows], of two runs or more.
        groups: as for `deviation_of_mean`.
    """
    runs = len(values)
    scores = values.mean(1)
    left = values - values.mean(0) - scores[:, None] + values.mean()
    rows = np.mean([deviation_of_mean(one, groups) ** 2 for one in values])
    interaction = sum(deviation_of_mean(one, groups) ** 2 for one in left) / (runs - 1)
    seeds = float(scores.var(ddof=1))
    return Spread(sqrt(seeds), sqrt(float(rows)), sqrt(max(0.0, seeds - interaction)))


def far_below(scores: Sequence[float], deviations: Sequence[float]) -> list[float]:
    """How far each run's score lies below all runs' median where that is no chance any more; else 0.

    That is three times what another sample of the rows would move it by, or three times the usual distance of the runs
    from their median (scaled to a standard deviation), whichever is more. Of two runs none is told from the other.

    Args:
        scores: of the runs, more is better.
        deviations: their standard errors, see `deviation_of_mean`.
    """
    values = np.asarray(scores)
    below = np.median(values) - values
    usual = _MAD * float(np.median(np.abs(below)))
    limits = _FAR * np.maximum(np.asarray(deviations), usual)
    return [float(one) if len(values) > 2 and one > limit else 0.0 for one, limit in zip(below, limits, strict=True)]
