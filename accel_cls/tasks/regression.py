"""Regression: each text has a number. Labels are float32 [examples], in their own unit, as a model's logits are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from accel_cls.data.labels import Classes
from accel_cls.errors import shown
from accel_cls.models.output_scale import OutputScale
from accel_cls.recipe.sections.data import Data
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks.linear import fit_numbers
from accel_cls.tasks.questions import Question
from accel_cls.tasks.soft_targets import SoftLoss, squared_difference
from accel_cls.tasks.task import Decoded, Loss, Predictor, Table

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
# Parts of equally many examples that a split draws from, and the least of each: what is split off has one of each.
_STRATA, _LEAST = 10, 50
_LARGEST = float(np.finfo(np.float32).max)
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Regression:
    """See `Task`. Its one output stands where others have classes, and is called like the label's column."""

    name = "regression"
    problem_type = "regression"
    headline_metrics = ("mae", "rmse", "spearman")
    prediction_header = ("predicted",)
    has_classes = False
    split_by = "size of the label"
    linear_method = "ridge regression"
    constant = ("median", "the median of the labels")

    def parse(self, cell: Any) -> float | None:
        """A finite number, also one that is written as a text."""
        if cell is None or cell != cell or (isinstance(cell, str) and not cell.strip()):
            return None
        is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
        is_text = isinstance(cell, str) and _NUMBER.fullmatch(cell.strip())
        if not ((is_number or is_text) and -_LARGEST <= _as_float(cell) <= _LARGEST):
            raise ValueError(f"the label {shown(str(cell))!r} is no number, as task: regression needs it,")
        return float(cell)

    def find_classes(self, labels: Iterable[float], data: Data, declared: Sequence[str] | None) -> Classes:
        """The label's column."""
        return Classes((str(data.label),), (str(data.label),))

    def unknown(self, label: float, known: Mapping[str, int]) -> None:
        """No number is."""

    def encode(self, labels: Sequence[float], known: Mapping[str, int]) -> np.ndarray:
        """Float32 [examples]."""
        return np.array(labels, np.float32)

    def lacking(self, labels: np.ndarray, classes: int) -> str | None:
        """Two different numbers."""
        if len(np.unique(labels)) > 1:
            return None
        return f"all {len(labels)} examples have the label {_text(labels[0])}; there is nothing to learn"

    def describe(self, labels: np.ndarray, names: Sequence[str]) -> tuple[str, str]:
        """From where to where the labels go."""
        low, middle, high = (_text(value) for value in np.quantile(labels, (0, 0.5, 1)).astype(np.float32))
        return "labels", f"numbers from {low} to {high}, median {middle}"

    def class_counts(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """All examples, [1]."""
        return np.array([len(labels)])

    def classes_of(self, label: Any) -> tuple[int, ...]:
        """The one output."""
        return (0,)

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """The tenth of the examples by size that each is in, of few examples a larger part; equal numbers in one."""
        count = min(_STRATA, max(1, len(labels) // _LEAST))
        bounds = np.unique(np.quantile(labels, np.arange(1, count) / count))
        return np.searchsorted(bounds, labels, side="right")

    def text_of(self, label: Any, names: Sequence[str]) -> str:
        """The number, as short as it is."""
        return _text(label)

    def parse_texts(self, cells: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """Float32 [examples]."""
        return np.array([*map(float, cells)], np.float32)

    def output_scale(self, labels: np.ndarray) -> OutputScale:
        """Deviation and mean of the training labels: a model learns numbers of about 1."""
        return OutputScale(_deviation(labels), float(labels.mean(dtype=np.float64)))

    def loss(self, train: Train, labels: np.ndarray, classes: Classes, device: torch.device) -> Loss:
        """The squared error, in deviations of the training labels."""
        return SquaredError(_deviation(labels))

    def soft_loss(self, labels: np.ndarray, temperature: float) -> SoftLoss:
        """The squared difference, in deviations of the training labels."""
        return squared_difference(_deviation(labels))

    def mean_loss(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """The mean squared error, in the label's unit."""
        return float(np.square(logits[:, 0].astype(np.float64) - labels).mean())

    def decode(self, logits: np.ndarray) -> Decoded:
        """The numbers, float32 [examples], and no probabilities."""
        return Decoded(np.empty((len(logits), 0)), logits[:, 0])

    def named(self, predicted: Any, names: Sequence[str]) -> tuple[str]:
        """The number."""
        return (_text(predicted),)

    def prediction_cells(self, labels: Sequence[str], probabilities: Mapping[str, float]) -> tuple[str]:
        """The number."""
        (label,) = labels
        return (label,)

    json_keys = ("value",)

    def as_json(self, labels: Sequence[str], probabilities: dict[str, float]) -> dict[str, Any]:
        """The number."""
        return {"value": float(labels[0])}

    def as_decision(self, labels: Sequence[str]) -> None:
        """There are no rules on numbers."""

    def constant_logits(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """The median, which has the smallest mean absolute error."""
        return np.array([np.median(labels)], np.float32)

    def fit_linear(self, features: csr_matrix, labels: np.ndarray, classes: int, balanced: bool) -> Predictor:
        """Ridge regression."""
        return fit_numbers(features, labels)

    def fit_bayes(self, features: csr_matrix, labels: np.ndarray, classes: int) -> Predictor:
        """There are no classes."""
        raise NotImplementedError

    def questions(self, labels: np.ndarray, logits: np.ndarray, names: Sequence[str]) -> list[Question]:
        """There are no classes."""
        return []

    row_metric = "mae"

    def row_scores(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Minus the absolute error."""
        return -np.abs(labels.astype(np.float64) - predicted)

    def class_results(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """Quantiles of labels, answers and errors."""
        found = _quantiles(labels, predicted)
        return {"quantiles": {"at": [*_QUANTILES], **{name: values.tolist() for name, values in found.items()}}}

    def report_tables(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> list[Table]:
        """The same quantiles; and the error among small and large labels."""
        rows = [
            [name, *(f"{value:.4g}" for value in values)] for name, values in _quantiles(labels, predicted).items()
        ]
        return [
            Table("Quantiles", "Errors are predicted minus true.", ["", *(f"{q:.0%}" for q in _QUANTILES)], rows),
            _by_size(labels, predicted),
        ]


class SquaredError:
    """The squared error, in units of a deviation."""

    def __init__(self, deviation: float):
        self._deviation = deviation

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Float32 [R]."""
        return ((logits[:, 0] - labels) / self._deviation).square()

    def weights(self, labels: np.ndarray) -> np.ndarray:
        """Each example counts the same."""
        return np.ones(len(labels), np.float32)


def _as_float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def _deviation(labels: np.ndarray) -> float:
    return float(labels.std(dtype=np.float64)) or 1.0


def _text(number: Any) -> str:
    """A float32 as the shortest text that means it."""
    return str(np.float32(number)).removesuffix(".0")


def _quantiles(labels: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    errors = predicted.astype(np.float64) - labels
    columns = {"label": labels, "predicted": predicted, "error": errors, "absolute error": np.abs(errors)}
    return {name: np.quantile(values.astype(np.float64), _QUANTILES) for name, values in columns.items()}


def _by_size(labels: np.ndarray, predicted: np.ndarray) -> Table:
    """The error in each quarter of the labels: what regression is pulled to the mean by."""
    errors = predicted.astype(np.float64) - labels
    bounds = np.unique(np.quantile(labels, (0.25, 0.5, 0.75)))
    quarter = np.searchsorted(bounds, labels, side="left")
    rows = []
    for i in np.unique(quarter):
        own = quarter == i
        between = f"{_text(labels[own].min())} to {_text(labels[own].max())}"
        rows.append(
            [between, str(own.sum()), f"{errors[own].mean():+.4g}", f"{np.abs(errors[own]).mean():.4g}"],
        )
    text = "Small labels that are predicted too large, and large ones too small, are what a model does not tell apart."
    return Table("Errors by label", text, ["label", "rows", "mean error", "mean absolute error"], rows)
