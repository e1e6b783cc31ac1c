"""Micro-batches of pairs of texts as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from accel_cls.batching.batches import Batch, Batches
from accel_cls.batching.layout import MicroBatch
from accel_cls.batching.pairs import Pairs
from accel_cls.models.packing import move


@dataclass(frozen=True)
class PairBatch(Batch):
    """A micro-batch of pairs: `labels` and `mask`, [R], and `examples` are of these, the inputs of their texts.

    `labels` are float32: 1 for two texts of one class, 0 for others.
    """

    texts: torch.Tensor  # int64 [R, 2]: which two of the texts that the model reads, in their order, are a pair


@dataclass(frozen=True)
class PairBatches:
    """Makes tensors of micro-batches of pairs."""

    batches: Batches  # of the texts
    pairs: Pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def text_lengths(self, examples: Sequence[int]) -> np.ndarray:
        """Tokens of each text of some pairs, int32, two for each."""
        return self.batches.text_lengths(self.pairs.texts[list(examples)].reshape(-1).tolist())

    def make(self, micro_batch: MicroBatch, update: int = 0) -> PairBatch:
        """A micro-batch's tensors, on the device, whatever the update."""
        pairs = np.array(micro_batch.examples, np.int64)
        texts = self.pairs.texts[pairs].reshape(-1)
        lengths = self.batches.encoded.lengths[texts]
        order = np.argsort(-lengths, kind="stable")  # as rows are laid out: the longest first
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        single = replace(micro_batch, examples=tuple(texts[order].tolist()), windows=None)
        inputs = self.batches.make(single, update).inputs
        # A process without pairs keeps step with one text, compared with itself.
        rows = place.reshape(-1, 2) if len(pairs) else np.zeros((1, 2), np.int64)
        same = self.pairs.same[pairs] if len(pairs) else np.zeros(1)
        mask = np.full(len(rows), float(len(pairs) > 0))
        device = self.batches.device
        return PairBatch(
            inputs=inputs,
            labels=move(same.astype(np.float32), device),
            mask=move(mask.astype(np.float32), device),
            examples=micro_batch.examples,
            texts=move(rows, device),
        )
