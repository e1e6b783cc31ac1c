"""What intervals hold and tests see where that can be counted instead of simulated: shares of independent rows.

    python -m benchmarks.exact    # seconds; docs/evaluation.md has the figures

A share of few rows has few values, so that no interval holds what is true in just 95% of the cases, and no test sees
what is not there in just 5%. Coverage goes up and down with what is true: told are its mean over accuracies near the
stated one, and its least and most. "At best" is what a test comes to whose rejections are, for each number of rows
that differ, as near to 5% as these can be. No chance is in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.stats import binom, norm

from accel_cls.evaluation.statistics.intervals import Interval, wilson
from accel_cls.evaluation.statistics.paired import score_interval
from accel_cls.evaluation.statistics.resampling import Z
from benchmarks.coverage import NEAR, ROWS
from benchmarks.nulls import ACCURACIES
from benchmarks.populations import FIVE, Population

_PLACES = 11  # accuracies near the stated one
_FAR = 5.0  # standard deviations, beyond which nothing is counted


def of_a_share(accuracy: float, rows: int) -> str:
    """The coverage of Wilson's interval."""
    right = np.arange(int(rows * (accuracy - 0.2)), rows + 1)
    low, high = np.array([wilson(count / rows, rows) for count in right]).T
    places = _near(accuracy)
    return _told([binom.pmf(right, rows, true)[(low <= true) & (true <= high)].sum() for true in places])


def of_a_difference(accuracy: float, rows: int, interval: Callable[[float, float, float], Interval]) -> str:
    """The coverage of an interval of two shares, of models as `benchmarks.coverage` has them."""
    ends, found = cache(interval), []
    for true in _near(accuracy):
        won, lost = Population.of(true, FIVE).differing(Population.of(1 - 1.5 * (1 - true), FIVE))
        alone, others = _likely(rows, won), np.array(_likely(rows, lost))
        held = 0.0
        for count, chance in zip(alone, binom.pmf(alone, rows, won), strict=True):
            low, high = np.array([ends(count, int(one), rows) for one in others]).T
            holds = (low <= won - lost) & (won - lost <= high)
            held += chance * binom.pmf(others, rows - count, lost / (1 - won))[holds].sum()
        found.append(held)
    return _told(found)


def bonett_price(won: float, lost: float, rows: float) -> Interval:
    """That of Bonett and Price (2012), for comparison."""
    center = (won - lost) / (rows + 2)
    margin = Z * (((won + lost + 2) / (rows + 2) - center**2) / (rows + 2)) ** 0.5
    return center - margin, center + margin


def rejected(accuracy: float, rows: int) -> list[str]:
    """How often tests see a difference of two models as `benchmarks.nulls` has them: score, mid-p, exact, at best."""
    one, share = Population.of(accuracy, FIVE), 0.75  # of answers that are each model's own
    differing = 4 * share * one.differing(one)[0]
    found = np.zeros(4)
    for count in _likely(rows, differing):
        won = np.arange(count + 1)
        chance, tail = binom.pmf(won, count, 0.5), binom.cdf(np.minimum(won, count - won), count, 0.5)
        seen = binom.pmf(np.minimum(won, count - won), count, 0.5)
        score = 2 * norm.sf(np.abs(2 * won - count) / max(1, count) ** 0.5)
        sizes = [chance[p < 0.05].sum() for p in (score, 2 * tail - seen, 2 * tail)]
        sizes.append(min([0.0, *(2 * tail[won < count / 2])], key=lambda size: abs(size - 0.05)))
        found += binom.pmf(count, rows, differing) * np.array(sizes)
    return [f"{rows * differing:.1f}", *(f"{100 * size:.1f}" for size in found)]


def _near(accuracy: float) -> np.ndarray:
    return np.linspace(accuracy - NEAR[accuracy], accuracy + NEAR[accuracy], _PLACES)


def _likely(rows: int, share: float) -> range:
    mean = rows * share
    return range(max(0, int(mean - _FAR * mean**0.5)), min(rows, int(mean + _FAR * mean**0.5) + 8) + 1)


def _told(held: list[float]) -> str:
    return f"{100 * np.mean(held):.1f} ({100 * min(held):.1f} to {100 * max(held):.1f})"


def main() -> int:
    """Print the tables, as Markdown."""
    print("| % held: accuracy | texts | Wilson | differences: score | Bonett and Price (not used) |\n|" + " --- |" * 5)
    for accuracy in NEAR:
        for rows in ROWS:
            cells = [of_a_difference(accuracy, rows, interval) for interval in (score_interval, bonett_price)]
            print(f"| {accuracy} | {rows:,} | {of_a_share(accuracy, rows)} | {' | '.join(cells)} |", flush=True)
    print("\n| % rejected: accuracy | texts | that differ | McNemar | mid-p | exact | at best |\n|" + " --- |" * 7)
    for accuracy in ACCURACIES:
        for rows in ROWS:
            print(f"| {accuracy} | {rows:,} | {' | '.join(rejected(accuracy, rows))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
