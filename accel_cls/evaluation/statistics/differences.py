"""Two models' scores on the same rows: how far they are apart, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.own import OwnMetric
from accel_cls.evaluation.metrics.ranks import Ranked
from accel_cls.evaluation.metrics.scores import metric_of
from accel_cls.evaluation.metrics.sums import Additive, class_counts
from accel_cls.evaluation.statistics.intervals import Interval, in_resamples, weight_of_a_row
from accel_cls.evaluation.statistics.paired import PairedDifference, mid_p, paired_difference, score_interval
from accel_cls.evaluation.statistics.resampling import (
    RESAMPLES,
    Z,
    few_resamples,
    leave_one_out,
    regroup,
    standard_error,
    sums_of_groups,
    swaps,
    without_parts,
)

if TYPE_CHECKING:
    from accel_cls.evaluation.metrics.sums import Columns

_NOTHING = 1e-24  # a variance


def differences(
    names: Iterable[str], first: Judged, second: Judged, groups: np.ndarray | None = None
) -> dict[str, PairedDifference | None]:
    """By how much the metrics of the first are greater than those of the second.

    Of a share as `paired_difference` has it. Of what follows from classes' counts the interval is that of a share with
    the same variance and skewness, see `_of_weights`; of all others the jackknife's. The test swaps both models'
    answers to whole groups by chance.

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
    found: dict[str, PairedDifference | None] = {}
    for name, one in metrics.items():
        value, its = (float(one.value(total)) for total in totals[one.contributions])
        sums = columns[one.contributions]
        left_out = _left_out(one, sums)
        told = _difference(value - its, left_out, np.concatenate(swapped[name]))
        if told is not None and one.contributions is class_counts:
            low, high = _of_weights(one, sums, value - its, left_out)
            told = replace(told, low=low, high=high)
        found[name] = told
    return found


def _left_out(metric: Additive, columns: Sequence[Columns]) -> np.ndarray:
    """The difference without each group, float64 [groups], of both models' columns [groups, k]."""
    own, other = (leave_one_out(metric.value, sums) for sums in columns)
    return own - other


def _of_weights(metric: Additive, columns: Sequence[Columns], difference: float, left_out: np.ndarray) -> Interval:
    """The interval of a difference that some rows make, each with its own weight: by rows of one weight.

    A row of a rare class weighs more in a mean over classes. Of rows that all weigh the same, as many for either model
    as have the difference, its variance and the size of its third moment, the interval is that of a share. With few
    rows that differ a normal one would be too narrow.
    """
    weight = left_out.mean() - left_out  # of each group
    square = float(np.square(weight).sum())
    if square > _NOTHING:
        scale = float((np.abs(weight) ** 3).sum()) / square
    else:  # no row differs
        square, scale = 0.0, weight_of_a_row(metric.value, np.asarray(columns[0].sum(axis=0), np.float64))
    both, apart = square / scale**2, difference / scale
    won, lost = max(0.0, (both + apart) / 2), max(0.0, (both - apart) / 2)
    rows = max(1 / scale, won + lost)
    low, high = score_interval(won, lost, rows)
    return low * rows * scale, high * rows * scale


def _difference(difference: float, left_out: np.ndarray, swapped: np.ndarray) -> PairedDifference | None:
    """With the jackknife's interval; None where it is undefined."""
    if not np.isfinite([difference, *left_out]).all():
        return None
    error = standard_error(left_out)
    low, high = difference - Z * error, difference + Z * error
    drawn = np.abs([*swapped[np.isfinite(swapped)], difference])  # what was seen is one of the ways
    return PairedDifference(difference, low, high, mid_p(drawn, abs(difference)), error)


def _of_rows(metric: Ranked | OwnMetric, first: Judged, second: Judged, groups: np.ndarray) -> PairedDifference | None:
    """What each model says of the rows lies side by side: a swap, too, says how often each of these is there."""
    of = in_resamples(metric, _joined(first, second))

    def apart(own: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Of how often the first one's rows and the second one's are there, [rows, n] each."""
        return of(np.concatenate([own, other])) - of(np.concatenate([other, own]))

    flips = swaps(int(groups.max()) + 1, few_resamples(first.logits.size))
    drawn = [apart(1.0 - chosen, chosen) for several in flips for chosen in [several[:, groups].T.astype(np.float64)]]
    left = without_parts(groups)
    return _difference(metric(first) - metric(second), apart(left, np.zeros_like(left)), np.concatenate(drawn))


def _joined(first: Judged, second: Judged) -> Judged:
    """The rows of both, those of the first one first."""
    labels, predicted, probabilities, logits = (
        np.concatenate([getattr(one, name) for one in (first, second)])
        for name in ("labels", "predicted", "probabilities", "logits")
    )
    return Judged(labels, predicted, probabilities, logits, first.classes, first.task)
