"""Scores of predictions, by scikit-learn through `evaluate`, without a network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import datasets
import evaluate
import numpy as np
from sklearn import metrics as sk

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "matthews_correlation": sk.matthews_corrcoef,
}
for _name, _function in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
    # A class that is never predicted has precision 0 here, without a warning for each evaluation.
    _FUNCTIONS[_name] = partial(_function, average="weighted", zero_division=0)
    _FUNCTIONS[f"{_name}_macro"] = partial(_function, average="macro", zero_division=0)


class _Score(evaluate.Metric):
    """One of the functions above as an `evaluate.Metric`, so that `evaluate.combine` takes it."""

    def __init__(self, name: str, **kwargs: Any):
        self._score_name = name
        super().__init__(config_name=name, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=f"scikit-learn's {self._score_name}",
            citation="",
            inputs_description="class ids",
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, float]:
        return {self._score_name: float(_FUNCTIONS[self._score_name](references, predictions))}


def compute_scores(names: Sequence[str], predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """The named scores of int class ids, in the order of the names; see `recipe.schema.METRICS`."""
    with tempfile.TemporaryDirectory() as folder:  # evaluate keeps its inputs in a file there
        combined = evaluate.combine([_Score(name, cache_dir=folder) for name in names])
        scores = combined.compute(predictions=predictions, references=references)
    return {name: scores[name] for name in names}
