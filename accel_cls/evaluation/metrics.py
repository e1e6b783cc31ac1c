"""Scores of predictions, by scikit-learn through `evaluate`, without a network."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import datasets
import evaluate
import numpy as np
from sklearn import metrics as sk

from accel_cls.recipe.metrics import LOWER_IS_BETTER

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,  # the mean recall of the classes that have examples
    "matthews_correlation": sk.matthews_corrcoef,
    "hamming_loss": sk.hamming_loss,
}
# Means over classes: given all of them, scikit-learn counts those that no example has, and none is predicted to have.
_OVER_CLASSES: dict[str, Callable[..., float]] = {}
for _name, _function in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
    # What is undefined, such as the precision of a class that is never predicted, counts as 0.
    _OVER_CLASSES[_name] = partial(_function, average="weighted", zero_division=0)
    _OVER_CLASSES[f"{_name}_macro"] = partial(_function, average="macro", zero_division=0)
    _OVER_CLASSES[f"{_name}_micro"] = partial(_function, average="micro", zero_division=0)


class _Score(evaluate.Metric):
    """One of the functions above as an `evaluate.Metric`, so that `evaluate.combine` takes it."""

    def __init__(self, name: str, classes: int, is_indicator: bool, **kwargs: Any):
        self._score_name = name
        self._classes = classes
        self._is_indicator = is_indicator
        super().__init__(config_name=name, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("int64")
        kind = datasets.List(number) if self._is_indicator else number
        return evaluate.MetricInfo(
            description=f"scikit-learn's {self._score_name}",
            citation="",
            inputs_description="class ids, or for each class whether it is there",
            features=datasets.Features({"predictions": kind, "references": kind}),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        true, predicted = np.asarray(references), np.asarray(predictions)
        if self._score_name in _OVER_CLASSES:
            score = _OVER_CLASSES[self._score_name](true, predicted, labels=np.arange(self._classes))
        else:
            with warnings.catch_warnings():  # balanced_accuracy warns of a prediction of a class without examples
                warnings.simplefilter("ignore", UserWarning)
                score = _FUNCTIONS[self._score_name](true, predicted)
        return {self._score_name: float(score)}


def compute_scores(
    names: Sequence[str], predictions: np.ndarray, references: np.ndarray, classes: int
) -> dict[str, float]:
    """The named scores, in the order of the names; see `recipe.schema.METRICS`.

    Args:
        predictions: int class ids [examples], or 0 and 1 [examples, classes].
        references: what is true, likewise.
        classes: how many classes there are, those included that are neither there nor predicted.
    """
    is_indicator = predictions.ndim == 2
    with tempfile.TemporaryDirectory() as folder:  # evaluate keeps its inputs in a file there
        combined = evaluate.combine([_Score(name, classes, is_indicator, cache_dir=folder) for name in names])
        scores = combined.compute(predictions=predictions.astype(np.int64), references=references.astype(np.int64))
    return {name: scores[name] for name in names}


def is_better(name: str, score: float, than: float | None) -> bool:
    """Whether a score is a new best. One that is no finite number never is."""
    if not np.isfinite(score):
        return False
    return than is None or (score < than if name in LOWER_IS_BETTER else score > than)
