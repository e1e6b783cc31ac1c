"""What a finished run's answers are made of: its temperature and rules, fitted, judged, and put beside the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.deciding.calibration import (
    FOLDS,
    NONE,
    Calibration,
    calibrate,
    folds_of,
    one_of_each,
    quality,
)
from accel_cls.evaluation.deciding.decisions import (
    Fitted,
    Outcome,
    Rules,
    Seen,
    apply,
    fit,
    joined,
    judge,
    keepable,
    of_decided,
)
from accel_cls.evaluation.deciding.postprocessing import PLAIN, Postprocessing
from accel_cls.evaluation.deciding.rules import rules_of
from accel_cls.evaluation.deciding.thresholds import CONFIDENCE, Promised, coverage_range
from accel_cls.recipe import Recipe
from accel_cls.runs.answers import write_answers
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.postprocessing import has_postprocessing, write_postprocessing
from accel_cls.tasks import Task


@dataclass(frozen=True)
class Settled:
    """What a run's answers are made of, and what that comes to."""

    post: Postprocessing
    calibration: dict[str, Any] | None  # of results.json; None of a task without classes
    decisions: dict[str, Any] | None  # likewise; None where the recipe has no rules


def settle(recipe: Recipe, task: Task, names: Sequence[str], validation: Answers, test: Answers | None) -> Settled:
    """Fit on the validation answers what a recipe asks for.

    Args:
        recipe: the run's.
        task: what was learned.
        names: of the classes, in the order of their ids.
        validation: what the best model says of the validation rows.
        test: of the test rows; None where there are none.
    """
    if not task.has_classes:
        return Settled(PLAIN, None, None)
    groups = validation.groups
    found = _calibration(recipe, validation, groups)
    temperature = tuple(found.temperature.tolist())
    if recipe.decide is None:
        return Settled(Postprocessing(temperature), _calibration_results(found, names, validation, test), None)
    rules = rules_of(recipe.decide, names)
    fitting = _Fitting(task, validation, groups, found)
    kept, fitted, reached = fitting.fit(rules)
    thresholds = tuple(fitted.thresholds.tolist()) if kept.has_thresholds else None
    post = Postprocessing(temperature, thresholds, fitted.sets_from)
    on_test = None if test is None else apply(fitted, _seen(task, test, found.temperature))
    decisions = {
        "confidence": CONFIDENCE,
        "rules": [*_rule_results(rules, kept, fitting.of_all(rules), fitted, names, (reached, on_test))],
        "validation": _overall(kept, reached),
        "test": None if on_test is None else _overall(kept, on_test),
    }
    return Settled(post, _calibration_results(found, names, validation, test), decisions)


def put_in_place(
    settled: Settled, folder: RunFolder, task: Task, names: Sequence[str], validation: Answers, test: Answers | None
) -> None:
    """Save it with the model, and let the files of predictions say what predict says."""
    if settled.post.is_plain and not has_postprocessing(folder):
        return
    write_answers(folder, "validation", validation, task, names, settled.post)
    if test is not None:
        write_answers(folder, "test", test, task, names, settled.post)
    write_postprocessing(folder, settled.post, names)


def _calibration(recipe: Recipe, validation: Answers, groups: np.ndarray) -> Calibration:
    if recipe.evaluate.calibrate == "none":
        before = quality(validation.logits, validation.labels)
        return Calibration(NONE, "evaluate.calibrate: none", [NONE] * FOLDS, before, None)
    return calibrate(validation.logits, validation.labels, groups)


def _calibration_results(
    found: Calibration, names: Sequence[str], validation: Answers, test: Answers | None
) -> dict[str, Any]:
    is_one = len(found.temperature) == 1
    temperature = found.temperature.tolist()
    return {
        "temperature": temperature[0] if is_one else dict(zip(names, temperature, strict=True)),
        "why_none": found.why_none,
        "rows": len(validation),
        "validation": {"before": found.before, "after": found.after},
        "test": None
        if test is None
        else {
            "before": quality(test.logits, test.labels),
            "after": None if found.why_none else quality(test.logits / found.temperature, test.labels),
        },
    }


def _seen(task: Task, answers: Answers, temperature: np.ndarray) -> Seen:
    answered = Postprocessing(tuple(temperature.tolist())).answer(task, answers.logits)
    return Seen(answered.probabilities, answered.predicted, answers.labels)


