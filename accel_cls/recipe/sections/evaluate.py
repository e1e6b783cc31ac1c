"""The recipe's section `evaluate`: when and by what a model is judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accel_cls.recipe.metrics import METRICS, Metric
from accel_cls.recipe.section import Section, setting


class Evaluate(Section):
    """How it is evaluated."""

    every: Literal["epoch", "end"] | Annotated[int, Field(ge=1)] = setting(
        "epoch",
        "'epoch', 'end' or a whole number of updates, 1 or more",
        "when to score the validation examples; always also at the end. With 'end' nothing is chosen by them, and the "
        "last weights are kept: better where validation examples are too few to tell one epoch from the next",
        "an interval of no updates is none; the end is always scored",
    )
    metrics: Annotated[list[Metric], Field(min_length=1)] = setting(
        ["accuracy", "f1", "precision", "recall"],
        "a list of " + ", ".join(METRICS) + ", or functions of your own as module:function",
        "what to compute; docs/evaluation.md says what each means, and which tasks have it. precision, recall and f1 "
        "are weighted by class size, *_macro are not: all classes count the same there, absent ones as 0. Left out: "
        "these, with task: ordinal mae, accuracy, quadratic_kappa, and with task: regression mae, rmse, spearman",
    )
    best: Metric | Literal["loss"] = setting(
        "accuracy",
        "one of evaluate.metrics, or 'loss'",
        "which score decides the model that is kept. Left out: accuracy, with task: ordinal or regression mae",
    )
    patience: int | None = setting(
        None,
        "a whole number of evaluations, 1 or more",
        "stop after so many evaluations in a row without a gain: a score that is better than the last gain's by "
        "min_gain or more",
        "null turns it off",
        ge=1,
    )
    min_gain: float = setting(
        0.0,
        "a number, 0 or more, in units of `best`",
        "how much better a score has to be for patience to begin anew; the best model is kept whatever its lead",
        "a gain is never negative",
        ge=0,
    )
    behaviour: int = setting(
        100,
        "a whole number of texts, 0 or more",
        "how many validation texts the kept model is asked about once more at the end, each changed in a dozen ways, "
        "such as by a typo or a negation; 0 turns it off",
        "fewer than none can't be asked about",
        ge=0,
    )
    calibrate: Literal["temperature", "none"] = setting(
        "temperature",
        "'temperature' or 'none'",
        "at the run's end, fit the temperature by which `accel-cls predict` divides logits, so that the model is as "
        "sure as it is right; kept only where rows that it was not fitted on gain by it. No prediction changes",
    )
