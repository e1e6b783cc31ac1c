"""R-Drop: each text goes through the model twice, and the answers, which dropout alone parts, are drawn together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from accel_cls.batching.batches import Batch
from accel_cls.models.passes import outputs_of
from accel_cls.training.objective import Objective, Supervised, at_least_float32


@dataclass(frozen=True)
class RDrop:
    """The mean loss of two passes, and `factor` times how far their answers are apart (Liang et al. 2021).

    Both passes lie within the micro-batch's seeded draws, the second one's dropout after the first one's.
    """

    inner: Objective  # of one pass
    supervised: Supervised
    factor: float

    def weight(self, examples: np.ndarray) -> float:
        """As without it: an example counts in both parts by its own weight."""
        return self.inner.weight(examples)

    def losses(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """See `Objective`."""
        with outputs_of(model) as outputs:
            losses = [self.inner.losses(model, batch) for _ in range(2)]
        first, second = (at_least_float32(output.logits) for output in outputs)
        apart = self.supervised.loss.divergence(first, second)
        return (losses[0] + losses[1]) / 2 + self.factor * self.supervised.row_weights(batch) * apart
