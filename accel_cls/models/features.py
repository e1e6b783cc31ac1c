"""What a classifier makes of a text before it decides: the vectors that its last linear layer reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from transformers import PreTrainedModel

from accel_cls.errors import UserError
from accel_cls.models.head import output_layer
from accel_cls.models.passes import inputs_of

# Where a head does not end with a linear layer that reads a vector of each text.
_ADVICE = "Set model.pooling to mean, which gives it a head that does, or leave this out"


def last_layer(model: PreTrainedModel, place: str) -> torch.nn.Linear:
    """The linear layer that puts out the logits.

    Args:
        model: a classifier.
        place: the recipe's key that needs it.

    Raises:
        UserError: where the family's head does not end with one.
    """
    names = {name.rpartition(".")[0] for name in output_layer(model)}
    layer = model.get_submodule(names.pop()) if len(names) == 1 else None
    if type(layer) is not torch.nn.Linear:
        raise UserError(f"{place}: the head of a {type(model).__name__} does not end with a linear layer. {_ADVICE}")
    return layer


class FeatureModel(torch.nn.Module):
    """A classifier whose `logits` are what its last layer reads, [texts, hidden].

    Args:
        model: the classifier, which it shares.
        layer: its last layer.
        place: the recipe's key that needs it.
    """

    def __init__(self, model: PreTrainedModel, layer: torch.nn.Linear, place: str):
        super().__init__()
        self.model = model
        self._layer = [layer]  # in a list, it is no module of this one a second time
        self._place = place

    def forward(self, **inputs: Any) -> SimpleNamespace:
        """Runs the whole classifier and keeps what its last layer is given."""
        with inputs_of(self._layer[0]) as read:
            self.model(**inputs)
        (features,) = read
        require_vectors_of_texts(self.model, features, self._place)
        return SimpleNamespace(logits=features)


def require_vectors_of_texts(model: PreTrainedModel, read: torch.Tensor, place: str) -> None:
    """Raise UserError where what a model's last layer reads is not [texts, hidden], for a key that needs that."""
    if read.ndim != 2:
        kind = type(model).__name__
        raise UserError(f"{place}: the last layer of a {kind} reads each token, not each text. {_ADVICE}")


def keep_head_fitted(model: PreTrainedModel, layer: torch.nn.Linear) -> None:
    """Let all be trained but the last layer, and let no dropout between the encoder and it tell vectors apart."""
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    encoder = {*model.base_model.modules()}
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) and module not in encoder:
            module.p = 0.0


def head_parameters(model: PreTrainedModel) -> set[torch.nn.Parameter]:
    """The parameters that are not the encoder's.

    Raises:
        UserError: where a family does not tell the two apart.
    """
    encoder = model.base_model
    if encoder is model:
        raise UserError(f"train.head_rate: a {type(model).__name__} has no head apart from its encoder. Leave it at 1")
    return {*model.parameters()} - {*encoder.parameters()}
