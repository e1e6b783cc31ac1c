"""What a forward pass saves for the backward pass: counted by running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel


def activation_bytes(model: PreTrainedModel, rows: int, width: int) -> int | None:
    """Bytes that autograd saves of a forward pass in fp32, run on the meta device, which computes shapes only.

    Args:
        model: on the meta device.
        rows, width: of the micro-batch, whose input_ids are int64 [rows, width].

    Returns:
        None for the few families (DeBERTa) whose forward pass looks at values.
    """
    ids = torch.zeros(rows, width, dtype=torch.int64, device="meta")
    try:
        return saved_tensor_bytes(model, {"input_ids": ids})
    except RuntimeError as error:  # NotImplementedError, for an operation without shapes alone, is one
        if "meta" not in str(error).lower():
            raise
        return None


def extrapolate(saved_bytes: Callable[[int], int], rows: int) -> int:
    """What a forward pass of so many rows saves, where three rows at most shall be run.

    Each further row saves as many bytes as the third. The second is no measure: of a single row some tensors are views
    that have to be copied of several, or the other way round (ModernBERT: 8% too little for 8 rows).
    """
    if rows <= 3:
        return saved_bytes(rows)
    return saved_bytes(3) + (rows - 3) * (saved_bytes(3) - saved_bytes(2))


def saved_tensor_bytes(model: PreTrainedModel, inputs: dict[str, Any]) -> int:
    """Bytes that autograd saves of a forward pass over these inputs, in train mode, besides the weights."""
    saved: dict[int, torch.UntypedStorage] = {}

    def save(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage  # the storage itself: freed, its address would come again
        return tensor

    was_training = model.training
    model.train()
    try:
        with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
            loss_for_memory(model(**inputs).logits)
    finally:
        model.train(was_training)
    own = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
    return sum(storage.nbytes() for address, storage in saved.items() if address not in own)


def loss_for_memory(logits: torch.Tensor) -> torch.Tensor:
    """A number to go backward from, in place of a task's loss.

    What a loss saves is of the logits' size, [rows, classes] floats: cross-entropy saves its log-softmax. With two
    classes that is 8 bytes a row, whose activations are 4 MB in a BERT 2×128 with 128 tokens.
    """
    return logits.float().sum()
