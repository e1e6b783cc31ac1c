"""The encoder's top layers made anew: what they have learned for their own task is not always of use for another."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from accel_cls.errors import UserError
from accel_cls.models.layers import encoder_layers

_PLACE = "model.reinitialize"


def reinitialize_layers(model: PreTrainedModel, count: int, frozen: int = 0) -> str:
    """Draw the weights of the top layers as the family draws those of a new model (Zhang et al. 2021).

    A pooler, which reads the top layer, starts anew with them, as theirs does.

    Args:
        model: a classifier, whose weights are drawn from torch's generator.
        count: of layers, 1 or more.
        frozen: how many of the lowest layers will not be trained.

    Returns:
        What was done, in words.

    Raises:
        UserError: where the model does not tell its layers, or has fewer that are trained.
    """
    layers = encoder_layers(model, _PLACE)
    if count > len(layers):
        kind = type(model).__name__
        raise UserError(f"{_PLACE}: found {count}; expected {len(layers)} at most, the layers of this {kind}")
    if count + frozen > len(layers):
        raise UserError(
            f"{_PLACE}: found {count} beside model.freeze: {frozen} of {len(layers)} layers; some would stay random: "
            f"expected {len(layers) - frozen} at most"
        )
    pooler = getattr(model.base_model, "pooler", None)
    for layer in (*layers[-count:], *([pooler] if isinstance(pooler, torch.nn.Module) else [])):
        for module in layer.modules():
            _draw(model.base_model, module)
    top = "the top layer" if count == 1 else f"the top {count} of {len(layers)} layers"
    return f"{top} of the encoder {'starts' if count == 1 else 'start'} from random weights"


def _draw(encoder: PreTrainedModel, module: torch.nn.Module) -> None:
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        tensor._is_hf_initialized = False  # type: ignore[attr-defined]  # loaded weights are marked, and transformers would leave them
    encoder._init_weights(module)
