"""Nine texts as a model reads them, padded or packed, and the check that both give the same."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout, MicroBatch
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.packing import make_packable
from accel_cls.tokenization.encode import Encoded


def batches_of_texts(first_position: int, count: int = 9, types: bool = False) -> Batches:
    """Of up to 12 texts of 1 to 70 tokens, with labels 0 to 2; `types`: token types of 0 and 1, too."""
    draw = np.random.default_rng(3)
    lengths = np.array([70, 3, 16, 15, 17, 44, 2, 1, 33, 20, 8, 64])[:count]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = draw.integers(4, 90, offsets[-1]).astype(np.int32)
    kinds = draw.integers(0, 2, offsets[-1]).astype(np.int8) if types else None
    encoded = Encoded(ids, kinds, offsets, 0)
    labels = draw.integers(0, 3, count)
    device = torch.device("cpu")
    return Batches(encoded, labels, Padding(1), device, None, first_position=first_position)


def logits_and_gradients(
    model: torch.nn.Module, batches: Batches, micro_batches: list[MicroBatch]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits by example, and the gradient of all losses."""
    model.zero_grad()
    logits = torch.empty(len(batches.labels), 3, dtype=torch.float64)
    for part in micro_batches:
        batch = batches.make(part)
        output = model(**batch.inputs).logits
        logits[list(part.examples)] = output.detach()[: len(part.examples)]
        (cross_entropy(output, batch.labels, reduction="none") * batch.mask).sum().backward()
    return logits, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_packed_as_padded(
    model: torch.nn.Module, types: bool = False
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """`model`, in double precision and without dropout, says and learns the same of packed texts as of padded ones.

    It is made packable. Returns the logits and gradients of the padded texts.
    """
    padded_texts = batches_of_texts(0, types=types)
    everything, lengths = np.arange(9), padded_texts.encoded.lengths
    padded = Layout(160, 160).to_micro_batches(everything, lengths)
    logits, gradients = logits_and_gradients(model, padded_texts, padded)
    first = make_packable(model)
    packed = Layout(160, 160, packed=True).to_micro_batches(everything, lengths)
    assert [part.packed for part in packed] == [True, True]
    assert len(padded) > 2
    logits_packed, gradients_packed = logits_and_gradients(model, batches_of_texts(first, types=types), packed)
    # In double precision, so that what differs is not rounding.
    assert (logits - logits_packed).abs().max() < 1e-10 * logits.abs().max()
    scale = max(g.abs().max() for g in gradients.values())
    assert gradients.keys() == gradients_packed.keys()
    for name, gradient in gradients.items():
        assert (gradient - gradients_packed[name]).abs().max() < 1e-10 * scale, name
    return logits, gradients
