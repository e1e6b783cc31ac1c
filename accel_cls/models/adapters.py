"""Low-rank adapters beside a model's linear layers (LoRA), by peft, and the plain model that they make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import set_seed
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from accel_cls.errors import UserError, listed
from accel_cls.models.layers import depths, encoder_layers
from accel_cls.recipe.sections.model import Lora

_PLACE = "model.lora"
_ADAPTER = "default"  # peft's name for the only one
_BASE = ".base_layer"  # what it puts into the name of a layer's own weights


@dataclass(frozen=True)
class Adapters:
    """A model's linear layers that have an adapter."""

    layers: Mapping[str, Any]  # peft's LoraLayer, by the name of the layer that it stands for

    def fold(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights by name of the model that answers alike without adapters, of those with them."""
        inside = tuple(f"{name}.lora_" for name in self.layers)
        plain = {name.replace(_BASE, ""): tensor for name, tensor in state.items() if not name.startswith(inside)}
        for name, layer in self.layers.items():
            weight = f"{name}.weight"
            plain[weight] = plain[weight] + layer.get_delta_weight(_ADAPTER).detach().to(plain[weight].device)
        return plain


def add_adapters(model: PreTrainedModel, lora: Lora, seed: int) -> Adapters:
    """Give linear layers of a classifier's encoder adapters; only these are trained, and what is above the layers.

    Args:
        model: the classifier, or its outline on the meta device.
        lora: what the recipe says of them.
        seed: by which their first matrices are drawn.

    Raises:
        UserError: where the model's layers can't be told, or none is called as the recipe says.
    """
    from peft import LoraConfig, inject_adapter_in_model  # 1 s, for those who want it
    from peft.tuners.lora import LoraLayer

    names = _targets(model, lora)
    depth = depths(model, _PLACE)
    head = [p for p, at in depth.items() if at == max(depth.values()) and p.requires_grad]
    is_transposed = any(isinstance(model.get_submodule(name), Conv1D) for name in names)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=names,
        fan_in_fan_out=is_transposed,
    )
    set_seed(seed)  # every process draws the same
    inject_adapter_in_model(config, model, _ADAPTER)
    for parameter in head:
        parameter.requires_grad_(True)
    return Adapters({name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)})


def describe_adapters(model: PreTrainedModel, adapters: Adapters) -> str:
    """How much of a model is trained with them, as a note."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return (
        f"{_PLACE}: {len(adapters.layers)} linear layers have an adapter; {trained:,} weights are trained, "
        f"{trained / model.num_parameters():.1%} of all"
    )


def adapter_bytes(model: PreTrainedModel) -> int:
    """Bytes of what a model has besides the weights that are saved."""
    return sum(p.nbytes for name, p in model.named_parameters() if ".lora_" in name)


def _targets(model: PreTrainedModel, lora: Lora) -> list[str]:
    """The names of the linear layers that get an adapter."""
    inside = {module for layer in encoder_layers(model, _PLACE) for module in layer.modules()}
    linear = [
        name
        for name, module in model.named_modules()
        if module in inside and isinstance(module, torch.nn.Linear | Conv1D)
    ]
    if lora.targets == "auto":
        return linear
    for target in lora.targets:
        if not any(_is_called(name, target) for name in linear):
            known = sorted({name.rpartition(".")[2] for name in linear})
            raise UserError(f"{_PLACE}.targets: found {target}; the layers of this model have {listed(known)}")
    return [name for name in linear if any(_is_called(name, target) for target in lora.targets)]


def _is_called(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")
