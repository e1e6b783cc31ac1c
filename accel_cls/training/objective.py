"""What a micro-batch contributes to the gradient of its update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from accel_cls.batching.batches import Batch
from accel_cls.models.packing import move
from accel_cls.tasks import Loss


@dataclass(frozen=True)
class MicroBatchLoss:
    """A micro-batch that this process has been through."""

    examples: tuple[int, ...]  # of each row but the fillers', its example's position in the training data
    losses: torch.Tensor  # float32 [R] on the device: each row's own loss, those of fillers after them
    loss: torch.Tensor  # float32 scalar on the device: its share of the update's loss


class Objective(Protocol):
    """What is minimized: forward passes over a micro-batch, and the losses that come of them.

    The task's own is `Supervised`; those of `objectives/` wrap another one each.

    The gradient of an update is the sum of its losses divided by its weight, however it is cut and shared. So the
    weight follows from the examples alone. One that draws random numbers of its own draws them by seed, update and
    example, never by micro-batch.
    """

    def weight(self, examples: np.ndarray) -> float:
        """What the summed losses of an update of these examples are divided by, the same on every process."""

    def losses(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Each row's loss, float32 [R]; those of fillers are not looked at."""


@dataclass(frozen=True)
class Supervised:
    """The task's loss of one forward pass."""

    loss: Loss
    labels: np.ndarray  # [examples, ...]: the task's encoded labels of the training data

    def weight(self, examples: np.ndarray) -> float:
        """The sum of the examples' weights: their number, unless classes have weights."""
        return float(self.loss.weights(self.labels[examples]).sum(dtype=np.float64))

    def row_weights(self, batch: Batch) -> torch.Tensor:
        """What each row counts, float32 [R] on the device; 0 for fillers, and for texts without a label."""
        examples = np.array(batch.examples, np.int64)
        weights, has_label = np.zeros(len(batch.mask), np.float32), np.flatnonzero(examples < len(self.labels))
        weights[has_label] = self.loss.weights(self.labels[examples[has_label]])
        return move(weights, batch.mask.device)

    def losses(self, model: Callable[..., Any], batch: Batch) -> torch.Tensor:
        """Of logits in float32, whatever the precision of the pass."""
        return self.of_logits(at_least_float32(model(**batch.inputs).logits), batch)

    def of_logits(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Of what a pass has answered, float32 [R, outputs]."""
        return self.loss.losses(logits, batch.labels)


def rows_of(values: np.ndarray, batch: Batch) -> torch.Tensor:
    """What a batch's texts have of `values`, [texts, ...], on the device: [R, ...], zeros for fillers."""
    rows = np.zeros((len(batch.mask), *values.shape[1:]), values.dtype)
    rows[: len(batch.examples)] = values[np.array(batch.examples, np.int64)]
    return move(rows, batch.mask.device)


def at_least_float32(values: torch.Tensor) -> torch.Tensor:
    """Values as a loss is reckoned of them."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
