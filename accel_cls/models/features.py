"""What a classifier makes of a text before it decides: the vectors that its last linear layer reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from transformers import PreTrainedModel

from accel_cls.errors import UserError
from accel_cls.models.head import output_layer


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


_ADVICE = "Set model.pooling to mean, which gives it a head that does, or leave this out"


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
        read: list[torch.Tensor] = []
        hook = self._layer[0].register_forward_pre_hook(lambda _, given: read.append(given[0]))
        try:
            self.model(**inputs)
        finally:
            hook.remove()
        (features,) = read
        if features.ndim != 2:
            kind = type(self.model).__name__
            raise UserError(f"{self._place}: the last layer of a {kind} reads each token, not each text. {_ADVICE}")
        return SimpleNamespace(logits=features)


def head_parameters(model: PreTrainedModel) -> set[torch.nn.Parameter]:
    """The parameters that are not the encoder's.

    Raises:
        UserError: where a family does not tell the two apart.
    """
    encoder = model.base_model
    if encoder is model:
        raise UserError(f"train.head_rate: a {type(model).__name__} has no head apart from its encoder. Leave it at 1")
    return {*model.parameters()} - {*encoder.parameters()}
