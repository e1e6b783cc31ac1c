"""A teacher's vectors of the texts, learned beside its answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import normalize

from accel_cls.batching.batches import Batch
from accel_cls.models.passes import inputs_of
from accel_cls.training.objective import Objective, at_least_float32, rows_of


@dataclass(frozen=True)
class HiddenDistilled:
    """Another objective's loss, and `factor` times how far what the last layer reads is from what the teacher's read.

    The squared distance of vectors of length 1 (from 0 to 4, twice what a cosine lacks of 1), as Sun et al. 2019 have
    it of the first tokens of several layers. A text without a label counts in it as one with a label does.
    """

    inner: Objective  # of one pass
    last_layer: torch.nn.Module
    vectors: np.ndarray  # float32 [texts, hidden]: of all texts that are learned, of length 1
    factor: float

    def weight(self, examples: np.ndarray) -> float:
        """As without it."""
        return self.inner.weight(examples)

    def losses(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """See `Objective`."""
        with inputs_of(self.last_layer) as read:
            losses = self.inner.losses(model, batch)
        (ours,) = read
        apart = normalize(at_least_float32(ours), dim=1) - rows_of(self.vectors, batch)
        return losses + self.factor * apart.square().sum(1)
