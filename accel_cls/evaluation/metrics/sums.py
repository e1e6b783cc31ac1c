"""Metrics that follow from sums over rows: however often rows are drawn anew, it is one matrix product.

The columns of a classification are counts of each class: 3 for a class, not the square of the classes that a confusion
matrix has. Accuracy, the means of precision, recall and F1, Matthews' correlation and Cohen's kappa follow from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from accel_cls.evaluation.judged import Judged

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    Columns: TypeAlias = np.ndarray | csr_array

ECE_BINS = 15  # of equal width
_LEAST = float(np.finfo(np.float64).eps)  # a probability of 0 counts as this one, as scikit-learn has it


@dataclass(frozen=True)
class Additive:
    """A metric of sums over rows.

    `contributions(judged)`: float64 [rows, k], an array or a scipy csr_array; for weights [n, rows], such as how often
    a row was drawn in each of n resamples, `weights @ contributions` is [n, k]. Metrics that have the same function
    share their columns. `value(sums [..., k])` -> [...]: nan where the metric is undefined, without a warning.
    """

    contributions: Callable[[Judged], Columns]
    value: Callable[[np.ndarray], np.ndarray]
    is_share: bool = False  # of rows: the first column says whether one counts, the second is 1

    def score(self, judged: Judged) -> float:
        """The metric of all rows."""
        return float(self.value(np.asarray(self.contributions(judged).sum(axis=0), np.float64)))


def _over(part: np.ndarray, whole: np.ndarray, undefined: float) -> np.ndarray:
    """Quotients, float64; what is divided by 0 is `undefined`."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.full(part.shape, undefined), where=whole != 0)


# Means over rows


def _mean_of(of_rows: Callable[[Judged], np.ndarray]) -> Callable[[Judged], np.ndarray]:
    """Columns whose sums give a mean: what each row is worth, and 1."""
    return lambda judged: np.stack([of_rows(judged), np.ones(len(judged))], axis=1)


def _mean(sums: np.ndarray) -> np.ndarray:
    return _over(sums[..., 0], sums[..., 1], np.nan)


def _root_of_mean(sums: np.ndarray) -> np.ndarray:
    return np.sqrt(_mean(sums))


def _right(judged: Judged) -> np.ndarray:
    """Whether the class is right; of several, whether all are."""
    right = judged.labels == judged.predicted
    return right.all(1) if right.ndim == 2 else right


def _wrong_share(judged: Judged) -> np.ndarray:
    """The share of its decisions that are wrong."""
    wrong = judged.labels != judged.predicted
    return wrong.mean(1) if wrong.ndim == 2 else wrong


def _error(judged: Judged) -> np.ndarray:
    return np.abs(judged.labels.astype(np.float64) - judged.predicted)


def _squared_error(judged: Judged) -> np.ndarray:
    return np.square(_error(judged))


def _indicators(judged: Judged) -> np.ndarray:
    """What is true as 0 and 1, float64 [rows, classes]."""
    if judged.labels.ndim == 2:
        return judged.labels.astype(np.float64)
    return (judged.labels[:, None] == np.arange(judged.classes)).astype(np.float64)


def _squared_distance(judged: Judged) -> np.ndarray:
    """Of probabilities from what is true: the sum over classes, with two half of it, with several labels the mean."""
    squares = np.square(judged.probabilities - _indicators(judged))
    if judged.labels.ndim == 2:
        return squares.mean(1)
    return squares.sum(1) / (2 if judged.classes == 2 else 1)


def _surprise(judged: Judged) -> np.ndarray:
    """Minus the logarithm of what is true's probability; of several classes the mean over these."""
    p = np.clip(judged.probabilities, _LEAST, 1 - _LEAST)
    if judged.labels.ndim == 2:
        return -np.log(np.where(judged.labels > 0, p, 1 - p)).mean(1)
    return -np.log(p[np.arange(len(judged)), judged.labels])


def _in_top(judged: Judged, count: int) -> np.ndarray:
    """Whether the true class is among the likeliest; of equally likely ones the first come first, as in argmax."""
    p, true = judged.probabilities, judged.labels[:, None]
    own = np.take_along_axis(p, true, 1)
    before = (p > own) | ((p == own) & (np.arange(judged.classes) < true))
    return before.sum(1) < count


def _loss(judged: Judged) -> np.ndarray:
    return judged.losses


# Calibration


def _bins(judged: Judged) -> np.ndarray:
    """Of each bin of confidence, how much that is above being right, [rows, bins]; and how many decisions a row has.

    Of one class the decision is the predicted one, of several each class is one.
    """
    if judged.labels.ndim == 2:
        confidence, right = judged.probabilities, judged.labels > 0
    else:
        confidence, right = judged.probabilities.max(1)[:, None], (judged.labels == judged.predicted)[:, None]
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    columns = np.zeros((len(judged), ECE_BINS + 1))
    np.add.at(columns, (np.arange(len(judged))[:, None], bins), confidence - right)
    columns[:, -1] = confidence.shape[1]
    return columns


def _calibration_error(sums: np.ndarray) -> np.ndarray:
    return _over(np.abs(sums[..., :-1]).sum(-1), sums[..., -1], np.nan)


# Counts of classes


