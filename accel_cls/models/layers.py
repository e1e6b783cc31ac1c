"""Which layers a model has, and whose each parameter is: asked of the model, not of a list of families."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformers import PreTrainedModel

from accel_cls.errors import UserError
from accel_cls.models.own.configurations import encoder_config

EMBEDDINGS = 0  # the depth of what stands below all layers


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


def depths(model: PreTrainedModel, place: str) -> dict[torch.nn.Parameter, int]:
    """How high each parameter of a classifier stands, with L layers.

    0 is for what stands below the layers, which is what the model defines before them, and all tables (DeBERTa defines
    its relative positions after its layers, all of which read them); 1 to L are the layers; L + 1 is all above them: a
    last norm, a pooler, the head.

    Raises:
        UserError: as `encoder_layers`.
    """
    layers = encoder_layers(model, place)
    inside = {parameter: depth for depth, layer in enumerate(layers, 1) for parameter in layer.parameters()}
    tables = {m.weight for m in model.base_model.modules() if isinstance(m, torch.nn.Embedding)}
    found, above, outside = {}, len(layers) + 1, EMBEDDINGS
    for parameter in model.base_model.parameters():  # in the order in which a model defines them
        outside = above if parameter in inside else outside
        found[parameter] = inside.get(parameter, EMBEDDINGS if parameter in tables else outside)
    return {parameter: found.get(parameter, above) for parameter in model.parameters()}


def token_embeddings(model: PreTrainedModel) -> torch.nn.Module | None:
    """What makes a vector of each token id; None where the family has no one module for that (CANINE)."""
    try:
        return model.get_input_embeddings()
    except NotImplementedError:
        return None


def _outermost_lists(module: torch.nn.Module) -> Iterator[torch.nn.ModuleList]:
    for child in module.children():
        if not isinstance(child, torch.nn.ModuleList):
            yield from _outermost_lists(child)
        elif any(True for _ in child.parameters()):
            yield child
