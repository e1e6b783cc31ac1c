"""Rules by which probabilities become decisions: fitted on labelled rows, judged on those they were not fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accel_cls.evaluation.deciding.postprocessing import candidates_of, decide, prediction_sets
from accel_cls.evaluation.deciding.thresholds import (
    Promised,
    conformal_threshold,
    f1_threshold,
    promised_threshold,
)

DEFAULT = 0.5  # from which probability on a text has a class, where each is a decision of its own


@dataclass(frozen=True)
class Rules:
    """What a recipe wants decided, classes by their ids."""

    precision: Mapping[int, float] = field(default_factory=dict)  # how often a decision for a class is to be right
    accuracy: float | None = None  # how often a decision is to be right
    abstain_below: float | None = None  # from which probability on the likeliest class is decided for
    thresholds: Mapping[int, float] = field(default_factory=dict)  # of classes that are decided for one by one
    f1: bool = False  # whether the thresholds of the others are those of their highest F1
    coverage: float | None = None  # how often a prediction set is to hold the true class

    @property
    def has_thresholds(self) -> bool:
        """Whether any of them decides."""
        return bool(self.precision or self.accuracy or self.abstain_below or self.thresholds or self.f1)


@dataclass(frozen=True)
class Seen:
    """Calibrated answers to rows whose labels are known."""

    probabilities: np.ndarray  # float64 [rows, classes]
    predicted: np.ndarray  # as the task has encoded it
    labels: np.ndarray  # likewise

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_exclusive(self) -> bool:
        """Whether each row has just one class."""
        return self.labels.ndim == 1

    @property
    def candidates(self) -> np.ndarray:
        """Which classes may be decided for, bool [rows, classes]."""
        return candidates_of(self.predicted, self.probabilities.shape[1])

    @property
    def true(self) -> np.ndarray:
        """Which classes rows have, bool [rows, classes]."""
        if self.labels.ndim == 2:
            return self.labels > 0
        return self.labels[:, None] == np.arange(self.probabilities.shape[1])

    @property
    def of_true(self) -> np.ndarray:
        """The probability of each row's one class, float64 [rows]."""
        return self.probabilities[np.arange(len(self)), self.labels]

    def select(self, rows: np.ndarray) -> Seen:
        """Some of the rows, by number or by bool."""
        return Seen(self.probabilities[rows], self.predicted[rows], self.labels[rows])


@dataclass(frozen=True)
class Fitted:
    """What rules have come to on some rows."""

    thresholds: np.ndarray  # float64 [classes]; inf for a class that is never decided for
    sets_from: float | None  # None: no sets
    promised: dict[int, Promised]  # of rules.precision, by class
    accurate: Promised | None  # of rules.accuracy
    rows: int  # on which they were fitted

    @property
    def broken(self) -> list[int]:
        """The classes whose precision can't be promised."""
        return [at for at, one in self.promised.items() if one.threshold is None]


def fit(rules: Rules, seen: Seen, weight: float = 1.0) -> Fitted:
    """The thresholds of rules on some rows, each of which is evidence of its own; see `promised_threshold`."""
    classes = seen.probabilities.shape[1]
    thresholds = np.full(classes, rules.abstain_below or 0.0) if seen.is_exclusive else np.full(classes, DEFAULT)
    if rules.f1:
        found = [f1_threshold(seen.probabilities[:, at], seen.true[:, at]) for at in range(classes)]
        thresholds = np.array([DEFAULT if one is None else one for one in found])
    for at, threshold in rules.thresholds.items():
        thresholds[at] = threshold
    accurate = None
    if rules.accuracy is not None:
        right = seen.predicted == seen.labels
        accurate = promised_threshold(seen.probabilities.max(1), right, rules.accuracy, weight=weight)
        thresholds[:] = np.inf if accurate.threshold is None else accurate.threshold
    floor = rules.abstain_below or 0.0
    promised = {at: _precise(seen, at, floor, target, weight) for at, target in rules.precision.items()}
    for at, one in promised.items():
        thresholds[at] = np.inf if one.threshold is None else max(one.threshold, floor)
    sets_from = None if rules.coverage is None else conformal_threshold(seen.of_true, rules.coverage)
    return Fitted(thresholds, sets_from, promised, accurate, len(seen))


def _precise(seen: Seen, at: int, floor: float, target: float, weight: float) -> Promised:
    rows = seen.candidates[:, at] & (seen.probabilities[:, at] >= floor)
    return promised_threshold(seen.probabilities[rows, at], seen.true[rows, at], target, weight=weight)


