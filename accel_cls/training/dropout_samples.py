"""Multi-sample dropout (Inoue 2019): several draws of the last dropout a text, which share one pass of the encoder.

The losses of the draws are averaged, not their logits: the last layer is linear, so that the mean of its logits is
that of the mean of what it reads, which is one draw of a weaker dropout and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.errors import UserError
from accel_cls.models.capabilities.padding import Padding, trial_rows
from accel_cls.models.features import last_layer
from accel_cls.tasks import Loss

_PLACE = "model.dropout_samples"


@dataclass(frozen=True)
class MeanOverDraws:
    """See `Loss`; a task's loss, averaged over the draws of the model's logits."""

    loss: Loss

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Each row's, float32 [R], of logits float32 [draws, R, outputs]."""
        return torch.stack([self.loss.losses(draw, labels) for draw in logits]).mean(0)

    def weights(self, labels: np.ndarray) -> np.ndarray:
        """The task's."""
        return self.loss.weights(labels)

    def divergence(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Each row's, float32 [R], a draw of the one with one of the other."""
        return torch.stack([self.loss.divergence(*draws) for draws in zip(first, second, strict=True)]).mean(0)


def sample_dropout(model: PreTrainedModel, samples: int, tokenizer: PreTrainedTokenizerBase, padding: Padding) -> None:
    """Let a classifier's logits be [draws, texts, outputs] while it is trained; nothing of it is saved.

    Args:
        model: the classifier, on the CPU, before it takes packed texts.
        samples: how many draws.
        tokenizer: its tokenizer.
        padding: how it takes texts of different length.

    Raises:
        UserError: where no dropout comes right before the last layer, or one whose draws are all alike.
    """
    dropout = _dropout_before_last_layer(model, trial_rows(tokenizer, padding))
    if not dropout.p:
        raise UserError(
            f"{_PLACE}: found {samples}, but the dropout before the last layer has the rate 0, so that all draws are "
            "alike. Set model.dropout, or leave this out"
        )

    def expand(module: torch.nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        # A head may use one dropout twice (RoBERTa's): what has its draws gets no more of them.
        return (given[0].expand(samples, *given[0].shape),) if module.training and given[0].ndim == 2 else None

    dropout.register_forward_pre_hook(expand)


@torch.no_grad()
def _dropout_before_last_layer(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> torch.nn.Dropout:
    """The one whose output the last layer reads, found by a pass."""
    put_out: list[tuple[torch.nn.Dropout, Any]] = []
    read: list[torch.Tensor] = []
    layer = last_layer(model, _PLACE)
    hooks = [layer.register_forward_pre_hook(lambda _, given: read.append(given[0]))]
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            hooks.append(module.register_forward_hook(lambda one, _, output: put_out.append((one, output))))
    was_training = model.training
    try:
        model.eval()(**inputs)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    found = [module for module, output in put_out if read and output is read[-1] and output.ndim == 2]
    if not found:
        kind = type(model).__name__
        raise UserError(
            f"{_PLACE}: in a {kind} no dropout comes right before the last layer. Set model.pooling to mean, which "
            "gives it a head that has one, or leave this out"
        )
    return found[-1]
