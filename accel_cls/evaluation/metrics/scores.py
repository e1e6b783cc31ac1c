"""Scores of predictions: the metrics by name, which way each is better, and how far two scores have to be apart."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.own import OwnMetric
from accel_cls.evaluation.metrics.ranks import RANKED, Ranked
from accel_cls.evaluation.metrics.sums import ADDITIVE, Additive
from accel_cls.recipe.metrics import METRICS, is_own

_ROUNDING = 1e-12  # 0.3 - 0.2 is no less than 0.1


def metric_of(name: str) -> Additive | Ranked | OwnMetric:
    """How a metric is computed: from sums over rows, by their order, or as a function of the rows.

    Args:
        name: of `recipe.metrics.METRICS`, `loss`, or module:function.

    Raises:
        UserError: where a function of the user's can't be imported.
    """
    if is_own(name):
        return OwnMetric.named(name)
    return ADDITIVE[name] if name in ADDITIVE else RANKED[name]


def require_metrics(names: Iterable[str]) -> None:
    """Raise UserError where a function of the user's can't be imported."""
    for name in names:
        metric_of(name)


def compute_scores(names: Iterable[str], judged: Judged) -> dict[str, float]:
    """The named scores, in the order of the names; nan where one is undefined.

    Raises:
        UserError: where a function of the user's raises, or gives no number.
    """
    found = {name: metric_of(name) for name in names}
    columns = {one.contributions: np.zeros(0) for one in found.values() if isinstance(one, Additive)}
    for contributions in columns:  # the same ones serve many metrics
        columns[contributions] = np.asarray(contributions(judged).sum(axis=0), np.float64)
    return {
        name: float(one.value(columns[one.contributions])) if isinstance(one, Additive) else one(judged)
        for name, one in found.items()
    }


def less_is_better(name: str) -> bool:
    """Whether a smaller score of this metric, of `loss` or of a function of the user's is the better one.

    Raises:
        UserError: where a function of the user's can't be imported.
    """
    if is_own(name):
        return OwnMetric.named(name).less_is_better
    return name == "loss" or METRICS[name].less_is_better


def is_better(name: str, score: float, than: float | None, by: float = 0.0) -> bool:
    """Whether a score is better than another one, by `by` or more. One that is no finite number never is."""
    if not np.isfinite(score) or than is None:
        return bool(np.isfinite(score))
    gain = than - score if less_is_better(name) else score - than
    return gain > 0 and gain >= by - _ROUNDING


def is_about_as_good(name: str, score: float, best: float) -> bool:
    """Whether a score is better than another one or a little worse: so little that some hundred rows can't tell.

    That is a point, and 15% of what the other one is short of 1, the perfect score; where less is better, 5% of it.
    """
    if less_is_better(name):
        return bool(score - best <= 0.05 * best + _ROUNDING)
    return bool(best - score <= min(0.01, 0.15 * (1 - best)) + _ROUNDING)
