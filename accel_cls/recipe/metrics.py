"""The tasks that a recipe may name, the metrics that each has, and which way is better."""

from __future__ import annotations

from typing import Literal, get_args

Task = Literal["single_label", "multi_label"]
Metric = Literal[
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
    "hamming_loss",
]
METRICS: tuple[str, ...] = get_args(Metric)
_ONLY_SINGLE = ("balanced_accuracy", "matthews_correlation")
_ONLY_MULTI = ("precision_micro", "recall_micro", "f1_micro", "hamming_loss")  # of one class each, micro is accuracy
METRICS_OF: dict[str, tuple[str, ...]] = {
    "single_label": tuple(name for name in METRICS if name not in _ONLY_MULTI),
    "multi_label": tuple(name for name in METRICS if name not in _ONLY_SINGLE),
}
LOWER_IS_BETTER = ("loss", "hamming_loss")
