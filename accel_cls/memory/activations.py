"""What a forward pass saves for the backward pass: counted by running it."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

import torch
from transformers import PreTrainedModel

from accel_cls.models.recomputing import keeping_all, recomputed_layers


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
    """Bytes that autograd saves of a forward pass over these inputs, in train mode, besides the weights.

    Of layers that are recomputed it is what goes into each, and all that the one saves whose turn it is.
    """
    layers, saved = recomputed_layers(model), _Saved()
    hooks = [layer.register_forward_pre_hook(saved.enter, with_kwargs=True) for layer in layers]
    hooks += [layer.register_forward_hook(saved.leave, always_call=True) for layer in layers]
    was_training = model.training
    model.train()
    try:
        with torch.autograd.graph.saved_tensors_hooks(saved.save, lambda tensor: tensor), keeping_all(model):
            loss_for_memory(model(**inputs).logits)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return saved.count({t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())})


class _Saved:
    """What a forward pass saves: in each layer that is recomputed, and outside of these."""

    def __init__(self) -> None:
        # The storages themselves, by address: freed, its address would come again.
        self._outside: dict[int, torch.UntypedStorage] = {}
        self._inside: list[dict[int, torch.UntypedStorage]] = []
        self._here = self._outside

    def save(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        self._here[storage._cdata] = storage
        return tensor

    def enter(self, _: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        for value in (*arguments, *options.values()):
            if isinstance(value, torch.Tensor):
                self.save(value)  # outside: the second pass begins with it
        self._here = {}
        self._inside.append(self._here)

    def leave(self, *_: Any) -> None:
        self._here = self._outside

    def count(self, weights: Set[int]) -> int:
        """Bytes, besides those of the weights, by address."""

        def size(storages: dict[int, torch.UntypedStorage], others: Set[int]) -> int:
            return sum(storage.nbytes() for address, storage in storages.items() if address not in others)

        own = weights | self._outside.keys()
        return size(self._outside, weights) + max((size(layer, own) for layer in self._inside), default=0)


def loss_for_memory(logits: torch.Tensor) -> torch.Tensor:
    """A number to go backward from, in place of a task's loss.

    What a loss saves is of the logits' size, [rows, classes] floats: cross-entropy saves its log-softmax. With two
    classes that is 8 bytes a row, whose activations are 4 MB in a BERT 2×128 with 128 tokens.
    """
    return logits.float().sum()
