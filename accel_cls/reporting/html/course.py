"""How it went: losses, the deciding score, rate and speed over the epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accel_cls.console import duration
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.loss import Loss
from accel_cls.reporting.averages import describe_mean
from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html.plots import Chart, chart
from accel_cls.reporting.markdown import describe_memory, describe_saves, number
from accel_cls.reporting.refit import describe_refit

_EPOCH = "epoch"
_Judged = list[tuple[float, dict[str, float | None]]]  # epochs, and the scores of their evaluations
_Mark = tuple[float, float, str] | None  # where the kept model is, in words, too


@dataclass(frozen=True)
class Evaluation:
    """A row of the table of evaluations."""

    epoch: float
    update: int
    scores: tuple[float | None, ...]
    is_kept: bool  # the best one, whose model is kept


@dataclass(frozen=True)
class Course:
    """See `content`."""

    charts: tuple[Chart, ...]
    facts: tuple[tuple[str, str], ...]
    metrics: tuple[str, ...]
    evaluations: tuple[Evaluation, ...]


def content(facts: Facts) -> Course:
    """Curves, what the training took, and every evaluation."""
    results = facts.results
    metrics = tuple(results["scores"])
    evaluations = [
        Evaluation(
            one["epoch"],
            one["update"],
            tuple(one["evaluation"].get(name) for name in metrics),
            one["update"] == results["update"],
        )
        for one in results["evaluations"]
    ]
    return Course(tuple(_charts(facts)), tuple(_took(facts)), metrics, tuple(evaluations))


def _charts(facts: Facts) -> list[Chart]:
    results, key = facts.results, facts.results["decided_by"]
    logged = [one for one in facts.log if "examples_per_second" in one]
    judged = [(one["epoch"], one["evaluation"]) for one in results["evaluations"]]
    best = results["scores"].get(key)
    mark = None if best is None else (results["epoch"], best, f"kept: {number(best)}")
    rate = [(one["epoch"], one["learning_rate"]) for one in logged]
    speed = [(one["epoch"], one["examples_per_second"]) for one in logged]
    wanted = [
        *_losses(facts.recipe, logged, judged, mark if key == "loss" else None),
        *_score(judged, key, mark),
        chart("Learning rate", "the rate by epoch", _EPOCH, [("rate", "second", rate)], from_zero=True),
        chart("Speed, examples a second", "speed by epoch", _EPOCH, [("speed", "second", speed)], from_zero=True),
    ]
    return [one for one in wanted if one is not None]


def _losses(recipe: Recipe, logged: list[dict[str, Any]], judged: _Judged, mark: _Mark) -> list[Chart | None]:
    """Both in one chart, or each in its own where they do not measure the same."""
    training = ("training", "second", [(one["epoch"], one["loss"]) for one in logged])
    validation = ("validation", "main", [(epoch, scores["loss"]) for epoch, scores in judged])
    # Numbers are learned in deviations and judged in their unit; what an objective adds, evaluations do not have.
    others = recipe.task == "regression", recipe.loss != Loss(), recipe.distill, recipe.few_shot
    if not any(others):
        about = "training and validation loss by epoch"
        return [chart("Loss", about, _EPOCH, [training, validation], mark)]
    return [
        chart("Training loss", "what is minimized, by epoch", _EPOCH, [training]),
        chart("Validation loss", "the task's loss by epoch", _EPOCH, [validation], mark),
    ]


def _score(judged: _Judged, key: str, mark: _Mark) -> list[Chart | None]:
    """The curve of the deciding score, which has its own place where it is not the loss."""
    if key == "loss":
        return []
    points = [(epoch, scores.get(key)) for epoch, scores in judged]
    return [chart(f"Validation {key}", f"{key} by epoch", _EPOCH, [(key, "main", points)], mark)]


def _took(facts: Facts) -> list[tuple[str, str]]:
    """What the training took, named."""
    results = facts.results
    ended = " (patience was over)" if results["stopped_early"] else ""
    kept = f"after update {results['update']:,}, epoch {results['epoch']:.2f}"
    padding = results.get("texts", {}).get("padding")
    return [
        ("time", duration(results["seconds"])),
        ("updates", f"{results['updates']:,}{ended}"),
        ("best", kept),
        *([("weights", told)] if (told := describe_mean(results)) else []),
        *([("refit", told)] if (told := describe_refit(results)) else []),
        *([("padding", f"{padding:.1%} of the tokens")] if padding is not None else []),
        *([("memory", memory)] if (memory := describe_memory(results)) else []),
        ("checkpoints", describe_saves(results)),
        *(
            [("skipped", f"{results['skipped']:,} updates whose loss or gradient was no finite number")]
            if results["skipped"]
            else []
        ),
        *(
            [("scaler", f"{results['scaler_skips']:,} updates skipped to find fp16's scale")]
            if results["scaler_skips"]
            else []
        ),
    ]
