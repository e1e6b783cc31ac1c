"""A model whose logits have a unit: its last layer learns numbers of about 1, and what is saved answers in the unit.

AdamW moves each weight by about the rate, whatever the label's unit is; a head that had to put out prices in thousands
would take as many thousand steps. So the layer is scaled while it is trained, and saved with its weights scaled, which
makes a plain model of transformers of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import linear

from accel_cls.errors import UserError


@dataclass(frozen=True)
class OutputScale:
    """What is put out is `scale` times what is learned, and `shift`."""

    scale: float
    shift: float

    def __call__(self, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The weights that put it out, of those that are learned: float32 [outputs, hidden] and [outputs]."""
        return self.scale * weight.float(), self.scale * bias.float() + self.shift


@dataclass(frozen=True)
class ScaledLayer:
    """A model's last layer that is trained so."""

    name: str
    scale: OutputScale

    def fold(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The model's weights by name as it is saved: without scaling, it answers as the trained one."""
        names = f"{self.name}.weight", f"{self.name}.bias"
        return {**state, **dict(zip(names, self.scale(*(state[name] for name in names)), strict=True))}


def scale_output(model: torch.nn.Module, layer: torch.nn.Linear, scale: OutputScale, place: str) -> ScaledLayer:
    """Have a model's last layer put out scaled numbers from now on, in float32 whatever the precision.

    Args:
        model: the classifier.
        layer: its last layer.
        scale: the unit.
        place: the recipe's key that needs it.

    Raises:
        UserError: where the layer has no bias, which takes the shift in.
    """
    if layer.bias is None:
        raise UserError(
            f"{place}: the last layer of a {type(model).__name__} has no bias, which this task needs. Set "
            "model.pooling to mean, which gives it a head that has one"
        )
    name = next(name for name, module in model.named_modules() if module is layer)

    def scaled(module: Any, given: tuple[torch.Tensor], _: torch.Tensor) -> torch.Tensor:
        with torch.autocast(given[0].device.type, enabled=False):
            return linear(given[0].float(), *scale(module.weight, module.bias))

    layer.register_forward_hook(scaled)
    return ScaledLayer(name, scale)
