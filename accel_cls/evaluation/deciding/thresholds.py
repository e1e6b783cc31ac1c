"""From which probability on something may be said: thresholds found on labelled rows, and what they promise."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log

import numpy as np

CONFIDENCE = 0.95  # with which a promised precision or accuracy holds, over the draw of the rows it was fitted on
_FEWEST_OF_A_CLASS = 10  # rows that have it, and rows that have not, from which on its threshold is looked for


@dataclass(frozen=True)
class Promised:
    """A threshold from which on decisions are right often enough."""

    threshold: float | None  # None: it can't be promised
    bound: float  # what is promised there; where nothing can be, the most that could be
    texts: int  # decisions that were looked at


def rows_for(target: float, confidence: float = CONFIDENCE) -> int:
    """How many rows it takes, all of them right, to promise that a share `target` is."""
    return int(np.ceil(log(1 - confidence) / log(target) - 1e-9))


def promised_threshold(
    scores: np.ndarray, right: np.ndarray, target: float, confidence: float = CONFIDENCE, weight: float = 1.0
) -> Promised:
    """The lowest threshold from which on a share `target` of decisions is right, with this confidence.

    A bound (Clopper and Pearson's) at a threshold that was chosen among many would hold less often than it says. So
    hypotheses are tested in an order that was fixed before (learn then test: Angelopoulos et al. 2021): from the
    strictest half, quarter, eighth … of the decisions on, whose number divides the risk, to ever lower thresholds as
    long as the bound holds.

    Args:
        scores: of decisions, float [decisions], independent of each other.
        right: whether each is, bool.
        target: between 0 and 1.
        confidence: of the promise.
        weight: as how much evidence each decision counts. More than 1 is for folds, to be as strict as all rows
            together are; nothing is promised then.
    """
    from scipy.special import betaincinv

    if not len(scores):
        return Promised(None, 0.0, 0)
    order = np.argsort(-scores, kind="stable")
    sorted_scores = scores[order]
    ends = np.flatnonzero(np.append(sorted_scores[1:] != sorted_scores[:-1], True))  # equal scores go together
    hits, sizes = np.cumsum(right[order])[ends] * weight, (ends + 1) * weight
    starts = _starts(int(len(scores) * weight), target, confidence)
    risk = (1 - confidence) / len(starts)
    bounds = np.where(hits, betaincinv(np.maximum(hits, 1), sizes - hits + 1, risk), 0.0)
    holds = bounds >= target
    reached = -1
    begun = [int(np.searchsorted(sizes, start)) for start in starts]
    for at in begun:
        failed = np.flatnonzero(~holds[at:])
        last = at + (int(failed[0]) if len(failed) else len(holds) - at) - 1
        reached = max(reached, last if last >= at else -1)
    if reached < 0:
        return Promised(None, float(bounds[begun].max()), len(scores))
    lower = sorted_scores[ends[reached] + 1] if reached + 1 < len(ends) else None
    # Midway to the next one, so that rounding decides nothing.
    threshold = 0.0 if lower is None else (sorted_scores[ends[reached]] + lower) / 2
    return Promised(float(threshold), float(bounds[reached]), len(scores))


def _starts(count: int, target: float, confidence: float) -> list[int]:
    """How many of the decisions are looked at first: all, a half, a quarter …, as long as these could be enough."""
    starts = [count]
    while (count >> len(starts)) >= rows_for(target, 1 - (1 - confidence) / (len(starts) + 1)):
        starts.append(count >> len(starts))
    return starts


def f1_threshold(scores: np.ndarray, true: np.ndarray) -> float | None:
    """The threshold of the highest F1 of one class; None where too few rows have it, or have it not.

    Args:
        scores: its probability, float [rows].
        true: whether each row has it, bool.
    """
    positive = int(true.sum())
    if min(positive, len(true) - positive) < _FEWEST_OF_A_CLASS:
        return None
    order = np.argsort(-scores, kind="stable")
    sorted_scores = scores[order]
    ends = np.flatnonzero(np.append(sorted_scores[1:] != sorted_scores[:-1], True))
    f1 = 2 * np.cumsum(true[order])[ends] / (ends + 1 + positive)
    best = int(f1.argmax())
    lower = sorted_scores[ends[best] + 1] if best + 1 < len(ends) else 0.0
    return float((sorted_scores[ends[best]] + lower) / 2)


def rows_for_coverage(coverage: float) -> int:
    """The fewest rows by which sets can be promised to hold the true class so often."""
    return int(np.ceil(1 / (1 - coverage) - 1 - 1e-9))


def conformal_threshold(of_true: np.ndarray, coverage: float) -> float:
    """From which probability on classes belong to a set, so that it holds the true one so often (split conformal).

    Over the draw of these rows and of one more, drawn likewise, the promise is exact: `coverage` or more, and less
    than 1 / (rows + 1) above it where no two probabilities are equal.

    Args:
        of_true: each row's probability of its true class, float [rows].
        coverage: between 0 and 1.

    Returns:
        The threshold; 0, with which sets hold every class, for fewer rows than `rows_for_coverage` says.
    """
    left_out = floor((len(of_true) + 1) * (1 - coverage) + 1e-9)  # of so many rows, at most, sets lack the true class
    if left_out < 1:
        return 0.0
    lowest = np.partition(of_true, left_out - 1)[:left_out]
    at = lowest.max()
    below = lowest[lowest < at]
    return float((at + (below.max() if len(below) else 0.0)) / 2)  # midway, so that rounding decides nothing


def coverage_range(rows: int, coverage: float) -> tuple[float, float]:
    """Between what the coverage of sets by so many rows lies in nine of ten draws of them, over all texts to come."""
    from scipy.special import betaincinv

    left_out = max(1, floor((rows + 1) * (1 - coverage) + 1e-9))
    low, high = (float(betaincinv(rows + 1 - left_out, left_out, share)) for share in (0.05, 0.95))
    return low, high
