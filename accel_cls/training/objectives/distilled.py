"""A teacher's answers, learned beside the labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from accel_cls.batching.batches import Batch
from accel_cls.models.packing import move
from accel_cls.tasks.soft_targets import SoftLoss
from accel_cls.training.objective import Supervised, at_least_float32, rows_of


@dataclass(frozen=True)
class Distilled:
    """The task's loss of a text that has a label, and how far the answer is from the teacher's, of every text.

    A mean of both, in which a text without a label counts by what it is learned of: the teacher's share alone.
    """

    supervised: Supervised
    soft: SoftLoss
    teacher: np.ndarray  # float32 [texts, outputs]: of the labelled examples, and after them of those without labels
    share: float  # of the teacher in the loss of a labelled text

    def weight(self, examples: np.ndarray) -> float:
        """The labelled ones' in the task's loss, times its share; and the teacher's share of each."""
        labelled = examples[examples < len(self.supervised.labels)]
        return (1 - self.share) * self.supervised.weight(labelled) + self.share * len(examples)

    def losses(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Of one pass, in float32."""
        return self.of_logits(at_least_float32(model(**batch.inputs).logits), batch)

    def of_logits(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Of what a pass has answered, float32 [R, outputs]."""
        examples = np.array(batch.examples, np.int64)
        has_label = np.zeros(len(logits), bool)
        has_label[: len(examples)] = examples < len(self.supervised.labels)
        own = self.supervised.of_logits(logits, batch)
        own = torch.where(move(has_label, logits.device), own, torch.zeros_like(own))
        return (1 - self.share) * own + self.share * self.soft(logits, rows_of(self.teacher, batch))
