"""Texts of a class get like vectors, those of two classes unlike ones: the first stage of learning from few labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from accel_cls.batching.batches import Batch
from accel_cls.batching.pair_batches import PairBatch
from accel_cls.models.passes import inputs_of
from accel_cls.training.objective import at_least_float32


@dataclass(frozen=True)
class CosineOfPairs:
    """The squared error of the cosine of two texts' vectors: 1 is right for those of one class, 0 for others.

    As SetFit has it (Tunstall et al. 2022). A text's vector is what the model's last layer reads.
    """

    last_layer: torch.nn.Module

    def weight(self, examples: np.ndarray) -> float:
        """The number of pairs."""
        return float(len(examples))

    def losses(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Each pair's, float32 [R]."""
        assert isinstance(batch, PairBatch)
        with inputs_of(self.last_layer) as read:
            model(**batch.inputs)
        vectors = at_least_float32(read[0])
        first, second = (vectors[rows] for rows in batch.texts.unbind(1))
        return (cosine_similarity(first, second) - batch.labels).square()
