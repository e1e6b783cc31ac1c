"""What differs between finished runs, in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accel_cls.comparing.aligning import align
from accel_cls.comparing.finished import AnsweredRun
from accel_cls.data.examples import Part
from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import compute_scores, less_is_better
from accel_cls.evaluation.statistics.differences import differences
from accel_cls.evaluation.statistics.intervals import Interval, intervals
from accel_cls.evaluation.statistics.paired import PairedDifference, holm, paired_difference
from accel_cls.evaluation.statistics.power import Resolution, resolution

CHANCE = 0.05  # from this p on a difference may be chance


@dataclass(frozen=True)
class Change:
    """A row whose answer is worth more, or less, than the first run's."""

    at: int  # of the rows
    is_better: bool


@dataclass(frozen=True)
class Compared:
    """A run beside the first one."""

    run: AnsweredRun
    judged: Judged
    differences: dict[str, PairedDifference | None]  # by metric: the run's score less the first one's
    adjusted: dict[str, float]  # Holm's p, of those that have one
    resolution: Resolution  # in the measure of `Task.row_metric`
    changes: list[Change]  # those first whose answers are furthest apart

    def verdict(self, metric: str) -> str:
        """Whether it is better than the first one by a metric."""
        one = self.differences[metric]
        if one is None:
            return "undefined"
        if self.adjusted[metric] >= CHANCE:
            return "may be chance" if one.difference else "the same"
        return "worse" if (one.difference < 0) != less_is_better(metric) else "better"


@dataclass(frozen=True)
class Comparison:
    """Some runs on the same rows."""

    part: Part
    first: AnsweredRun
    judged: Judged  # of the first one
    groups: np.ndarray  # int64 [rows]: rows of identical texts share a number
    metrics: tuple[str, ...]  # the first one's decides
    scores: list[dict[str, float]]  # of each run
    intervals: list[dict[str, Interval | None]]
    others: list[Compared]

    @property
    def runs(self) -> list[AnsweredRun]:
        """All of them, the first one first."""
        return [self.first, *(one.run for one in self.others)]

    def recipe_differences(self) -> dict[str, list[Any]]:
        """By key what stands in each recipe, None where nothing does: of those keys that differ."""
        settings = [run.settings for run in self.runs]
        keys = dict.fromkeys(key for one in settings for key in one)
        found = {key: [one.get(key) for one in settings] for key in keys}
        return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def compare(runs: Sequence[AnsweredRun], part: Part) -> Comparison:
    """Compare runs with the first of them.

    Raises:
        UserError: where tasks, classes or rows are not the same.
    """
    first, *others = runs
    others = [align(first, run, part) for run in others]
    metrics = _metrics([first, *others])
    judged, groups = [run.judged for run in (first, *others)], first.answers.groups
    apart = [differences(metrics, its, judged[0], groups) for its in judged[1:]]
    adjusted: list[dict[str, float]] = [{} for _ in others]
    for name in metrics:
        found = {at: one.p for at, of in enumerate(apart) if (one := of[name]) is not None}
        for at, p in zip(found, holm([*found.values()]), strict=True):
            adjusted[at][name] = p
    compared = [
        Compared(run, its, found, ps, *_row_by_row(first, judged[0], its, groups))
        for run, its, found, ps in zip(others, judged[1:], apart, adjusted, strict=True)
    ]
    scores = [compute_scores(metrics, its) for its in judged]
    ends = [intervals(metrics, its, groups) for its in judged]
    return Comparison(part, first, judged[0], groups, metrics, scores, ends, compared)


def _metrics(runs: Sequence[AnsweredRun]) -> tuple[str, ...]:
    """Those that the recipes name: what the first one decided by first, then what rows are told apart by."""
    scores = [name for run in runs for name in run.results["scores"]]
    return tuple(dict.fromkeys([runs[0].results["decided_by"], runs[0].task.row_metric, *scores]))


def _row_by_row(first: AnsweredRun, ours: Judged, its: Judged, groups: np.ndarray) -> tuple[Resolution, list[Change]]:
    """What the rows can tell apart, and which of them do."""
    worth, its_worth = (first.task.row_scores(one.labels, one.predicted) for one in (ours, its))
    found = resolution(paired_difference(its_worth, worth, groups), worth, its_worth)
    apart = its_worth.astype(np.float64) - worth.astype(np.float64)
    # Of classes the surest first: there both models say something else and mean it.
    distance = np.abs(its.probabilities - ours.probabilities).max(1) if ours.probabilities.size else np.abs(apart)
    rows = np.flatnonzero(apart)
    rows = rows[np.argsort(-distance[rows], kind="stable")]
    return found, [Change(int(at), bool(apart[at] > 0)) for at in rows]
