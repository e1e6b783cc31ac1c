"""Metrics of an order of rows, which no sums tell: they are computed on the rows themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from accel_cls.evaluation.judged import Judged


def roc_auc(judged: Judged) -> float:
    """The area under the ROC curve of each class against the others, their mean."""
    return _mean_over_classes(judged, _area_under_roc)


def pr_auc(judged: Judged) -> float:
    """The average precision of each class against the others, their mean: with several labels a text, mAP."""
    return _mean_over_classes(judged, _average_precision)


def spearman(judged: Judged) -> float:
    """The correlation of ranks, those of equal values their mean; nan where all are equal on one side."""
    from scipy.stats import rankdata

    true, predicted = (rankdata(values) - (len(judged) + 1) / 2 for values in (judged.labels, judged.predicted))
    norm = np.sqrt(np.square(true).sum() * np.square(predicted).sum())
    return float(true @ predicted / norm) if norm else float("nan")


def _mean_over_classes(judged: Judged, of_class: Callable[[np.ndarray, np.ndarray], float]) -> float:
    """The mean over those classes that some rows have and others have not; nan where there is none.

    Which those are follows from the labels alone, so that no prediction brings one in.
    """
    found = [of_class(true, score) for true, score in _decisions(judged) if 0 < true.sum() < len(true)]
    return float(np.mean(found)) if found else float("nan")


def _decisions(judged: Judged) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each class whether rows have it, bool [rows], and its probability; of two the second one alone."""
    for i in range(judged.classes):
        if judged.labels.ndim == 2:
            yield judged.labels[:, i] > 0, judged.probabilities[:, i]
        elif judged.classes > 2 or i == 1:
            yield judged.labels == i, judged.probabilities[:, i]


def _steps(true: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many rows that have a class, and rows in all, are at or above each score that occurs, the highest first."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    return np.cumsum(true[order])[last], last + 1.0


def _area_under_roc(true: np.ndarray, score: np.ndarray) -> float:
    hits, taken = _steps(true, score)
    false = taken - hits
    return float(np.trapezoid(np.append(0, hits), np.append(0, false)) / (hits[-1] * false[-1]))


def _average_precision(true: np.ndarray, score: np.ndarray) -> float:
    hits, taken = _steps(true, score)
    return float((np.diff(hits, prepend=0) * hits / taken).sum() / hits[-1])
