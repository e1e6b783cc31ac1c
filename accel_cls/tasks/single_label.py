"""Single-label classification: each text has exactly one class. Labels are class ids, int64 [examples]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from accel_cls.data.labels import Classes, described_counts, found_classes, lacking_classes, named_classes
from accel_cls.models.output_scale import OutputScale
from accel_cls.recipe.canonical import canonical_label
from accel_cls.recipe.sections.data import Data
from accel_cls.recipe.sections.loss import FOCAL, GENERALIZED
from accel_cls.recipe.sections.loss import Loss as Form
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks.bayes import fit_bayes_of_classes
from accel_cls.tasks.class_scores import ClassScore, class_scores, class_table
from accel_cls.tasks.class_weights import class_weights
from accel_cls.tasks.linear import NEVER, fit_classes
from accel_cls.tasks.lists import read_list
from accel_cls.tasks.losses import AdjustedLogits, CrossEntropy, FocalLoss, GeneralizedCrossEntropy, logit_offsets
from accel_cls.tasks.questions import Question
from accel_cls.tasks.soft_targets import SoftLoss, softmax_divergence
from accel_cls.tasks.task import CROSS_ENTROPY, Decoded, Loss, Predictor, Table

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_LARGEST_CONFUSION = 20  # classes


@dataclass(frozen=True)
class SingleLabel:
    """See `Task`."""

    name = "single_label"
    problem_type = "single_label_classification"
    headline_metrics: ClassVar[tuple[str, ...]] = ("accuracy", "f1_macro")
    prediction_header = ("predicted", "probability")

    def parse(self, cell: Any) -> str | None:
        """A class's name as it is compared; several in one cell are no label of this task."""
        if isinstance(cell, list) or (isinstance(cell, str) and _is_list(cell)):
            raise ValueError("the label is a list of classes, which needs task: multi_label,")
        return None if cell is None or cell != cell else canonical_label(cell) or None

    def find_classes(self, labels: Iterable[str], data: Data, declared: Sequence[str] | None) -> Classes:
        """Those named, else those found."""
        return named_classes(data, declared) or found_classes(Counter(labels), str(data.label))

    def unknown(self, label: str, known: Mapping[str, int]) -> str | None:
        """The label, where it is no class."""
        return None if label in known else label

    def encode(self, labels: Sequence[str], known: Mapping[str, int]) -> np.ndarray:
        """Class ids, int64 [examples]."""
        return np.array([known[label] for label in labels], np.int64)

    def class_counts(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """Examples of each class, int64 [classes]."""
        return np.bincount(labels, minlength=classes)

    def classes_of(self, label: Any) -> tuple[int, ...]:
        """Its one class."""
        return (int(label),)

    def lacking(self, labels: np.ndarray, classes: int) -> str | None:
        """Two classes."""
        return lacking_classes(self.class_counts(labels, classes), len(labels))

    def describe(self, labels: np.ndarray, names: Sequence[str]) -> tuple[str, str]:
        """How many examples each class has."""
        return "classes", described_counts(self.class_counts(labels, len(names)), names)

    def named(self, predicted: Any, names: Sequence[str]) -> tuple[str]:
        """The class."""
        return (names[int(predicted)],)

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """The classes themselves."""
        return labels

    def text_of(self, label: Any, names: Sequence[str]) -> str:
        """The class's name."""
        return names[int(label)]

    def parse_texts(self, cells: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """Class ids of names, int64."""
        ids = {name: i for i, name in enumerate(names)}
        return np.array([ids[cell] for cell in cells], np.int64)

    def loss(
        self, train: Train, labels: np.ndarray, classes: Classes, device: torch.device, form: Form = CROSS_ENTROPY
    ) -> Loss:
        """Cross-entropy, focal loss or generalized cross-entropy, of logits as they are or adjusted."""
        settings = self.class_weights(train, labels, classes), train.label_smoothing, device
        loss: CrossEntropy
        if form.kind == FOCAL:
            loss = FocalLoss(*settings, form.focal_gamma)
        elif form.kind == GENERALIZED:
            loss = GeneralizedCrossEntropy(*settings, form.gce_q)
        else:
            loss = CrossEntropy(*settings)
        if not form.logit_adjustment:
            return loss
        offsets = logit_offsets(self.class_counts(labels, len(classes)), form.logit_adjustment)
        return AdjustedLogits(loss, torch.from_numpy(offsets).to(device))

    def class_weights(self, train: Train, labels: np.ndarray, classes: Classes) -> np.ndarray | None:
        """The weight of each class, float32; None where all weigh the same.

        "balanced" weighs class c of C with n_c of n examples by n / (C n_c), like scikit-learn; "effective" by the
        effective number E_c in place of n_c: 1 / E_c, times what makes the mean over the examples 1, too.
        """

        def inverse(size: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
            counts = self.class_counts(labels, len(classes))
            sizes = size(np.maximum(counts, 1))
            # Counts over counts are 1 for each class, those without examples included: C.
            return np.where(counts, len(labels) / ((np.maximum(counts, 1) / sizes).sum() * sizes), 0.0)

        return class_weights(train, classes.names, inverse)

    def output_scale(self, labels: np.ndarray) -> OutputScale | None:
        """None: logits have no unit."""
        return None

    def soft_loss(self, labels: np.ndarray, temperature: float) -> SoftLoss:
        """The divergence of two distributions over the classes."""
        return softmax_divergence(temperature)

    def row_losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Cross-entropy."""
        true = _softmax(logits)[np.arange(len(labels)), labels]
        return -np.log(np.maximum(true, np.finfo(np.float64).tiny))

    def decode(self, logits: np.ndarray) -> Decoded:
        """Softmax; the most probable class, int64 [examples]."""
        return Decoded(_softmax(logits), logits.argmax(1))

    def prediction_cells(self, labels: Sequence[str], probabilities: Mapping[str, float]) -> tuple[str, str]:
        """The class, and its probability."""
        (label,) = labels
        return label, f"{probabilities[label]:.6f}"

    json_keys = ("label", "probability", "probabilities")

    def as_json(self, labels: Sequence[str], probabilities: dict[str, float]) -> dict[str, Any]:
        """The label and its probability."""
        (label,) = labels
        return {"label": label, "probability": probabilities[label], "probabilities": probabilities}

    def as_decision(self, labels: Sequence[str]) -> str | None:
        """The class; None where the rules abstain."""
        return labels[0] if labels else None

    has_classes = True
    split_by = "class"
    linear_method = "logistic regression"
    constant = ("majority", "the most frequent class")

    def constant_logits(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """The share of each class."""
        with np.errstate(divide="ignore"):  # of a class without examples
            shares = np.log(self.class_counts(labels, classes) / len(labels))
        return np.maximum(shares, NEVER).astype(np.float32)

    def fit_linear(self, features: csr_matrix, labels: np.ndarray, classes: int, balanced: bool) -> Predictor:
        """Multinomial regression."""
        return fit_classes(features, labels, classes, balanced)

    def fit_bayes(self, features: csr_matrix, labels: np.ndarray, classes: int) -> Predictor:
        """Of the classes."""
        return fit_bayes_of_classes(features, labels, classes)

    def questions(self, labels: np.ndarray, logits: np.ndarray, names: Sequence[str]) -> list[Question]:
        """Which class."""
        return [Question(labels, self.decode(logits).probabilities, tuple(names), lambda label, answer: answer)]

    row_metric: ClassVar[str] = "accuracy"

    def row_scores(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Whether the class is right."""
        return labels == predicted

    def class_results(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """Scores by class; which class, a row of `confusion`, was taken for which."""
        counts = _confusion(labels, predicted, len(names))
        return {"classes": [*map(asdict, _scores(counts, names))], "confusion": counts.tolist()}

    def report_tables(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> list[Table]:
        """Scores by class; which class was taken for which."""
        counts = _confusion(labels, predicted, len(names))
        tables = [class_table(_scores(counts, names))]
        if len(names) <= _LARGEST_CONFUSION:
            text = "Rows are the true classes, columns what was predicted."
            rows = [[name, *map(str, counts[i])] for i, name in enumerate(names)]
            tables.append(Table("Confusion", text, ["", *names], rows))
        return tables


def _confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How many examples of each class, a row, were predicted to be of each, a column: int64 [classes, classes]."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def _scores(confusion: np.ndarray, names: Sequence[str]) -> list[ClassScore]:
    return class_scores(np.diag(confusion), confusion.sum(1), confusion.sum(0), names)


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Float64 [examples, classes]."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    exp = np.exp(shifted)
    return exp / exp.sum(1, keepdims=True)


def _is_list(text: str) -> bool:
    return text.lstrip()[:1] == "[" and read_list(text) is not None
