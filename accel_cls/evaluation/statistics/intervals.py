"""How sure scores are: 95% intervals of what they are on other rows of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import sqrt

import numpy as np

from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.own import OwnMetric
from accel_cls.evaluation.metrics.ranks import Ranked
from accel_cls.evaluation.metrics.scores import metric_of
from accel_cls.evaluation.metrics.sums import Additive, class_counts
from accel_cls.evaluation.statistics.resampling import (
    RESAMPLES,
    Z,
    bca,
    draws,
    few_resamples,
    leave_one_out,
    regroup,
    sums_of_groups,
    without_parts,
)

Interval = tuple[float, float]
InResamples = Callable[[np.ndarray], np.ndarray]  # of how often each row is there, [rows, n], to scores, [n]


def intervals(names: Iterable[str], judged: Judged, groups: np.ndarray | None = None) -> dict[str, Interval | None]:
    """Of each metric an interval that holds, 19 times of 20, what it is on endless rows of the kind of these.

    Of a share it is Wilson's, of as many rows as the design effect of identical texts leaves; of all others BCa's, of
    2,000 resamples, and of 100 to 500 where a metric follows from no sums over rows. Where no row is wrong, those of
    classes' counts have Wilson's of as many rows as would weigh as much as these. None where the rows say nothing of a
    metric: all alike, or it is often undefined.

    Args:
        names: of metrics, as `metric_of` takes them.
        judged: rows with their predictions.
        groups: int [rows], those of identical texts have the same; None: each row is one.
    """
    groups = np.arange(len(judged)) if groups is None else regroup(groups)
    found: dict[str, Interval | None] = dict.fromkeys(names)
    additive: dict[str, Additive] = {}
    for name in found:
        metric = metric_of(name)
        if not isinstance(metric, Additive):
            found[name] = _of_rows(in_resamples(metric, judged), metric(judged), judged, groups)
        elif metric.is_share:
            found[name] = _of_share(np.asarray(metric.contributions(judged))[:, 0], groups)
        else:
            additive[name] = metric
    return found | _of_sums(additive, judged, groups)


def _of_share(counted: np.ndarray, groups: np.ndarray) -> Interval:
    """Of the share of what is counted, float64 [rows] of 0 and 1."""
    rows, share = len(counted), float(counted.mean())
    spread = float(np.square(np.bincount(groups, weights=counted - share)).sum())
    # Where all are the same nothing tells how alike the rows of a group are: as alike as can be, then.
    same = spread < 1e-9
    effective = rows / _kish(groups) if same else share * (1 - share) * rows**2 / spread
    return wilson(share, effective)


def _kish(groups: np.ndarray) -> float:
    """The design effect of groups whose rows are as alike as can be."""
    return float(np.square(np.bincount(groups)).sum() / len(groups))


def wilson(share: float, effective: float) -> Interval:
    """Of a share; `effective`: how many rows, or parts of such, it is of."""
    center, square = share + Z**2 / (2 * effective), Z**2 / effective
    margin = sqrt(share * (1 - share) * square + square**2 / 4)
    return (center - margin) / (1 + square), (center + margin) / (1 + square)


def _of_sums(metrics: Mapping[str, Additive], judged: Judged, groups: np.ndarray) -> dict[str, Interval | None]:
    """The draws are the same for all metrics, and columns that several share are multiplied once."""
    sums = {one.contributions: sums_of_groups(one.contributions(judged), groups) for one in metrics.values()}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for weights in draws(int(groups.max()) + 1, RESAMPLES) if metrics else ():
        products = {key: weights @ columns for key, columns in sums.items()}
        for name, one in metrics.items():
            drawn[name].append(one.value(products[one.contributions]))
    found = {}
    for name, one in metrics.items():
        columns, value = sums[one.contributions], one.score(judged)
        found[name] = bca(value, np.concatenate(drawn[name]), leave_one_out(one.value, columns))
        if one.contributions is class_counts and value == 1:
            weight = _kish(groups) * weight_of_a_row(one.value, np.asarray(columns.sum(axis=0), np.float64))
            found[name] = wilson(1.0, 1 / weight)
    return found


def weight_of_a_row(value: Callable[[np.ndarray], np.ndarray], counts: np.ndarray) -> float:
    """By how much a metric of classes' counts, float64 [3 classes], falls with a row that is wrong.

    It is the mean over rows of each class, weighed by itself: the scale at which such falls have their variance.
    """
    classes = len(counts) // 3
    falls = value(counts) - value(np.maximum(counts - np.eye(classes, 3 * classes), 0))
    rows = counts[classes : 2 * classes]
    total = float((rows * falls).sum())
    return float((rows * falls**2).sum()) / total if total > 0 else 1 / float(rows.sum())  # 0: no row is right


def in_resamples(metric: Ranked | OwnMetric, judged: Judged) -> InResamples:
    """How a metric follows from how often each row is there."""
    if isinstance(metric, Ranked):
        return partial(metric.values, judged)
    return lambda weights: np.array([metric(judged.select(_repeated(column))) for column in weights.T])


def _repeated(counts: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts.astype(np.int64))


def _of_rows(of: InResamples, value: float, judged: Judged, groups: np.ndarray) -> Interval | None:
    resamples = draws(int(groups.max()) + 1, few_resamples(judged.logits.size))
    drawn = np.concatenate([of(weights[:, groups].T) for weights in resamples])
    return bca(value, drawn, of(without_parts(groups)))
