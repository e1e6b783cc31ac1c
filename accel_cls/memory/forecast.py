"""What a training needs of memory: one model, by which `plan` tells it and `micro_batch_tokens: auto` decides."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from accel_cls.memory.setup import ParallelSetup
from accel_cls.recipe import Recipe

FLOAT = 4  # bytes: weights, gradients and AdamW's two moments are fp32 on every hardware
# What a backward pass has of its own, as a share of the activations. Measured on a CPU with a BERT of 12 layers and
# rows of 336 tokens: 0.22 to 0.24 in fp32, less in bf16.
_BACKWARD = 0.25


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on one process, in the backward pass of a micro-batch."""

    weights: int
    gradients: int
    optimizer: int  # AdamW's two moments
    communication: int  # DDP's or DeepSpeed's buckets of gradients, layers that FSDP has gathered
    autocast_copies: int  # of the weights, in 16 bits
    activations: int | None  # what the forward pass saves for the backward pass, in fp32; None: not known
    shape: tuple[int, int]  # of the micro-batch: rows, tokens in each
    averages: int = 0  # weights averaged over updates, or kept for it

    @property
    def backward(self) -> int | None:
        """Gradients of activations, while they are needed."""
        return None if self.activations is None else int(_BACKWARD * self.activations)

    @property
    def total(self) -> int | None:
        """All of it; None where activations are not known."""
        if self.activations is None or self.backward is None:
            return None
        fixed = self.weights + self.gradients + self.optimizer + self.communication + self.autocast_copies
        return fixed + self.averages + self.activations + self.backward

    def __str__(self) -> str:
        """The parts and their sum, as people read it."""
        parts = {
            "weights": self.weights,
            "gradients": self.gradients,
            "AdamW": self.optimizer,
            "communication buffers": self.communication,
            "16-bit copies of weights": self.autocast_copies,
            "averaged weights": self.averages,
        }
        text = " + ".join(f"{name} {format_bytes(size)}" for name, size in parts.items() if size)
        if self.activations is None or self.backward is None or self.total is None:
            return text
        rows, width = self.shape
        return (
            f"{text} + activations {format_bytes(self.activations)} (a micro-batch of {rows} × {width} tokens) + "
            f"backward pass {format_bytes(self.backward)} = {format_bytes(self.total)}"
        )

    def as_json(self) -> dict[str, Any]:
        """The same for programs, in bytes."""
        return asdict(self) | {"backward": self.backward, "total": self.total}


def training_memory(
    model: PreTrainedModel, setup: ParallelSetup, shape: tuple[int, int], activations: int | None, copies: int = 0
) -> TrainingMemory:
    """The memory of a training of a model.

    Args:
        model: before it is prepared; one on the meta device will do.
        setup: the hardware.
        shape: of a micro-batch: rows, tokens in each.
        activations: bytes that its forward pass saves, see `activation_bytes`; None where that is not known. In fp32:
            autocast saves 0.50 to 0.76 of them (ALBERT, BERT), so this is an upper bound.
        copies: of the trained weights on the device besides, see `averaged_copies`.
    """
    whole, trained, processes = weight_bytes(model), trained_bytes(model), setup.processes
    half = setup.mixed_precision != "no"
    weights, shards = whole, 1
    communication = trained if processes > 1 else 0  # DDP's buckets hold all gradients once more
    autocast_copies = whole // 2 if half else 0  # kept from the forward to the backward pass
    if setup.strategy == "FSDP":
        weights, shards = whole // processes, processes
        # Two layers are gathered at a time, the one in work and the next one, and the former has its gradient. What
        # is gathered is in 16 bits already where autocast would convert it.
        communication, autocast_copies = 3 * _largest_part(model), 0
    elif setup.strategy == "DEEPSPEED":
        # ZeRO-2: whole weights, in 16 bits where it is told so, not by autocast; and an fp32 copy, which is sharded.
        weights, shards = (whole // 2 if half else whole) + trained // processes, processes
        communication, autocast_copies = trained, 0  # its buckets hold gradients before they are sharded
    return TrainingMemory(
        weights,
        trained // shards,
        2 * trained // shards,
        communication,
        autocast_copies,
        activations,
        shape,
        copies * trained,
    )


def averaged_copies(recipe: Recipe, device: torch.device | None = None) -> int:
    """How many copies of the trained weights a training keeps to average them: on a device, or in a checkpoint.

    Those of evaluations wait in the host's memory.
    """
    average = recipe.average
    if average is None or recipe.model.is_fitted:
        return 0
    return average.last * (device is None or device.type == "cpu") if average.last is not None else 1


def weight_bytes(model: torch.nn.Module) -> int:
    """Bytes of all weights in fp32."""
    return FLOAT * sum(p.numel() for p in model.parameters())


def trained_bytes(model: torch.nn.Module) -> int:
    """Bytes of those that are trained."""
    return FLOAT * sum(p.numel() for p in model.parameters() if p.requires_grad)


def _largest_part(model: PreTrainedModel) -> int:
    """Bytes of the largest part that FSDP gathers at once: a layer, or the embeddings."""
    layers = [child for m in model.modules() if isinstance(m, torch.nn.ModuleList) for child in m]
    return max(map(weight_bytes, [*layers, model.get_input_embeddings()]))


def format_bytes(count: int) -> str:
    """A size as people read it, in powers of ten."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
