"""Metrics of an order of rows, which no sums tell; of rows that are drawn anew, by how often each is there.

Rows are put in order once, whatever the number of resamples, and not in each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from accel_cls.evaluation.judged import Judged


@dataclass(frozen=True)
class Ranked:
    """A metric of an order of rows.

    `values(judged, weights)`: of how often each row is there, float64 [rows, n], the metric of each of n resamples,
    float64 [n]; nan where it is undefined.
    """

    values: Callable[[Judged, np.ndarray], np.ndarray]

    def __call__(self, judged: Judged) -> float:
        """The metric of all rows."""
        return float(self.values(judged, np.ones((len(judged), 1)))[0])


def _roc_auc(judged: Judged, weights: np.ndarray) -> np.ndarray:
    """The area under the ROC curve of each class against the others, their mean."""
    return _mean_over_classes(judged, weights, _area_under_roc)


def _pr_auc(judged: Judged, weights: np.ndarray) -> np.ndarray:
    """The average precision of each class against the others, their mean: with several labels a text, mAP."""
    return _mean_over_classes(judged, weights, _average_precision)


def _spearman(judged: Judged, weights: np.ndarray) -> np.ndarray:
    """The correlation of ranks, those of equal values their mean; nan where all are equal on one side."""
    true, predicted = (_centered_ranks(values, weights) for values in (judged.labels, judged.predicted))
    squares = [(weights * np.square(ranks)).sum(0) for ranks in (true, predicted)]
    return _over((weights * true * predicted).sum(0), np.sqrt(squares[0] * squares[1]))


def _centered_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How far the rank of each row is from the mean rank, float64 [rows, n]."""
    from scipy.sparse import csr_array

    own, place = np.unique(values, return_inverse=True)
    rows = len(values)
    belongs = csr_array((np.ones(rows), (place, np.arange(rows))), shape=(len(own), rows))
    equal = belongs @ weights  # rows of each value
    return (np.cumsum(equal, axis=0) - equal / 2)[place] - weights.sum(0) / 2


_OfClass = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _mean_over_classes(judged: Judged, weights: np.ndarray, of_class: _OfClass) -> np.ndarray:
    """The mean over those classes that some rows have and others have not; nan where there is none.

    Which those are follows from the labels alone, so that no prediction brings one in.
    """
    total, defined = np.zeros((2, weights.shape[1]))
    for true, score in _decisions(judged):
        if 0 < true.sum() < len(true):
            found = of_class(*_steps(true, score, weights))
            total += np.nan_to_num(found)
            defined += np.isfinite(found)
    return _over(total, defined)


def _decisions(judged: Judged) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each class whether rows have it, bool [rows], and its probability; of two the second one alone."""
    for i in range(judged.classes):
        if judged.labels.ndim == 2:
            yield judged.labels[:, i] > 0, judged.probabilities[:, i]
        elif judged.classes > 2 or i == 1:
            yield judged.labels == i, judged.probabilities[:, i]


def _steps(true: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that have a class, and that have it not, above some scores, the highest first: float64 [steps, n], from 0.

    What lies between two rows that have the class is one step, and so are rows of one score: of many classes each has
    few rows.
    """
    order = np.argsort(-score, kind="stable")
    score, has = score[order], true[order]
    begins = np.append(True, np.diff(score) != 0)  # of rows with one score
    with_hits = np.isin(np.cumsum(begins), np.cumsum(begins)[has])
    starts = np.flatnonzero(begins & (with_hits | np.append(False, with_hits[:-1])) | (np.arange(len(score)) == 0))
    taken = np.add.reduceat(weights[order], starts, axis=0)
    hits = np.zeros_like(taken)
    np.add.at(hits, np.searchsorted(starts, np.flatnonzero(has), side="right") - 1, weights[order[has]])
    none = np.zeros((1, weights.shape[1]))
    return np.concatenate([none, np.cumsum(hits, axis=0)]), np.concatenate([none, np.cumsum(taken - hits, axis=0)])


def _area_under_roc(hits: np.ndarray, false: np.ndarray) -> np.ndarray:
    return _over(np.trapezoid(hits, false, axis=0), hits[-1] * false[-1])


def _average_precision(hits: np.ndarray, false: np.ndarray) -> np.ndarray:
    precision = np.nan_to_num(_over(hits[1:], (hits + false)[1:]))  # scores that no row of a resample has
    return np.where(false[-1] > 0, _over((np.diff(hits, axis=0) * precision).sum(0), hits[-1]), np.nan)


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Quotients, float64; what is divided by 0 is nan."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)


RANKED = {"roc_auc": Ranked(_roc_auc), "pr_auc": Ranked(_pr_auc), "spearman": Ranked(_spearman)}
