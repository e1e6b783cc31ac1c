"""A model whose logits have a unit: its last layer learns numbers of about 1, and what is saved answers in the unit.

AdamW moves each weight by about the rate, whatever the label's unit is; a head that had to put out prices in thousands
would take as many thousand steps. So a hook scales the output while the model is trained, and a saved model has the
scale folded into its last layer, which makes it a plain one of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from accel_cls.data.labels import LabelScale
from accel_cls.errors import UserError
from accel_cls.models.head import output_layer


@dataclass(frozen=True)
class ScaledOutput:
    """What a model's logits are scaled by, and the parameters that put them out."""

    scale: LabelScale
    weight: str
    bias: str

    def fold(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights by name with which a model answers as the trained one does with its hook."""
        scaled = {self.weight: state[self.weight] * self.scale.deviation}
        return {**state, **scaled, self.bias: state[self.bias] * self.scale.deviation + self.scale.mean}


def scale_output(model: PreTrainedModel, scale: LabelScale) -> ScaledOutput:
    """Scale a model's logits, float32 [texts, outputs], from now on.

    Raises:
        UserError: where its last layer can't take the scale in: it has no bias.
    """
    layer = output_layer(model)
    weights = [name for name in layer if model.get_parameter(name).ndim == 2]
    biases = [name for name in layer if model.get_parameter(name).ndim == 1]
    if len(weights) != 1 or len(biases) != 1:
        raise UserError(
            f"task: regression: the head of a {type(model).__name__} does not end with a linear layer with a bias, "
            "which answers in the label's unit. Set model.pooling to mean, which gives it a head that does"
        )

    def to_unit(_: Any, __: Any, output: Any) -> Any:
        output.logits = output.logits.float() * scale.deviation + scale.mean
        return output

    model.register_forward_hook(to_unit)
    return ScaledOutput(scale, weights[0], biases[0])