def class_counts(judged: Judged) -> csr_array:
    """Of each class whether a row has it and is predicted to, has it, is predicted to: float64 [rows, 3 classes]."""
    from scipy.sparse import csr_array, hstack

    if judged.labels.ndim == 2:
        parts = [csr_array(x, dtype=np.float64) for x in (judged.labels * judged.predicted, judged.labels)]
        return hstack([*parts, csr_array(judged.predicted, dtype=np.float64)], format="csr")
    rows, classes = len(judged), judged.classes
    true, predicted = judged.labels, judged.predicted
    hits = np.flatnonzero(true == predicted)
    row = np.concatenate([hits, np.arange(rows), np.arange(rows)])
    column = np.concatenate([true[hits], classes + true, 2 * classes + predicted])
    return csr_array((np.ones(len(row)), (row, column)), shape=(rows, 3 * classes))


def _counts(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits, true and predicted of each class, [..., classes] each."""
    classes = sums.shape[-1] // 3
    return sums[..., :classes], sums[..., classes : 2 * classes], sums[..., 2 * classes :]


def _precision(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return _over(hits, predicted, 0.0)


def _recall(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return _over(hits, true, 0.0)


def _f1(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return _over(2 * hits, true + predicted, 0.0)


_OfCounts = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


# What is undefined, such as the precision of a class that is never predicted, counts as 0; all classes count.
def _weighted(of: _OfCounts, sums: np.ndarray) -> np.ndarray:
    counts = _counts(sums)
    return _over((of(*counts) * counts[1]).sum(-1), counts[1].sum(-1), 0.0)


def _macro(of: _OfCounts, sums: np.ndarray) -> np.ndarray:
    return of(*_counts(sums)).mean(-1)


def _micro(of: _OfCounts, sums: np.ndarray) -> np.ndarray:
    return of(*(count.sum(-1) for count in _counts(sums)))


def _balanced_accuracy(sums: np.ndarray) -> np.ndarray:
    """The mean recall of the classes that have rows."""
    hits, true, _ = _counts(sums)
    return _over(_over(hits, true, 0.0).sum(-1), (true > 0).sum(-1), np.nan)


def _matthews(sums: np.ndarray) -> np.ndarray:
    """0 where all rows are of one class, or all are predicted to be: by convention."""
    hits, true, predicted = _counts(sums)
    rows = true.sum(-1)
    covariance = hits.sum(-1) * rows - (true * predicted).sum(-1)
    variances = (rows**2 - np.square(true).sum(-1)) * (rows**2 - np.square(predicted).sum(-1))
    return _over(covariance, np.sqrt(variances), 0.0)


def _kappa(sums: np.ndarray) -> np.ndarray:
    """Undefined where all rows are of one class and are predicted to be."""
    hits, true, predicted = _counts(sums)
    rows, chance = true.sum(-1), (true * predicted).sum(-1)
    return _over(hits.sum(-1) * rows - chance, rows**2 - chance, np.nan)


# Moments of ordered classes


def _moments(judged: Judged) -> np.ndarray:
    """The squared error, both ids, their squares, and 1."""
    true, predicted = (ids.astype(np.float64) for ids in (judged.labels, judged.predicted))
    ones = np.ones(len(judged))
    return np.stack([(true - predicted) ** 2, true, predicted, true**2, predicted**2, ones], axis=1)


def _quadratic_kappa(sums: np.ndarray) -> np.ndarray:
    """Kappa with squared distances as weights; undefined as Cohen's is."""
    error, true, predicted, true_squares, predicted_squares, rows = np.moveaxis(sums, -1, 0)
    by_chance = (true_squares + predicted_squares) * rows - 2 * true * predicted  # times the rows
    return 1 - _over(error * rows, by_chance, np.nan)


_ERROR_MEAN, _SQUARE_MEAN = _mean_of(_error), _mean_of(_squared_error)
_AVERAGES = {"": _weighted, "_macro": _macro, "_micro": _micro}
_OF_COUNTS = {"precision": _precision, "recall": _recall, "f1": _f1}
ADDITIVE: dict[str, Additive] = {
    "loss": Additive(_mean_of(_loss), _mean),
    "accuracy": Additive(_mean_of(_right), _mean, is_share=True),
    **{
        f"{name}{suffix}": Additive(class_counts, partial(average, of))
        for name, of in _OF_COUNTS.items()
        for suffix, average in _AVERAGES.items()
    },
    "balanced_accuracy": Additive(class_counts, _balanced_accuracy),
    "matthews_correlation": Additive(class_counts, _matthews),
    "cohen_kappa": Additive(class_counts, _kappa),
    "hamming_loss": Additive(_mean_of(_wrong_share), _mean),
    "log_loss": Additive(_mean_of(_surprise), _mean),
    "brier": Additive(_mean_of(_squared_distance), _mean),
    "ece": Additive(_bins, _calibration_error),
    **{f"top_{n}_accuracy": Additive(_mean_of(partial(_in_top, count=n)), _mean, is_share=True) for n in (3, 5)},
    "mae": Additive(_ERROR_MEAN, _mean),
    "rmse": Additive(_SQUARE_MEAN, _root_of_mean),
    "quadratic_kappa": Additive(_moments, _quadratic_kappa),
}
