"""Multi-label classification: each text has any number of classes, none included.

Labels are float32 [examples, classes], 1 where an example has the class and 0 elsewhere, as transformers takes them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from accel_cls.data.labels import Classes, described_counts, found_classes, lacking_classes, named_classes
from accel_cls.errors import UserError, shown
from accel_cls.models.output_scale import OutputScale
from accel_cls.recipe.canonical import canonical_label
from accel_cls.recipe.sections.data import Data
from accel_cls.recipe.sections.loss import FOCAL
from accel_cls.recipe.sections.loss import Loss as Form
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks.bayes import fit_bayes_of_indicators
from accel_cls.tasks.class_scores import ClassScore, class_scores, class_table
from accel_cls.tasks.class_weights import class_weights
from accel_cls.tasks.linear import NEVER, fit_indicators
from accel_cls.tasks.lists import BITS, read_list, vector_length
from accel_cls.tasks.losses import BinaryCrossEntropy, BinaryFocalLoss
from accel_cls.tasks.questions import Question
from accel_cls.tasks.soft_targets import SoftLoss, sigmoid_divergence
from accel_cls.tasks.task import CROSS_ENTROPY, Decoded, Loss, Predictor, Table

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

THRESHOLD = 0.5  # from this probability on a text is predicted to have a class
_INDICATORS = BITS | {"": False}


@dataclass(frozen=True)
class MultiLabel:
    """See `Task`."""

    columns: tuple[str, ...] = ()  # a label column for each class, of 0 and 1; none: one column holds all of them
    separator: str = ","  # between the classes in a cell of one column
    names: tuple[str, ...] = ()  # of the classes in their order, where a recipe has them: vectors of 0 and 1 go by it

    name = "multi_label"
    problem_type = "multi_label_classification"
    headline_metrics = ("f1_macro", "f1_micro", "accuracy")
    prediction_header = ("predicted",)

    def parse(self, cell: Any) -> tuple[str, ...] | None:
        """The classes of a text: of a list, such a list as a text, a separated text, or one cell for each class.

        Each once; but 0 and 1 as often as they stand there, in what may be a vector.
        """
        if isinstance(cell, tuple):
            return self._parse_indicators(cell)
        if cell is None or cell != cell:
            return None
        if isinstance(cell, str):
            cell = _split(cell, self.separator)
        values = cell if isinstance(cell, list) else [cell]
        found = [canonical_label(value) for value in values if value is not None]
        if not found or not BITS.keys() >= {*found}:
            return tuple(dict.fromkeys(name for name in found if name))
        if len(found) == len(self.names) and not BITS.keys() & {*self.names}:
            return tuple(name for name, value in zip(self.names, found, strict=True) if BITS[value])
        return tuple(found)

    def _parse_indicators(self, cells: tuple[Any, ...]) -> tuple[str, ...] | None:
        if any(cell is None or cell != cell for cell in cells):
            return None
        found = [_INDICATORS.get(canonical_label(cell)) for cell in cells]
        if None in found:
            odd = found.index(None)
            raise ValueError(f"the column {self.columns[odd]!r} holds {shown(str(cells[odd]))!r}, expected 0 or 1,")
        return tuple(name for name, is_one in zip(self.columns, found, strict=True) if is_one)

    def find_classes(self, labels: Iterable[tuple[str, ...]], data: Data, declared: Sequence[str] | None) -> Classes:
        """Those named, else the label columns, else those found.

        Raises:
            UserError: for vectors of 0 and 1 of which nobody says what their entries stand for; and for too many.
        """
        labels = [*labels]
        if not self.columns and declared is None and (length := vector_length(labels)):
            names = ",".join([f"class_{i}" for i in range(min(length, 5))] + ["…"] * (length > 5))
            raise UserError(
                f"data.label: each cell of {data.label!r} is a list of {length} numbers, 0 or 1: one for each class, "
                f"not the classes' names; name the classes in this order in data.labels, such as data.labels=[{names}]"
            )
        named = named_classes(data, self.columns or declared)
        return named or found_classes(Counter(name for label in labels for name in label), str(data.label))

    def unknown(self, label: tuple[str, ...], known: Mapping[str, int]) -> str | None:
        """The first of its classes that is none."""
        return next((name for name in label if name not in known), None)

    def encode(self, labels: Sequence[tuple[str, ...]], known: Mapping[str, int]) -> np.ndarray:
        """Float32 [examples, classes] of 0 and 1."""
        encoded = np.zeros((len(labels), len(known)), np.float32)
        for i, label in enumerate(labels):
            encoded[i, [known[name] for name in label]] = 1
        return encoded

    def class_counts(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """Examples that have each class, int64 [classes]."""
        assert labels.shape[1] == classes
        return labels.sum(0, dtype=np.int64)

    def classes_of(self, label: Any) -> list[int]:
        """The classes that one example has."""
        return np.flatnonzero(label).tolist()

    def lacking(self, labels: np.ndarray, classes: int) -> str | None:
        """Two classes."""
        return lacking_classes(self.class_counts(labels, classes), len(labels))

    def describe(self, labels: np.ndarray, names: Sequence[str]) -> tuple[str, str]:
        """How many examples each class has."""
        return "classes", described_counts(self.class_counts(labels, len(names)), names)

    def named(self, predicted: Any, names: Sequence[str]) -> tuple[str, ...]:
        """The classes, in the order of their ids."""
        return tuple(names[i] for i in self.classes_of(predicted))

    def output_scale(self, labels: np.ndarray) -> OutputScale | None:
        """None: logits have no unit."""
        return None

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """The rarest class of each example, int64; one stratum more for examples without a class.

        Whoever has a rare class is drawn by it: so each class is split in proportion as far as its rarer companions
        leave it free.
        """
        by_rarity = np.argsort(labels.sum(0), kind="stable")
        first = labels[:, by_rarity].argmax(1)
        return np.where(labels.any(1), by_rarity[first], labels.shape[1])

    def text_of(self, label: Any, names: Sequence[str]) -> str:
        """A JSON list of names, which holds any name."""
        return json.dumps([names[i] for i in self.classes_of(label)], ensure_ascii=False)

    def parse_texts(self, cells: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """Float32 [examples, classes] of such lists."""
        return self.encode([tuple(json.loads(cell)) for cell in cells], {name: i for i, name in enumerate(names)})

    def loss(
        self, train: Train, labels: np.ndarray, classes: Classes, device: torch.device, form: Form = CROSS_ENTROPY
    ) -> Loss:
        """Binary cross-entropy or focal loss of each class, averaged over the classes, as transformers has it.

        A class's weight is that of the examples that have it against those that have not (torch's `pos_weight`);
        "balanced" makes both count the same, "effective" each as its effective number.
        """

        def inverse(size: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
            counts = self.class_counts(labels, len(classes))
            # A class that no example, or every one has, has nothing to be balanced against.
            is_mixed = (counts > 0) & (counts < len(labels))
            return np.where(is_mixed, size(len(labels) - counts) / size(np.maximum(counts, 1)), 1.0)

        settings = class_weights(train, classes.names, inverse), train.label_smoothing, device
        return BinaryFocalLoss(*settings, form.focal_gamma) if form.kind == FOCAL else BinaryCrossEntropy(*settings)

    def soft_loss(self, labels: np.ndarray, temperature: float) -> SoftLoss:
        """The divergence of each class, averaged over the classes."""
        return sigmoid_divergence(temperature)

    def row_losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Binary cross-entropy, the mean over classes."""
        x = logits.astype(np.float64)
        return (np.maximum(x, 0) - x * labels + np.log1p(np.exp(-np.abs(x)))).mean(1)

    def decode(self, logits: np.ndarray) -> Decoded:
        """Sigmoid; the classes from THRESHOLD on, float32 [examples, classes] of 0 and 1."""
        with np.errstate(over="ignore"):  # exp(1e4) is inf, and 1 / inf the 0 that is meant
            probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
        return Decoded(probabilities, (probabilities >= THRESHOLD).astype(np.float32))

    def prediction_cells(self, labels: Sequence[str], probabilities: Mapping[str, float]) -> tuple[str]:
        """The list of its classes."""
        return (json.dumps(list(labels), ensure_ascii=False),)

    json_keys = ("labels", "probabilities")

    def as_json(self, labels: Sequence[str], probabilities: dict[str, float]) -> dict[str, Any]:
        """The labels, which may be none."""
        return {"labels": list(labels), "probabilities": probabilities}

    def as_decision(self, labels: Sequence[str]) -> list[str]:
        """The labels, which may be none."""
        return list(labels)

    has_classes = True
    split_by = "class"
    linear_method = "logistic regression"
    constant = ("majority", "the classes that half of the examples have")

    def constant_logits(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """The share of each class."""
        with np.errstate(divide="ignore"):  # of a class that all or none have
            odds = np.log(labels.mean(0, dtype=np.float64)) - np.log(1 - labels.mean(0, dtype=np.float64))
        return np.clip(odds, NEVER, -NEVER).astype(np.float32)

    def fit_linear(self, features: csr_matrix, labels: np.ndarray, classes: int, balanced: bool) -> Predictor:
        """A regression for each class."""
        return fit_indicators(features, labels, balanced)

    def fit_bayes(self, features: csr_matrix, labels: np.ndarray, classes: int) -> Predictor:
        """Of each class."""
        return fit_bayes_of_indicators(features, labels)

    def questions(self, labels: np.ndarray, logits: np.ndarray, names: Sequence[str]) -> list[Question]:
        """Whether it has each class."""

        def question(at: int, name: str, has: np.ndarray) -> Question:
            def relabel(label: np.ndarray, answer: int) -> np.ndarray:
                return np.where(np.arange(len(label)) == at, np.float32(answer), label)

            given = labels[:, at].astype(np.int64)
            return Question(given, np.stack([1 - has, has], axis=1), (f"not {name}", name), relabel)

        probabilities = self.decode(logits).probabilities
        return [question(at, name, probabilities[:, at]) for at, name in enumerate(names)]

    row_metric = "accuracy"

    def row_scores(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Whether all classes of an example are right, and no other was predicted."""
        return (labels == predicted).all(1)

    def class_results(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """Scores by class."""
        return {"classes": [*map(asdict, _scores(labels, predicted, names))]}

    def report_tables(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> list[Table]:
        """Scores by class."""
        return [class_table(_scores(labels, predicted, names))]


def _scores(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> list[ClassScore]:
    hits, true, found = (x.sum(0, dtype=np.int64) for x in (labels * predicted, labels, predicted))
    return class_scores(hits, true, found, names)


def _split(text: str, separator: str) -> list[Any]:
    """The parts of a cell: of a list, or between separators.

    Raises:
        ValueError: for what looks like a list and can't be read as one.
    """
    if (found := read_list(text)) is not None:
        return found
    parts = text.strip().split(separator)
    if parts[0][:1] == "[" and parts[-1][-1:] == "]":
        if re.search(r"\s\.\.\.\s", text):  # as numpy shows more than a thousand numbers
            raise ValueError(f"the label {shown(text)!r} is a list that was cut where it was written,")
        if "]" not in parts[0]:
            raise ValueError(f"the label {shown(text)!r} looks like a list, and is none as JSON or Python writes it,")
    return text.split(separator)
