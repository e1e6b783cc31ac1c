"""The supervised contrastive loss: texts of a class get like vectors, those of others unlike ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import log_softmax, normalize

from accel_cls.batching.batches import Batch
from accel_cls.models.passes import inputs_of
from accel_cls.training.objective import Objective, Supervised, at_least_float32


@dataclass(frozen=True)
class Contrastive:
    """Another objective's loss, and `factor` times the contrastive one of what the last layer reads of each text.

    Texts are compared within their micro-batch, whose examples follow from the recipe, as long as there are as many
    micro-batches as processes: across processes each would have to know the vectors of all.
    """

    inner: Objective  # of one pass
    supervised: Supervised
    last_layer: torch.nn.Module
    factor: float
    temperature: float

    def weight(self, examples: np.ndarray) -> float:
        """As without it: an example counts in both parts by its own weight."""
        return self.inner.weight(examples)

    def losses(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """See `Objective`."""
        with inputs_of(self.last_layer) as read:
            losses = self.inner.losses(model, batch)
        (vectors,) = read
        draws = at_least_float32(vectors) if vectors.ndim == 3 else at_least_float32(vectors).unsqueeze(0)
        # Several of the last dropout, where model.dropout_samples says so.
        apart = torch.stack([contrast(one, batch.labels, batch.mask, self.temperature) for one in draws]).mean(0)
        return losses + self.factor * self.supervised.row_weights(batch) * apart


def contrast(vectors: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, temperature: float) -> torch.Tensor:
    """Of each text, the mean of -log p over the others of its class, p the softmax of its cosines with all others.

    Khosla et al. 2020, L_out, with one view a text; 0 where no other text has its class.

    Args:
        vectors: float [R, hidden]; one that is not finite, whose own loss is none, spoils no other's.
        labels: int64 [R].
        mask: [R], 0 at fillers, which take no part.
        temperature: what cosines are divided by.

    Returns:
        [R].
    """
    unit = normalize(vectors, dim=1)
    takes_part = mask.bool() & unit.isfinite().all(1)
    others = takes_part & takes_part.unsqueeze(1) & ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    # The least number, not -inf, which of a text without others would make nan.
    cosines = (unit @ unit.T / temperature).masked_fill(~others, torch.finfo(unit.dtype).min)
    alike = others & (labels.unsqueeze(1) == labels)
    return -log_softmax(cosines, 1).masked_fill(~alike, 0).sum(1) / alike.sum(1).clamp_min(1)
