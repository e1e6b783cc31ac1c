"""Which layers a model has: asked of the model, not of a list of families."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformers import PreTrainedModel

from accel_cls.errors import UserError
from accel_cls.models.own.configurations import encoder_config


def encoder_layers(model: PreTrainedModel, place: str) -> list[torch.nn.Module]:
    """The layers of a classifier's encoder, the lowest first: the one list of modules in it that lies in no other.

    Args:
        model: a classifier, on any device.
        place: the recipe's key that needs them.

    Raises:
        UserError: where the model does not tell: it has no such list, or several, or one layer is used several times.
    """
    lists = [*_outermost_lists(model.base_model)]
    kind = type(model).__name__
    if len(lists) != 1:
        found = f"{len(lists)} lists of layers" if lists else "no list of layers"
        raise UserError(f"{place}: a {kind} has {found}, and does not tell which layer is above which. Leave this out")
    layers = [*lists[0]]
    told = getattr(encoder_config(model.config).get_text_config(), "num_hidden_layers", len(layers))
    if told != len(layers):
        raise UserError(
            f"{place}: a {kind} has {told} layers by its configuration, whose weights are those of {len(layers)}: "
            "they are shared, and can't be told apart. Leave this out"
        )
    return layers


def _outermost_lists(module: torch.nn.Module) -> Iterator[torch.nn.ModuleList]:
    for child in module.children():
        if not isinstance(child, torch.nn.ModuleList):
            yield from _outermost_lists(child)
        elif any(True for _ in child.parameters()):
            yield child
