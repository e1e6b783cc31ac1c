"""Which of a model's parameters are trained, as the recipe has it: all of them, unless it freezes some."""

from __future__ import annotations

from transformers import PreTrainedModel

from accel_cls.errors import UserError
from accel_cls.models.features import last_layer
from accel_cls.models.layers import EMBEDDINGS, depths
from accel_cls.recipe import Recipe


def choose_trained(model: PreTrainedModel, recipe: Recipe) -> None:
    """Let nothing of a classifier take a gradient that the recipe wants to stay as it is.

    Args:
        model: the classifier, or its outline on the meta device.
        recipe: the recipe.

    Raises:
        UserError: where the model's parts can't be told apart, or it has fewer layers.
    """
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
