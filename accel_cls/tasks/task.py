"""What a task is: all that depends on the kind of label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from accel_cls.data.labels import Classes, LabelReader
from accel_cls.models.output_scale import OutputScale
from accel_cls.recipe.sections.loss import Loss as Form
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks.questions import Question
from accel_cls.tasks.soft_targets import SoftLoss

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Decoded:
    """What logits say of examples."""

    probabilities: np.ndarray  # float64 [examples, classes]; of a task without classes [examples, 0]
    predicted: np.ndarray  # in the form of the task's encoded labels


@dataclass(frozen=True)
class Table:
    """A section of a report."""

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Loss(Protocol):
    """The training loss of a task, for one recipe and its classes."""

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Each row's loss, float32 [R], class weights included, of logits float32 [R, outputs]."""

    def weights(self, labels: np.ndarray) -> np.ndarray:
        """What each example counts in an update's mean, [examples]: losses' sum is divided by the sum of these."""

    def divergence(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """How far two passes' answers are apart, float32 [R], of logits float32 [R, outputs]; 0 where they are alike.

        The mean of both Kullback-Leibler divergences, in the unit of the losses; without the examples' weights.
        """


CROSS_ENTROPY = Form()


Predictor = Callable[["csr_matrix"], np.ndarray]


class Task(LabelReader, Protocol):
    """Owns what depends on the kind of label, from the cell of a data file to the section of a report.

    It is a `LabelReader` for `data/`, which stands below. An array of encoded labels has an entry for each example
    along its first axis; what is in it is the task's own matter: nothing outside looks into it.
    """

    @property
    def name(self) -> str:
        """As recipes have it."""

    @property
    def problem_type(self) -> str:
        """transformers' word, by which a saved model and `pipeline` know the task."""

    def loss(
        self, train: Train, labels: np.ndarray, classes: Classes, device: torch.device, form: Form = CROSS_ENTROPY
    ) -> Loss:
        """The training loss.

        Args:
            labels: of the training examples, from which balanced class weights follow.
            device: where the logits will be.
            form: with the kind of loss that is wanted, one that the task has.

        Raises:
            UserError: where the recipe's class weights do not name just the classes.
        """

    def soft_loss(self, labels: np.ndarray, temperature: float) -> SoftLoss:
        """What is learned of a teacher's answers.

        Args:
            labels: of the training examples, from which the unit of a number follows.
            temperature: what logits are divided by, where they stand for probabilities.
        """

    def output_scale(self, labels: np.ndarray) -> OutputScale | None:
        """The unit of labels and logits, from the training labels; None where they have none."""

    def row_losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The losses whose mean predictions are scored by, without class weights and smoothing, float64 [examples].

        Args:
            logits: float32 [examples, outputs].
            labels: of the same examples.
        """

    def decode(self, logits: np.ndarray) -> Decoded:
        """Predictions and probabilities of logits, float32 [examples, outputs]."""

    @property
    def headline_metrics(self) -> Sequence[str]:
        """The metrics that are told first of predictions, whatever a recipe chooses."""

    @property
    def prediction_header(self) -> Sequence[str]:
        """The columns of a file of predictions, besides the probability of each class."""

    def prediction_cells(self, labels: Sequence[str], probabilities: Mapping[str, float]) -> Sequence[str]:
        """One example's cells under that header, of the predicted classes and the probability of each class."""

    def parse_texts(self, cells: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """The encoded labels of such cells as `text_of`, or the first of `prediction_cells`, makes."""

    def named(self, predicted: Any, names: Sequence[str]) -> tuple[str, ...]:
        """One entry of `Decoded.predicted` in words: names of classes, or a number."""

    @property
    def json_keys(self) -> Sequence[str]:
        """The keys that `as_json` gives."""

    def as_json(self, labels: Sequence[str], probabilities: dict[str, float]) -> dict[str, Any]:
        """One prediction for programs, with its `labels` and the probability of each class."""

    def as_decision(self, labels: Sequence[str]) -> str | list[str] | None:
        """What is decided of one text by rules, for programs; None where nothing is."""

    @property
    def linear_method(self) -> str:
        """What `fit_linear` is called."""

    @property
    def constant(self) -> tuple[str, str]:
        """What is best said of all texts alike: what it is called, and what it is in a few words."""

    def constant_logits(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """The same as logits, float32 [outputs], from the labels of the training examples."""

    def fit_linear(self, features: csr_matrix, labels: np.ndarray, classes: int, balanced: bool) -> Predictor:
        """Linear regression of the task's kind.

        Args:
            features: of the training examples, float32 [examples, features].
            labels: of these.
            classes: how many there are.
            balanced: whether all classes weigh the same.

        Returns:
            A function from features of texts to logits as a model's, float32 [texts, outputs].
        """

    def fit_bayes(self, features: csr_matrix, labels: np.ndarray, classes: int) -> Predictor | None:
        """Naive Bayes, on features that are not negative; else as `fit_linear`. None of a task without classes."""

    def questions(self, labels: np.ndarray, logits: np.ndarray, names: Sequence[str]) -> list[Question]:
        """What the labels decide, with what logits, float32 [examples, outputs], say of it; none without classes."""

    @property
    def row_metric(self) -> str:
        """The metric that is the mean of `row_scores`, or minus it: "accuracy" or "mae"."""

    def row_scores(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """What each example's answer is worth, [examples], more is better.

        Bool, whether it is right, their mean the accuracy; or float64, minus its absolute error.
        """

    def class_results(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """What a report's sections show, for programs."""

    def report_tables(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> list[Table]:
        """The sections of a report on predictions of examples whose true labels are known."""
