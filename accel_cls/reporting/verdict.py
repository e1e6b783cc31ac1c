"""Whether a finished run is worth having: beside something simple on the same rows, and by how it went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Part
from accel_cls.errors import listed
from accel_cls.evaluation.baselines import Baseline, baselines
from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import compute_scores, less_is_better
from accel_cls.evaluation.statistics.intervals import Interval, intervals
from accel_cls.evaluation.statistics.paired import paired_difference
from accel_cls.recipe import Recipe
from accel_cls.reporting.decision_words import advice_on_rules
from accel_cls.reporting.pretraining import read_beforehand
from accel_cls.reporting.slices import worst_in_words
from accel_cls.reporting.teacher import describe_flattery
from accel_cls.tasks import Task

_CHANCE = 0.05  # from this p on a difference may be chance
_GAIN = 0.001  # of a score between two evaluations, under which nothing improves
_WITH_UNIT = ("mae", "rmse")  # scores whose gain is a share of them
_WEIGHTS = "train.class_weights: balanced gives rare classes more weight"
_DOUBLED = 2.0


def score_baselines(corpus: Corpus, task: Task, metrics: Sequence[str], notes: list[str]) -> list[dict[str, Any]]:
    """The baselines with their scores on the validation examples, for programs.

    Their accuracy or mean absolute error is there, whatever the metrics are. Test examples are not looked at.
    """
    labels = corpus.validation.labels
    simple = baselines(corpus, task, notes)
    return [_scored(one, Judged.of(task, labels, one.logits["validation"]), task, metrics) for one in simple]


def compare_with_baselines(
    simple: Sequence[Baseline], part: Part, judged: Judged, groups: np.ndarray, task: Task, metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """The same on one part of the examples, each with how much better a model is than it.

    Args:
        simple: the baselines.
        part: whose examples are judged.
        judged: what the model says of them.
        groups: see `Answers.groups`.
        task: what was learned.
        metrics: the recipe's.
    """
    ours = task.row_scores(judged.labels, judged.predicted)
    compared = []
    for one in simple:
        its = Judged.of(task, judged.labels, one.logits[part])
        found = paired_difference(ours, task.row_scores(its.labels, its.predicted), groups)
        interval = [round(found.low, 6), round(found.high, 6)]
        sure = _rounded(intervals(["loss", *metrics], its, groups))
        more = {"intervals": sure, "difference": found.difference, "interval": interval, "p": found.p}
        compared.append(_scored(one, its, task, metrics) | more)
    return compared


def _scored(one: Baseline, judged: Judged, task: Task, metrics: Sequence[str]) -> dict[str, Any]:
    worth = compute_scores([task.row_metric], judged)
    return {"name": one.name, "about": one.about, **worth, "scores": compute_scores(["loss", *metrics], judged)}


def score_answers(judged: Judged, groups: np.ndarray, metrics: Sequence[str]) -> dict[str, Any]:
    """The loss and scores of a model's answers, and their intervals, for programs; groups as `Answers.groups`."""
    names = ["loss", *metrics]
    return {"scores": compute_scores(names, judged), "intervals": _rounded(intervals(names, judged, groups))}


def _rounded(found: Mapping[str, Interval | None]) -> dict[str, list[float] | None]:
    """Intervals for programs, to the digits that resampling can tell."""
    return {name: None if one is None else [round(end, 6) for end in one] for name, one in found.items()}


def best_baseline(scored: Sequence[dict[str, Any]], decided_by: str) -> dict[str, Any]:
    """The one with the best score by what a recipe decides by."""

    def score(one: dict[str, Any]) -> float:
        by = decided_by if np.isfinite(one["scores"].get(decided_by, np.nan)) else measure_of(one).name
        found = one["scores"].get(by, one.get(by))
        return -found if less_is_better(by) else found

    return max(scored, key=score)


@dataclass(frozen=True)
class Measure:
    """What a model is compared with something simple by, row by row, and how that is said."""

    name: str  # of the metric
    words: str
    unit: str  # of a difference
    factor: float  # that makes it one of that unit
    digits: int
    test: str  # of no difference

    def apart(self, difference: float, sign: str = "+") -> str:
        """A difference in figures, more is better; without a sign where `sign` is empty."""
        return f"{self.factor * difference:{sign}.{self.digits}f}"


_MEASURES = (
    Measure("accuracy", "accuracy", " points", 100, 1, "McNemar"),
    Measure("mae", "mean absolute error", "", 1, 4, "sign flips"),
)


def measure_of(one: dict[str, Any]) -> Measure:
    """What a baseline, as results.json has it, is compared by."""
    return next(measure for measure in _MEASURES if measure.name in one)


