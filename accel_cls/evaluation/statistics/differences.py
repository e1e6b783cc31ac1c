"""Two models' scores on the same rows: how far they are apart, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import metric_of
from accel_cls.evaluation.metrics.sums import Additive, class_counts
from accel_cls.evaluation.statistics.paired import PairedDifference, mid_p, paired_difference
from accel_cls.evaluation.statistics.resampling import (
    RESAMPLES,
    Z,
    few_resamples,
    leave_one_out,
    parts,
    regroup,
    standard_error,
    sums_of_groups,
    swaps,
)

_HALF = 0.5  # a row that only the first has right, and one that only the second has: so much of each is added


def differences(
    names: Iterable[str], first: Judged, second: Judged, groups: np.ndarray | None = None
) -> dict[str, PairedDifference | None]:
    """By how much the metrics of the first are greater than those of the second.

    Of a share as `paired_difference` has it. Of all others the interval is the jackknife's; those of classes' counts
    have half a row added that only the first has right, and half a one that only the second has, as Agresti and Min's
    (2005) of two shares: with few rows that differ it would be too narrow. The test swaps both models' answers to
    whole groups by chance.

    Args:
        names: of metrics, as `metric_of` takes them.
        first: rows with the predictions of one model.
        second: the same rows with those of the other one.
        groups: int [rows], those of identical texts have the same; None: each row is one.

    Returns:
        None where a metric is undefined.
    """
    groups = np.arange(len(first)) if groups is None else regroup(groups)
    found: dict[str, PairedDifference | None] = dict.fromkeys(names)
    additive: dict[str, Additive] = {}
    for name in found:
        metric = metric_of(name)
        if not isinstance(metric, Additive):
            found[name] = _of_rows(metric, first, second, groups)
        elif metric.is_share:
            own, other = (np.asarray(metric.contributions(judged))[:, 0] > 0 for judged in (first, second))
            found[name] = paired_difference(own, other, groups)
        else:
            additive[name] = metric
    return found | _of_sums(additive, first, second, groups)


def _of_sums(
    metrics: Mapping[str, Additive], first: Judged, second: Judged, groups: np.ndarray
) -> dict[str, PairedDifference | None]:
    """The swaps are the same for all metrics, and columns that several share are multiplied once."""
    columns = {
        one.contributions: [sums_of_groups(one.contributions(judged), groups) for judged in (first, second)]
        for one in metrics.values()
    }
    totals = {key: [np.asarray(sums.sum(axis=0), np.float64) for sums in both] for key, both in columns.items()}
    swapped: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for chosen in swaps(int(groups.max()) + 1, RESAMPLES) if metrics else ():
        moved = {key: chosen.astype(np.float64) @ (own - other) for key, (own, other) in columns.items()}
        for name, one in metrics.items():
            (own, other), change = totals[one.contributions], moved[one.contributions]
            swapped[name].append(one.value(own - change) - one.value(other + change))
    found = {}
    for name, one in metrics.items():
        value, its = (float(one.value(total)) for total in totals[one.contributions])
        adjusted, left_out = _adjusted(one, columns[one.contributions])
        found[name] = _difference(value - its, adjusted, left_out, np.concatenate(swapped[name]))
    return found


def _adjusted(metric: Additive, columns: Sequence) -> tuple[float, np.ndarray]:
    """With the rows that are added the difference, and without each group, [groups], of columns [groups, k]."""
    if metric.contributions is class_counts:
        from scipy.sparse import csr_array, vstack

        classes = columns[0].shape[1] // 3
        hit = np.full(3 * classes, _HALF / classes)  # of all classes alike
        fault = hit * (np.arange(3 * classes) >= classes)
        added = ([hit, fault], [fault, hit])
        columns = [vstack([sums, csr_array(rows)], format="csr") for sums, rows in zip(columns, added, strict=True)]
    own, other = (float(metric.value(np.asarray(sums.sum(axis=0), np.float64))) for sums in columns)
    left_out, without = (leave_one_out(metric.value, sums) for sums in columns)
    return own - other, left_out - without


def _difference(
    difference: float, adjusted: float, left_out: np.ndarray, swapped: np.ndarray
) -> PairedDifference | None:
    if not np.isfinite([difference, adjusted, *left_out]).all():
        return None
    error = standard_error(left_out)
    drawn = np.abs([*swapped[np.isfinite(swapped)], difference])  # what was seen is one of the ways
    return PairedDifference(
        difference, adjusted - Z * error, adjusted + Z * error, mid_p(drawn, abs(difference)), error
    )


def _of_rows(
    metric: Callable[[Judged], float], first: Judged, second: Judged, groups: np.ndarray
) -> PairedDifference | None:
    def apart(own: Judged, other: Judged) -> float:
        return metric(own) - metric(other)

    drawn = [
        apart(_mixed(first, second, rows), _mixed(second, first, rows))
        for several in swaps(int(groups.max()) + 1, few_resamples(first.logits.size))
        for rows in several[:, groups]
    ]
    left_out = [apart(first.select(rows), second.select(rows)) for rows in parts(groups)]
    difference = apart(first, second)
    return _difference(difference, difference, np.array(left_out), np.array(drawn))


def _mixed(own: Judged, other: Judged, rows: np.ndarray) -> Judged:
    """With the other one's answers to some rows, bool [rows]."""

    def mix(mine: np.ndarray, its: np.ndarray) -> np.ndarray:
        return np.where(rows.reshape(-1, *[1] * (mine.ndim - 1)), its, mine)

    predicted, probabilities = mix(own.predicted, other.predicted), mix(own.probabilities, other.probabilities)
    return Judged(own.labels, predicted, probabilities, mix(own.logits, other.logits), own.classes)
