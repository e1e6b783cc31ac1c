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


class _Scores(evaluate.Metric):
    """Several of the functions above as one `evaluate.Metric`.

    `evaluate.combine` of a metric for each would write, read back and convert all rows once for each: 3 times as long.
    """

    def __init__(self, names: Sequence[str], classes: int, is_indicator: bool, **kwargs: Any):
        self._names = names
        self._classes = classes
        self._is_indicator = is_indicator
        super().__init__(**kwargs)

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("int64")
        kind = datasets.List(number) if self._is_indicator else number
        return evaluate.MetricInfo(
            description=f"scikit-learn's {', '.join(self._names)}",
            citation="",
            inputs_description="class ids, or for each class whether it is there",
            features=datasets.Features({"predictions": kind, "references": kind}),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        true, predicted = np.asarray(references), np.asarray(predictions)
        return {name: self._score(name, true, predicted) for name in self._names}

    def _score(self, name: str, true: np.ndarray, predicted: np.ndarray) -> float:
        if name in _OVER_CLASSES:
            return float(_OVER_CLASSES[name](true, predicted, labels=np.arange(self._classes)))
        with warnings.catch_warnings():  # balanced_accuracy warns of a prediction of a class without examples
            warnings.simplefilter("ignore", UserWarning)
            return float(_FUNCTIONS[name](true, predicted))


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
    with tempfile.TemporaryDirectory() as folder:  # evaluate makes folders there, also for what it keeps in memory
        metric = _Scores(names, classes, is_indicator, keep_in_memory=True, cache_dir=folder)
        return metric.compute(predictions=predictions.astype(np.int64), references=references.astype(np.int64))


def is_better(name: str, score: float, than: float | None) -> bool:
    """Whether a score is a new best. One that is no finite number never is."""
    if not np.isfinite(score):
        return False
    return than is None or (score < than if name in LOWER_IS_BETTER else score > than)
