"""An encoder without its top layers, which is faster by as much: what is left is fine-tuned as any other."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel

from accel_cls.errors import UserError
from accel_cls.models.layers import encoder_layers
from accel_cls.models.own.configurations import encoder_config

_PLACE = "model.keep_layers"


def keep_layers(config: Any, count: int, name: str) -> str | None:
    """Have a configuration build the encoder's lowest layers alone, whose weights are loaded as ever.

    Of the ways to choose layers that Sajjad et al. 2023 tried on BERT and others, leaving out the top ones was best.

    Args:
        config: of a pretrained model; changed.
        count: of layers that stay, 1 or more.
        name: of the model.

    Returns:
        What was done, in words; None where the encoder has no more layers than that.

    Raises:
        UserError: where it has fewer, or does not say how many.
    """
    inner = encoder_config(config).get_text_config()
    there = getattr(inner, "num_hidden_layers", None)
    if not isinstance(there, int):
        raise UserError(f"{_PLACE}: a {inner.model_type} does not say how many layers it has. Leave this out")
    if count > there:
        raise UserError(f"{_PLACE}: found {count}; expected {there} at most, the layers of {name}")
    if count == there:
        return None
    of_each = {key: value for key, value in vars(inner).items() if _has_one_each(key, value, there)}
    inner.num_hidden_layers = count
    for key, value in of_each.items():
        setattr(inner, key, value[:count])
    return f"{count} of the encoder's {there} layers stay, the lowest"


def check_kept(outline: PreTrainedModel, count: int) -> None:
    """Raise UserError where a family does not build so many layers, or does not tell; `outline`: on any device."""
    built = len(encoder_layers(outline, _PLACE))
    if built != count:
        raise UserError(
            f"{_PLACE}: found {count}; a {type(outline).__name__} builds {built} all the same. Leave it out"
        )


def _has_one_each(key: str, value: Any, layers: int) -> bool:
    """Whether a setting has an entry for each layer, as ModernBERT's `layer_types` and Longformer's windows have."""
    return ("layer" in key or key == "attention_window") and isinstance(value, list | tuple) and len(value) == layers
