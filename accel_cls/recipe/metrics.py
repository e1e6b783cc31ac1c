"""The tasks that a recipe may name, the metrics that each has, and which way is better."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

Task = Literal["single_label", "multi_label", "ordinal", "regression"]
TASKS: tuple[str, ...] = get_args(Task)
Named = Literal[
    "accuracy",
    "precision",
    "recall",
    "f1",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "precision_micro",
    "recall_micro",
    "f1_micro",
    "balanced_accuracy",
    "matthews_correlation",
    "cohen_kappa",
    "quadratic_kappa",
    "hamming_loss",
    "roc_auc",
    "pr_auc",
    "top_3_accuracy",
    "top_5_accuracy",
    "log_loss",
    "brier",
    "ece",
    "mae",
    "rmse",
    "spearman",
]
OWN_METRIC = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"  # a function of the user's, module:function
Metric = Named | Annotated[str, Field(pattern=OWN_METRIC)]


@dataclass(frozen=True)
class About:
    """What is known of a metric before it is computed."""

    meaning: str
    tasks: tuple[str, ...]
    less_is_better: bool = False


_ONE, _SEVERAL, _CLASSES = ("single_label", "ordinal"), ("multi_label",), ("single_label", "multi_label", "ordinal")
_NUMBERS = ("ordinal", "regression")
METRICS: dict[str, About] = {
    "accuracy": About("share of rows that are right; multi_label: of which all classes are right", _CLASSES),
    "precision": About("mean of the classes' precision, weighted by their rows", _CLASSES),
    "recall": About("mean of the classes' recall, weighted by their rows", _CLASSES),
    "f1": About("mean of the classes' F1, weighted by their rows", _CLASSES),
    "precision_macro": About("mean of all classes' precision, undefined as 0", _CLASSES),
    "recall_macro": About("mean of all classes' recall, undefined as 0", _CLASSES),
    "f1_macro": About("mean of all classes' F1, undefined as 0", _CLASSES),
    "precision_micro": About("precision over all decisions", _SEVERAL),
    "recall_micro": About("recall over all decisions", _SEVERAL),
    "f1_micro": About("F1 over all decisions", _SEVERAL),
    "balanced_accuracy": About("mean recall of the classes that have rows", _ONE),
    "matthews_correlation": About("correlation of true and predicted classes; 0 where one side is constant", _ONE),
    "cohen_kappa": About("agreement beyond chance", _ONE),
    "quadratic_kappa": About("agreement beyond chance, faults weighted by their squared distance", ("ordinal",)),
    "hamming_loss": About("share of all decisions that are wrong", _SEVERAL, less_is_better=True),
    "roc_auc": About("area under the ROC curve, each class against the others, mean; of two the second", _CLASSES),
    "pr_auc": About(
        "average precision, each class against the others, mean (multi_label: mAP); of two the second", _CLASSES
    ),
    "top_3_accuracy": About("share of rows whose class is among the three likeliest", _ONE),
    "top_5_accuracy": About("share of rows whose class is among the five likeliest", _ONE),
    "log_loss": About("mean of minus the logarithm of what is true's probability", _CLASSES, less_is_better=True),
    "brier": About("mean squared distance of probabilities from what is true", _CLASSES, less_is_better=True),
    "ece": About("expected calibration error, 15 bins of equal width", _CLASSES, less_is_better=True),
    "mae": About("mean absolute error; ordinal: in classes", _NUMBERS, less_is_better=True),
    "rmse": About("root of the mean squared error; ordinal: in classes", _NUMBERS, less_is_better=True),
    "spearman": About("correlation of the ranks of labels and answers", _NUMBERS),
}
# What is computed where a recipe says nothing of metrics, of tasks whose labels have distances; the first decides.
DISTANCE_METRICS = {"ordinal": ("mae", "accuracy", "quadratic_kappa"), "regression": ("mae", "rmse", "spearman")}
METRICS_OF: dict[str, tuple[str, ...]] = {
    task: tuple(name for name, about in METRICS.items() if task in about.tasks) for task in TASKS
}


def is_own(name: str) -> bool:
    """Whether a metric is a function of the user's, module:function."""
    return re.match(OWN_METRIC, name) is not None
