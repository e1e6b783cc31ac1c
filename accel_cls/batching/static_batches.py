"""Packed micro-batches of a static shape: arrays that are copied into tensors which keep their place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from accel_cls.batching.batches import Batch, Batches
from accel_cls.batching.layout import MicroBatch
from accel_cls.batching.static_shapes import StaticShape
from accel_cls.models.packing import Packing
from accel_cls.models.packing.row import positions_of

_LABELS, _MASK, _FIRST, _LENGTHS = "labels", "mask", "first", "lengths"


def static_arrays(batches: Batches, micro_batch: MicroBatch, shape: StaticShape) -> dict[str, np.ndarray]:
    """A packed micro-batch filled up to a shape, by name; each array's shape and dtype follow from that shape alone.

    Args:
        batches: of texts that have no windows.
        micro_batch: that the shape holds.
        shape: T tokens of N texts.
    """
    examples = np.array(micro_batch.examples, np.int64)
    lengths = shape.filled_up(batches.encoded.lengths[examples])
    labels, mask = batches.labels_and_mask(examples, shape.texts)
    return {
        **batches.rows_of_tokens(examples, lengths[: len(examples)], shape.tokens),
        "position_ids": positions_of(lengths)[None] + batches.first_position,
        _FIRST: np.cumsum(lengths) - lengths,
        _LENGTHS: lengths,
        _LABELS: labels,
        _MASK: mask,
    }


def static_batch(tensors: Mapping[str, torch.Tensor], shape: StaticShape) -> Batch:
    """Tensors of such arrays as a micro-batch, whatever they hold at the time: examples are not told."""
    inputs = {name: tensor for name, tensor in tensors.items() if name not in (_LABELS, _MASK, _FIRST, _LENGTHS)}
    packing = Packing(tensors[_FIRST], tensors[_LENGTHS], shape.tokens, shape.tokens, shape.longest)
    return Batch({**inputs, "packing": packing}, tensors[_LABELS], tensors[_MASK], ())
