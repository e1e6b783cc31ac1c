"""Ordinal classification: each text has one of several classes in an order, such as stars; near is better than far.

A model has an output for each class, as with one class a text, so that a softmax of them is what it says, whoever
asks it. It is trained by the questions whether the class is beyond the first, beyond the second … (Frank & Hall 2001),
whose probabilities are sums of that softmax and can't contradict each other: a proper score of distributions in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from accel_cls.data.labels import Classes, found_classes, is_number, named_classes
from accel_cls.errors import UserError, listed
from accel_cls.recipe.sections.data import Data
from accel_cls.recipe.sections.loss import Loss as Form
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks.losses import CrossEntropy
from accel_cls.tasks.single_label import SingleLabel
from accel_cls.tasks.task import CROSS_ENTROPY, Loss, Table

_DISTANCES = 3  # from which on faults are counted together


@dataclass(frozen=True)
class Ordinal(SingleLabel):
    """See `Task`. Class ids are in the order of the classes: their differences are distances."""

    name = "ordinal"
    headline_metrics = ("mae", "accuracy", "quadratic_kappa")

    def find_classes(self, labels: Iterable[str], data: Data, declared: Sequence[str] | None) -> Classes:
        """Those named, in this order, else the numbers found, by size.

        Raises:
            UserError: for classes that are no numbers, whose order nobody says.
        """
        named = named_classes(data, declared)
        if named is not None:
            return named
        found = found_classes(Counter(labels), str(data.label))
        if not all(map(is_number, found.values)):
            raise UserError(
                "data.labels: task: ordinal needs the order of the classes, which are no numbers: "
                f"{listed(found.values, 10)}; list them from the lowest to the highest, as in data.labels=[low, high]"
            )
        return found

    def loss(
        self, train: Train, labels: np.ndarray, classes: Classes, device: torch.device, form: Form = CROSS_ENTROPY
    ) -> Loss:
        """Cross-entropy of "beyond this class?", averaged over all classes but the last."""
        return CumulativeCrossEntropy(self.class_weights(train, labels, classes), train.label_smoothing, device)

    def row_losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The same, the mean over the questions."""
        x = logits.astype(np.float64)
        up_to = np.logaddexp.accumulate(x, axis=1)[:, :-1]
        beyond = np.logaddexp.accumulate(x[:, ::-1], axis=1)[:, -2::-1]
        is_beyond = labels[:, None] > np.arange(x.shape[1] - 1)
        odds = np.where(is_beyond, up_to - beyond, beyond - up_to)  # of what is wrong
        return np.logaddexp(0, odds).mean(1)

    row_metric = "mae"

    def row_scores(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Minus the distance, in classes."""
        return -np.abs(labels - predicted).astype(np.float64)

    def class_results(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """As with classes in no order; and how many rows are how far off."""
        counts = np.bincount(np.abs(labels - predicted), minlength=len(names))
        return super().class_results(labels, predicted, names) | {"distances": counts.tolist()}

    def report_tables(self, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> list[Table]:
        """The same for people."""
        distances = np.minimum(np.abs(labels - predicted), _DISTANCES)
        counts = np.bincount(distances, minlength=min(len(names) - 1, _DISTANCES) + 1)
        said = [f"{i} or more" if i == _DISTANCES else "right" if i == 0 else f"{i}" for i in range(len(counts))]
        rows = [[one, str(count), f"{count / len(labels):.1%}"] for one, count in zip(said, counts, strict=True)]
        table = Table("Distances", "How many classes predictions are off.", ["classes off", "rows", "share"], rows)
        return [table, *super().report_tables(labels, predicted, names)]


class CumulativeCrossEntropy(CrossEntropy):
    """Binary cross-entropy of "beyond class k?" for each k but the last, their mean, times the class's weight.

    Of two classes it is cross-entropy. Smoothing spreads a share of each label over all classes.
    """

    def _unweighted(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        classes = logits.shape[1]
        first = torch.arange(classes - 1, device=logits.device)
        is_up_to = torch.arange(classes, device=logits.device) <= first.unsqueeze(1)  # [questions, classes]
        each = logits.unsqueeze(1)  # sums of neighbours by masks: a cumulative sum is in no fixed order on a GPU
        beyond = each.masked_fill(is_up_to, -torch.inf).logsumexp(2)
        up_to = each.masked_fill(~is_up_to, -torch.inf).logsumexp(2)
        target = (labels.unsqueeze(1) > first).to(logits.dtype)
        if self._smoothing:
            target = (1 - self._smoothing) * target + self._smoothing * (classes - 1 - first) / classes
        return binary_cross_entropy_with_logits(beyond - up_to, target, reduction="none").mean(1)
