"""What a training needs of memory: weights, gradients, AdamW, and what a forward pass keeps. Arithmetic only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

FLOAT = 4  # bytes: weights, gradients and AdamW's two moments are fp32 on every hardware
SHARDED = ("FSDP", "DEEPSPEED")  # accelerate's words for a model that is divided among the processes


@dataclass(frozen=True)
class Memory:
    """Bytes on one process, while the most demanding micro-batch is in work."""

    weights: int
    gradients: int
    optimizer: int
    activations: int | None  # what the forward pass keeps for the backward pass, in fp32; None: not known
    shape: tuple[int, int]  # rows and tokens of that micro-batch

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + (self.activations or 0)


def size_of_weights(model: torch.nn.Module) -> int:
    """Bytes of all weights."""
    return FLOAT * sum(p.numel() for p in model.parameters())


def memory_of(
    outline: PreTrainedModel, shapes: Iterable[tuple[int, int]], distributed_type: str, processes: int
) -> Memory:
    """The memory of a model on the meta device, whose micro-batches have these shapes (rows, tokens)."""
    weights = size_of_weights(outline)
    parts = processes if distributed_type == "FSDP" else 1
    partly = processes if distributed_type in SHARDED else 1  # ZeRO-2 keeps the weights whole
    shape, kept = _most_demanding(outline, shapes)
    return Memory(weights // parts, weights // partly, 2 * weights // partly, kept, shape)


def activations(outline: PreTrainedModel, rows: int, width: int) -> int | None:
    """Bytes that autograd keeps of a forward pass: run on the meta device, which computes shapes only.

    None for the few families (DeBERTa) whose forward pass looks at values.
    """
    ids = torch.zeros(rows, width, dtype=torch.int64, device="meta")
    try:
        return kept_by_autograd(outline, {"input_ids": ids})
    except RuntimeError as error:  # NotImplementedError, for an operation without shapes alone, is one
        if "meta" not in str(error).lower():
            raise
        return None


def kept_by_autograd(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> int:
    """Bytes that autograd keeps of a forward pass over these inputs, in train mode, besides the weights."""
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # the storage itself: freed, its address would come again
        return tensor

    model.train()
    ids = inputs["input_ids"]
    labels = torch.zeros(len(ids), dtype=torch.int64, device=ids.device)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        cross_entropy(model(**inputs).logits.float(), labels, reduction="none").sum()
    own = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
    return sum(storage.nbytes() for address, storage in kept.items() if address not in own)


def in_bytes(count: int) -> str:
    """A size as people read it, in powers of ten."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _most_demanding(outline: PreTrainedModel, shapes: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], int | None]:
    """The micro-batch whose forward pass keeps the most, and how many bytes."""
    # What is kept grows with the tokens, and with tokens × width: one of these two is the largest.
    candidates = {max(shapes, key=lambda s: s[0] * s[1]), max(shapes, key=lambda s: s[0] * s[1] ** 2)}
    kept = {shape: activations(outline, *shape) for shape in sorted(candidates)}
    shape = max(kept, key=lambda shape: kept[shape] or 0)
    return shape, kept[shape]