@dataclass(frozen=True)
class _Fitting:
    """The rows that rules are fitted on; of copies of a text one, as the others are no evidence of their own."""

    task: Task
    validation: Answers
    groups: np.ndarray
    calibration: Calibration

    def fit(self, rules: Rules) -> tuple[Rules, Fitted, Outcome]:
        """The rules that can be kept, what they come to on all rows, and on rows that they were not fitted on."""
        kept = keepable(rules, self.of_all(rules))
        reached = self._out_of_fold(kept)
        if kept.f1:
            (scores,) = (one for one in judge(kept, reached) if "f1_macro" in one)
            if scores["f1_macro"] <= scores["f1_macro_at_0.5"]:
                kept = replace(kept, f1=False)
                reached = self._out_of_fold(kept)
        return kept, self.of_all(kept), reached

    def of_all(self, rules: Rules) -> Fitted:
        """Fitted on all rows."""
        seen = _seen(self.task, self.validation, self.calibration.temperature)
        return fit(rules, seen.select(one_of_each(self.groups)))

    def _out_of_fold(self, rules: Rules) -> Outcome:
        """What comes out where neither temperature nor rules have seen a row; in the order of the folds."""
        folds = folds_of(self.groups)
        singles = np.zeros(len(folds), bool)
        singles[one_of_each(self.groups)] = True
        parts = []
        for fold, temperature in enumerate(self.calibration.by_fold):
            seen = _seen(self.task, self.validation, temperature)
            others = singles & (folds != fold)
            fitted = fit(rules, seen.select(others), weight=singles.sum() / others.sum())
            parts.append(apply(fitted, seen.select(folds == fold)))
        return joined(parts)


def _rule_results(
    rules: Rules,
    kept: Rules,
    wanted: Fitted,
    fitted: Fitted,
    names: Sequence[str],
    outcomes: tuple[Outcome, Outcome | None],
) -> Iterator[dict[str, Any]]:
    """An entry for each rule that the recipe asks for, those that were left out included."""
    validation, test = (None if one is None else iter([*judge(kept, one)]) for one in outcomes)
    assert validation is not None
    for described, is_kept in _described(rules, kept, wanted, fitted, names):
        reached: dict[str, Any] = {"validation": None, "test": None}
        if is_kept:
            on_test = None if test is None else next(test)
            reached = {"validation": next(validation), "test": on_test}
            if on_test is not None:
                on_test["is_below"] = _is_below(described, on_test)
        yield described | {"kept": is_kept} | reached


def _described(
    rules: Rules, kept: Rules, wanted: Fitted, fitted: Fitted, names: Sequence[str]
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each rule with its threshold, and whether it is kept; in the order of `judge`."""
    for at, target in rules.precision.items():
        found = wanted.promised[at]
        threshold = float(fitted.thresholds[at]) if at in kept.precision else None
        described = {"rule": "precision", "class": names[at], "target": target, "threshold": threshold}
        yield described | _promise(found), at in kept.precision
    if rules.accuracy is not None:
        assert wanted.accurate is not None
        described = {"rule": "accuracy", "target": rules.accuracy, "threshold": wanted.accurate.threshold}
        yield described | _promise(wanted.accurate), kept.accuracy is not None
    if rules.abstain_below is not None:
        yield {"rule": "abstain_below", "threshold": rules.abstain_below}, True
    if rules.f1 or rules.thresholds:
        by_class = dict(zip(names, fitted.thresholds.tolist(), strict=True))
        yield {"rule": "threshold", "target": "f1" if rules.f1 else None, "thresholds": by_class}, rules.f1 == kept.f1
    if rules.coverage is not None:
        described = {"rule": "coverage", "target": rules.coverage, "threshold": fitted.sets_from}
        between = [*coverage_range(fitted.rows, rules.coverage)] if kept.coverage else None
        yield described | {"between": between}, kept.coverage is not None


def _promise(found: Promised) -> dict[str, Any]:
    """What is promised, and by how many texts; or what could be at most."""
    is_kept = found.threshold is not None
    bounds = {"promised": found.bound if is_kept else None, "at_most": None if is_kept else found.bound}
    return bounds | {"texts": found.texts}


def _is_below(described: dict[str, Any], on_test: dict[str, Any]) -> bool:
    """Whether what test rows have reached is less than the target, with the same confidence (Clopper and Pearson)."""
    from scipy.special import betaincinv

    kind, target = described["rule"], described.get("target")
    if kind == "coverage":  # which is promised over all draws of validation rows, and of these is in a range
        target = described["between"][0]
    rows = on_test["rows"]
    counts = {"precision": on_test.get("decided"), "coverage": rows, "accuracy": rows * (on_test.get("share") or 0)}
    share, count = on_test.get(kind), counts.get(kind)
    if share is None or not count or not isinstance(target, float):
        return False
    count = round(count)
    hits = round(share * count)
    return hits < count and bool(betaincinv(hits + 1, count - hits, CONFIDENCE) < target)


def _overall(kept: Rules, outcome: Outcome) -> dict[str, Any] | None:
    """What all rules together leave undecided; None where nothing is."""
    if not outcome.seen.is_exclusive or not kept.has_thresholds:
        return None
    return of_decided(outcome)
