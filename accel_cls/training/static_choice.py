"""Whether a training's updates are static ones, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from accel_cls.batching.plan import Plan
from accel_cls.batching.static_shapes import StaticShape, choose_shapes, shape_for
from accel_cls.devices.cuda.flash import why_not_flash
from accel_cls.devices.prepare import has_whole_weights
from accel_cls.errors import UserError
from accel_cls.models.own.configurations import encoder_config
from accel_cls.recipe import Recipe
from accel_cls.recipe.rules.graphs import without_static_shapes
from accel_cls.training.inputs import Inputs
from accel_cls.training.static_updates import StaticUpdates


@dataclass(frozen=True)
class StaticChoice:
    """How a training's updates are made."""

    shapes: tuple[StaticShape, ...] = ()  # of static ones; none where they are not
    captures: bool = False  # whether they become CUDA graphs
    required: bool = False  # whether it is an error where they can't
    told: str | None = None  # what the banner says

    @property
    def is_static(self) -> bool:
        """Whether they are."""
        return bool(self.shapes)

    def updates(self) -> StaticUpdates | None:
        """What makes them in place of the loop."""
        return StaticUpdates(self.shapes, self.captures, self.required) if self.is_static else None

    def describe(self) -> list[tuple[str, str]]:
        """The banner's line about them, where there is something to say."""
        return [] if self.told is None else [("passes", self.told)]


def choose_static(
    recipe: Recipe, inputs: Inputs, plan: Plan, accelerator: Accelerator, is_measured: bool
) -> StaticChoice:
    """How the updates of a training are made, by its train.cuda_graphs.

    Args:
        is_measured: whether the parts of updates are timed, which a graph has not.

    Raises:
        UserError: where CUDA graphs are asked for and can't be.
    """
    wanted, kind = recipe.train.cuda_graphs, accelerator.device.type
    is_tried = kind == "cuda" or wanted is True
    why = _why_not(recipe, inputs, accelerator) if is_tried else "on a CPU only train.cuda_graphs: true fills them up"
    if why is not None:
        for key, found in (("cuda_graphs", wanted is True), ("compile", recipe.train.compile)):
            if found:
                instead = "auto" if key == "cuda_graphs" else "false: micro-batches have many shapes"
                raise UserError(f"train.{key}: found true; expected {instead}, since {why}")
        told = f"kernel by kernel, in shapes of their own: no CUDA graphs, since {why}"
        return StaticChoice(told=told if is_tried else None)
    processes = accelerator.num_processes
    shapes = choose_shapes(plan, processes)
    captures = kind == "cuda" and wanted is not False and not is_measured
    return StaticChoice(shapes, captures, wanted is True, _told(recipe, plan, processes, shapes, captures))


def _told(recipe: Recipe, plan: Plan, processes: int, shapes: tuple[StaticShape, ...], captures: bool) -> str:
    parts = [part for update in range(min(plan.updates, 200)) for part in plan.micro_batches(update, processes)]
    sizes = [(int(plan.lengths[list(part.examples)].sum()), len(part.examples)) for part in parts]
    filled = sum(shape_for(shapes, *size)[0].tokens for size in sizes)
    padding = 1 - sum(tokens for tokens, _ in sizes) / filled
    is_whole = processes == 1 and len(parts) == min(plan.updates, 200)
    how = ("a CUDA graph for each update" if is_whole else "CUDA graphs") if captures else "kernel by kernel"
    *most, last = (f"{shape.tokens:,}" for shape in shapes)
    text = f"{' or '.join([', '.join(most), last] if most else [last])} tokens, {padding:.0%} of them padding"
    compiled = "; layers compiled" if recipe.train.compile else ""
    return f"{how}; micro-batches are filled up to {text}{compiled}"


def _why_not(recipe: Recipe, inputs: Inputs, accelerator: Accelerator) -> str | None:
    """What stands against it, as a half-sentence; None where nothing does."""
    for key, what in without_static_shapes(recipe):
        return f"{'.'.join(key)} {what}"
    if not has_whole_weights(accelerator):
        return f"{accelerator.distributed_type.value} divides the weights"
    if accelerator.scaler is not None:
        return "fp16's scale of the loss is found by the host"
    if not inputs.trainable.packed:
        return "texts of this family are padded, not packed"
    if type(inputs) is not Inputs:
        return "tokens are hidden anew in each update"
    if accelerator.device.type != "cuda":
        return None  # without a capture, attention may be computed any way
    config: Any = encoder_config(inputs.model.config)
    dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else inputs.model.dtype
    return why_not_flash(accelerator.device, dtype, config.hidden_size // config.num_attention_heads)