def verdict(compared: Sequence[dict[str, Any]], decided_by: str, rows: int) -> str:
    """A finished run beside the best baseline, in a sentence.

    Args:
        compared: the baselines, as `compare_with_baselines` has them.
        decided_by: the score that decides.
        rows: how many were judged.
    """
    one = best_baseline(compared, decided_by)
    measure, apart, p = measure_of(one), one["difference"], one["p"]
    theirs = one[measure.name]
    ours = theirs - apart if less_is_better(measure.name) else theirs + apart
    ours = round(ours, 9)  # a sum may be off in its last bit, and be rounded up
    beside = f"{measure.words} {ours:.4f}; {one['name']} {theirs:.4f}"
    low, high = map(measure.apart, one["interval"])
    interval = f"95% interval {low} to {high}, {_p_in_words(p)}"
    if p >= _CHANCE:
        told = f"{measure.apart(apart)}{measure.unit}, which {rows:,} rows can't tell from chance"
    else:
        told = f"{measure.apart(abs(apart), '')}{measure.unit} {'better' if apart > 0 else 'worse'}"
    return f"{beside}: {told} ({interval})"


def _p_in_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def advice(recipe: Recipe, results: dict[str, Any]) -> list[str]:
    """What a finished run shows that should be otherwise, and what to do, a sentence each."""
    # Of validation rows alone: who mends what test rows show has chosen by them.
    worst = worst_in_words(results["slices"]["validation"])
    return [
        *advice_on_rules(results),
        *describe_flattery(results.get("teacher")),
        *(f"{what}; {do}" for what, do in read_beforehand(results.get("pretraining"))),
        *_beside_baselines(recipe, results),
        *_never_predicted(recipe, results),
        *_course(recipe, results),
        *worst,
    ]


def _beside_baselines(recipe: Recipe, results: dict[str, Any]) -> Iterator[str]:
    parts = [results, *([test] if (test := results.get("test")) else [])]
    one, *rest = (best_baseline(part["baselines"], results["decided_by"]) for part in parts)
    if any(each["p"] < _CHANCE and each["difference"] > 0 for each in (one, *rest)):
        return
    how = "no better than" if one["p"] >= _CHANCE else "worse than"
    do = (
        f"a pretrained encoder (model.name) usually is what beats it{_of_bert(recipe)}"
        if recipe.model.name is None
        else "train the encoder, too (without model.freeze), or take another one"
        if recipe.model.is_fitted
        else "label more texts, or take an encoder that was trained to compare sentences"
        if recipe.learns_from_pairs
        else "try other rates, which accel-cls tune does, and more epochs"
    )
    yield f"this model is {how} {one['name']} ({one['about']}), which takes seconds: {do}"


def _of_bert(recipe: Recipe) -> str:
    """What a Transformer from nothing is beaten by besides."""
    is_bag = recipe.model.scratch is not None and recipe.model.scratch.architecture == "ngrams"
    return "" if is_bag else ", or a bag of n-grams (model.scratch.architecture: ngrams), which accel-cls new writes"


def _never_predicted(recipe: Recipe, results: dict[str, Any]) -> Iterator[str]:
    classes = results.get("classes", [])  # numbers have none
    predicted = [one for one in classes if one["predicted"]]
    missed = [one["name"] for one in classes if one["examples"] and not one["predicted"]]
    again = "another encoder" if recipe.model.is_fitted else "another rate, or more epochs"
    if len(predicted) == 1 and "confusion" in results:
        yield f"all rows are said to be {predicted[0]['name']!r}: nothing was learned; {again}"
    elif missed:
        is_single = recipe.task == "single_label"
        advice = "loss.logit_adjustment lets rare classes be answered more often"
        yield f"never predicted: {listed(missed, 5)}; {advice if is_single else _WEIGHTS}"


def _course(recipe: Recipe, results: dict[str, Any]) -> Iterator[str]:
    """How scores went over the evaluations."""
    evaluations, key = results["evaluations"], results["decided_by"]
    losses = [one["evaluation"]["loss"] for one in evaluations]
    scores = [one["evaluation"][key] for one in evaluations]
    if None in losses or None in scores or len(scores) < 2:
        return
    if losses[-1] > _DOUBLED * min(losses):
        at = evaluations[losses.index(min(losses))]["epoch"]
        yield (
            f"the validation loss is {losses[-1] / min(losses):.1f} times what it was after epoch {at:.2f}: the model "
            f"{'is far surer than it is right' if 'classes' in results else 'fits the training rows alone'}; fewer "
            "epochs, a smaller rate or more dropout"
        )
    gain = (scores[-2] - scores[-1]) if less_is_better(key) else (scores[-1] - scores[-2])
    least = _GAIN * (abs(scores[-2]) if key in _WITH_UNIT else 1)
    is_whole = recipe.train.max_updates is None and not results["stopped_early"]
    falls = recipe.train.schedule not in ("constant", "inverse_sqrt")
    if is_whole and falls and results["update"] == results["updates"] and gain > least:
        yield f"{key} was still improving when the rate reached 0: more epochs (train.epochs)"
