"""What of a model is trained, as the recipe has it: all, unless some is frozen, or adapters are trained for it."""

from __future__ import annotations

from transformers import PreTrainedModel

from accel_cls.errors import UserError
from accel_cls.models.adapters import Adapters, add_adapters
from accel_cls.models.features import last_layer
from accel_cls.models.layers import EMBEDDINGS, depths
from accel_cls.models.recomputing import recompute_layers
from accel_cls.recipe import Recipe


def settle_trained(model: PreTrainedModel, recipe: Recipe) -> Adapters | None:
    """Let of a classifier be trained what the recipe wants, in the way that it wants.

    Args:
        model: the classifier, or its outline on the meta device.
        recipe: the recipe.

    Returns:
        What makes a plain model of it again; None where it is one.

    Raises:
        UserError: where the model's parts can't be told apart, or it has fewer layers, or others.
    """
    if recipe.train.gradient_checkpointing and not recipe.model.is_fitted:
        recompute_layers(model, "train.gradient_checkpointing")
    _freeze(model, recipe)
    return None if recipe.model.lora is None else add_adapters(model, recipe.model.lora, recipe.seed)


def _freeze(model: PreTrainedModel, recipe: Recipe) -> None:
    """Let nothing take a gradient that is to stay as it is."""
    freeze, place = recipe.model.freeze, "model.freeze"
    if freeze is None:
        return
    if recipe.model.is_fitted:
        trained = {*last_layer(model, place).parameters()}
        frozen = {*model.parameters()} - trained
    elif freeze == "embeddings" or isinstance(freeze, int):
        depth = depths(model, place)
        highest = EMBEDDINGS if freeze == "embeddings" else freeze
        if highest > (layers := max(depth.values()) - 1):
            raise UserError(
                f"{place}: found {highest}; a {type(model).__name__} has {layers} layers. Expected no more"
            )
        frozen = {parameter for parameter, at in depth.items() if at <= highest}
    for parameter in frozen:
        parameter.requires_grad_(False)