def keepable(rules: Rules, fitted: Fitted) -> Rules:
    """The rules without those whose promise can't be given."""
    precision = {at: target for at, target in rules.precision.items() if at not in fitted.broken}
    is_accurate = fitted.accurate is None or fitted.accurate.threshold is not None
    coverage = rules.coverage if fitted.sets_from else None  # from 0 on, a set is every class
    accuracy = rules.accuracy if is_accurate else None
    return Rules(precision, accuracy, rules.abstain_below, rules.thresholds, rules.f1, coverage)


@dataclass(frozen=True)
class Outcome:
    """Rows with what rules make of them."""

    seen: Seen
    decided: np.ndarray  # bool [rows, classes]
    sets: np.ndarray | None  # likewise
    is_ruled: np.ndarray  # likewise: whether there is a threshold, of which too few rows to fit on leave none


def apply(fitted: Fitted, seen: Seen) -> Outcome:
    """What fitted rules make of rows."""
    sets = None if fitted.sets_from is None else prediction_sets(seen.probabilities, fitted.sets_from)
    decided = decide(seen.probabilities, seen.predicted, fitted.thresholds)
    return Outcome(seen, decided, sets, np.broadcast_to(np.isfinite(fitted.thresholds), decided.shape))


def joined(parts: list[Outcome]) -> Outcome:
    """Several outcomes as one."""
    names = ("probabilities", "predicted", "labels")
    seen = Seen(*(np.concatenate([getattr(one.seen, name) for one in parts]) for name in names))
    sets = [one.sets for one in parts if one.sets is not None]
    decided, is_ruled = (np.concatenate([getattr(one, name) for one in parts]) for name in ("decided", "is_ruled"))
    return Outcome(seen, decided, np.concatenate(sets) if len(sets) == len(parts) else None, is_ruled)


def judge(rules: Rules, outcome: Outcome) -> Iterator[dict[str, Any]]:
    """What each rule has reached, in the order of the rules: its precision class by class, then the others."""
    seen, decided = outcome.seen, outcome.decided
    true = seen.true
    for at in rules.precision:
        rows = outcome.is_ruled[:, at]
        yield _of_class(decided[rows, at], true[rows, at], seen.candidates[rows, at])
    if rules.accuracy is not None or rules.abstain_below is not None:
        yield of_decided(outcome)
    if rules.f1 or rules.thresholds:
        default = seen.probabilities >= DEFAULT
        scores = {"f1_macro": _macro_f1(decided, true), "f1_macro_at_0.5": _macro_f1(default, true)}
        yield scores | {"rows": len(seen)}
    if rules.coverage is not None:
        assert outcome.sets is not None
        sizes = outcome.sets.sum(1)
        alone = sizes == 1
        yield {
            "coverage": float(outcome.sets[true].mean()),
            "mean_size": float(sizes.mean()),
            "of_one_class": float(alone.mean()),
            "rows": len(seen),
            "coverage_by_class": [_mean(outcome.sets[true[:, at], at]) for at in range(true.shape[1])],
        }


def _of_class(decided: np.ndarray, true: np.ndarray, candidates: np.ndarray) -> dict[str, Any]:
    """One class: how often decisions for it are right, how many of the rows that have it are found."""
    return {
        "precision": _mean(true[decided]),
        "recall": _mean(decided[true]),
        "decided": int(decided.sum()),
        "candidates": int(candidates.sum()),
        "rows": len(true),
    }


def of_decided(outcome: Outcome) -> dict[str, Any]:
    """Rows of one class each: the share that is decided, and how much of that is right."""
    rows = outcome.is_ruled.all(1)
    decided = outcome.decided[rows]
    is_decided, right = decided.any(axis=1), (decided & outcome.seen.true[rows]).any(axis=1)
    return {"share": _mean(is_decided), "accuracy": _mean(right[is_decided]), "rows": len(decided)}


def _macro_f1(decided: np.ndarray, true: np.ndarray) -> float:
    """The mean over classes; undefined ones count as 0."""
    both, counts = (decided & true).sum(0), decided.sum(0) + true.sum(0)
    return float(np.divide(2 * both, counts, out=np.zeros(len(counts)), where=counts > 0).mean())


def _mean(values: Any) -> float | None:
    """Of an array; None of nothing."""
    return float(values.mean()) if len(values) else None
