"""Gradual unfreezing: the head is trained first, then one layer more after another, from the top (ULMFiT)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from accel_cls.batching.plan import Plan
from accel_cls.devices.prepare import require_whole_weights
from accel_cls.models.layers import EMBEDDINGS, depths
from accel_cls.recipe import Recipe


@dataclass(frozen=True)
class Part:
    """Parameters that are opened together."""

    name: str
    opens: int  # the update from which on they are trained, counted from 0
    parameters: tuple[torch.nn.Parameter, ...]


@dataclass(frozen=True)
class Unfreezing:
    """Which parameters are not trained yet: none, where the recipe does not ask for it."""

    parts: tuple[Part, ...] = ()

    def drop_closed(self, update: int) -> None:
        """Forget the gradients of what is closed in an update, counted from 0: a step leaves it and its moments alone.

        They are there, since DistributedDataParallel has to know from the start whose gradients it waits for.
        """
        for part in self.parts:
            if update < part.opens:
                for parameter in part.parameters:
                    parameter.grad = None

    def describe(self, updates: int) -> list[str]:
        """When what opens, in a run of so many updates, as a note; none where all is open."""
        if not self.parts:
            return []
        opened = [f"{part.name} from update {part.opens + 1:,} on" for part in self.parts if part.opens < updates]
        closed = [part.name for part in self.parts if part.opens >= updates]
        never = f"; the run ends before {', '.join(closed)} would open" if closed else ""
        return [
            f"train.unfreeze: the head is trained from the start, {', '.join(opened) or 'and nothing else'}{never}"
        ]


def make_unfreezing(recipe: Recipe, model: PreTrainedModel, plan: Plan, accelerator: Accelerator) -> Unfreezing:
    """What opens when, of a model before it is prepared.

    Raises:
        UserError: where the model's layers can't be told apart, or the hardware divides the weights.
    """
    epochs, place = recipe.train.unfreeze, "train.unfreeze"
    if epochs is None:
        return Unfreezing()
    require_whole_weights(accelerator, place)
    depth = depths(model, place)
    head = max(depth.values())
    return Unfreezing(
        tuple(
            Part(
                "the embeddings" if at == EMBEDDINGS else f"layer {at}",
                round((head - at) * epochs * plan.updates_per_epoch),
                tuple(parameter for parameter, own in depth.items() if own == at and parameter.requires_grad),
            )
            for at in range(head - 1, EMBEDDINGS - 1, -1)
        )
    )
