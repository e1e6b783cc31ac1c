"""Whether a model is as sure as it is right, and the temperature that makes it so (Guo et al. 2017).

Labels are class ids, int64 [rows], or 0 and 1, [rows, classes], where each class is a decision of its own. A
temperature is float64 [1], of all logits, or [classes]; logits are divided by it. No prediction changes by that, only
how sure it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import compute_scores
from accel_cls.evaluation.metrics.sums import ECE_BINS

FOLDS = 5
_FEWEST_ROWS = 100  # distinct texts, from which on a temperature is fitted
# A temperature is told by how sure the model was where it was wrong; with fewer mistakes, by chance. With none the
# best is 0, by which everything is certain.
_FEWEST_MISTAKES = 10
_FEWEST_OF_A_CLASS = 50  # rows that have it, and rows that have not: from then on a class has its own temperature
_COLDEST, _HOTTEST = 0.05, 20.0

NONE = np.ones(1)  # the temperature that changes nothing


@dataclass(frozen=True)
class Calibration:
    """A temperature and what it comes to on the rows that it was fitted on, none of which judges itself."""

    temperature: np.ndarray  # of all rows; NONE where there is none
    why_none: str | None  # why it is none
    by_fold: list[np.ndarray]  # FOLDS temperatures, each fitted on the rows of the other folds
    before: dict[str, Any]  # as `quality` has it
    after: dict[str, Any] | None  # of rows out of fold; None where nothing was fitted


def calibrate(logits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Calibration:
    """Fit a temperature, and see by cross-fitting what it is worth.

    Args:
        logits: float [rows, outputs].
        labels: of these rows.
        groups: int64 [rows]; rows of one number are never on both sides of a fold.
    """
    before = quality(logits, labels)
    if why := _too_little(logits, labels, groups):
        return Calibration(NONE, why, [NONE] * FOLDS, before, None)
    folds = folds_of(groups)
    by_fold = [fit_temperature(logits[folds != fold], labels[folds != fold]) for fold in range(FOLDS)]
    after = quality(cooled(logits, by_fold, folds), labels)
    if after["log_loss"] >= before["log_loss"]:
        why = f"log loss {before['log_loss']:.4f} would become {after['log_loss']:.4f} on rows it was not fitted on"
        return Calibration(NONE, why, [NONE] * FOLDS, before, after)
    return Calibration(fit_temperature(logits, labels), None, by_fold, before, after)


def cooled(logits: np.ndarray, by_fold: list[np.ndarray], folds: np.ndarray) -> np.ndarray:
    """Logits, float64, each row divided by the temperature that it had no part in."""
    return logits / np.stack(by_fold)[folds]


def folds_of(groups: np.ndarray) -> np.ndarray:
    """The fold of each row, int64 [rows]: seeded, about equally many groups in each."""
    numbers, inverse = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(numbers))
    return (order % FOLDS)[inverse]


def one_of_each(groups: np.ndarray) -> np.ndarray:
    """The first row of each group, int64 [groups], in order: copies are no independent evidence."""
    return np.sort(np.unique(groups, return_index=True)[1])


def _too_little(logits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> str | None:
    rows = one_of_each(groups)
    if len(rows) < _FEWEST_ROWS:
        return f"{len(rows):,} distinct texts; a temperature takes {_FEWEST_ROWS} or more"
    wrong = int(_wrong(logits[rows], labels[rows]).sum())
    if wrong < _FEWEST_MISTAKES:
        return f"{wrong} mistakes in {len(rows):,} distinct texts; a temperature takes {_FEWEST_MISTAKES} or more"
    return None


def _wrong(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The decisions that are wrong, bool [rows] or [rows, classes]."""
    return (logits >= 0) != (labels > 0) if labels.ndim == 2 else logits.argmax(1) != labels


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The temperature of least log loss: one, or with several labels one for each class that has rows enough.

    The other classes have the one of all decisions together.
    """
    logits = logits.astype(np.float64)
    if labels.ndim == 1:
        true = logits[np.arange(len(labels)), labels]
        return np.array([_coldest_root(lambda inverse: _slope(logits, true, inverse))])
    shared = _temperature_of_decisions(logits, labels)
    enough = (labels.sum(0) >= _FEWEST_OF_A_CLASS) & ((1 - labels).sum(0) >= _FEWEST_OF_A_CLASS)
    enough &= _wrong(logits, labels).sum(0) >= _FEWEST_MISTAKES
    own = [_temperature_of_decisions(logits[:, i], labels[:, i]) if one else shared for i, one in enumerate(enough)]
    return np.array(own)


def _slope(logits: np.ndarray, true: np.ndarray, inverse: float) -> float:
    """Of the cross-entropy over the inverse temperature: how far the mean logit is above the true class's."""
    scaled = logits * inverse
    weights = np.exp(scaled - scaled.max(1, keepdims=True))
    return float(((weights * logits).sum(1) / weights.sum(1) - true).sum())


def _temperature_of_decisions(logits: np.ndarray, labels: np.ndarray) -> float:
    def slope(inverse: float) -> float:
        with np.errstate(over="ignore"):
            return float(((1 / (1 + np.exp(-logits * inverse)) - labels) * logits).sum())

    return _coldest_root(slope)


def _coldest_root(slope: Callable[[float], float]) -> float:
    """The temperature at which a slope over its inverse, which only rises (log loss is convex in it), is 0."""
    from scipy.optimize import brentq

    low, high = 1 / _HOTTEST, 1 / _COLDEST
    if slope(low) >= 0:
        return _HOTTEST
    if slope(high) <= 0:
        return _COLDEST
    return float(1 / brentq(slope, low, high, xtol=1e-6))


def probabilities_of(logits: np.ndarray, labels_ndim: int) -> np.ndarray:
    """Float64 [rows, classes]: softmax, or sigmoid where each class is a decision of its own."""
    logits = logits.astype(np.float64)
    if labels_ndim == 2:
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-logits))
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def quality(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """How good probabilities are: log loss, Brier score, expected calibration error, and what that is made of."""
    p = probabilities_of(logits, labels.ndim)
    predicted = (logits >= 0).astype(labels.dtype) if labels.ndim == 2 else logits.argmax(1)
    scores = compute_scores(["log_loss", "brier", "ece"], Judged(labels, predicted, p, logits, p.shape[1]))
    confidence, right = (p, labels > 0) if labels.ndim == 2 else (p.max(1), predicted == labels)
    return {**scores, "reliability": reliability(confidence.ravel(), right.ravel())}


def reliability(confidence: np.ndarray, right: np.ndarray) -> dict[str, list[Any]]:
    """A reliability diagram: of each bin how many decisions, how sure they are, and how often they are right.

    Args:
        confidence: of decisions, float [decisions], from 0 to 1.
        right: whether each is.

    Returns:
        Lists of ECE_BINS entries: "count", "confidence" and "right"; the latter two are None where there is nothing.
    """
    at = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    counts = np.bincount(at, minlength=ECE_BINS)
    sums = (np.bincount(at, weights=weights, minlength=ECE_BINS) for weights in (confidence, right.astype(np.float64)))
    means = ([float(s / n) if n else None for s, n in zip(one, counts, strict=True)] for one in sums)
    return dict(zip(("count", "confidence", "right"), (counts.tolist(), *means), strict=True))
