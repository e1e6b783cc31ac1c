"""Layers whose activations are computed again in the backward pass instead of kept (gradient checkpointing)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from accel_cls.models.layers import encoder_layers
from accel_cls.models.packing import packing_again

_FLAG = "is_recomputed"


def recompute_layers(model: PreTrainedModel, place: str) -> None:
    """Have each layer of a classifier's encoder keep its input alone, in training.

    torch restores the state of the random generators for the second pass, so that dropout's draws are the first one's.
    Not transformers' own (5.23), under which a last layer that computes first tokens only would not know of the
    packing in its second pass: what tells it are hooks on the layer, which stay outside.

    Raises:
        UserError: where the model's layers can't be told.
    """
    for layer in encoder_layers(model, place):
        setattr(layer, _FLAG, True)
        layer.forward = functools.partial(_forward, layer, layer.forward)


def recomputed_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The layers of a model that do so; none where nobody asked for it."""
    return [module for module in model.modules() if getattr(module, _FLAG, False)]


@contextmanager
def keeping_all(model: torch.nn.Module) -> Iterator[None]:
    """Within it such layers keep their activations, as others do."""
    layers = recomputed_layers(model)
    for layer in layers:
        setattr(layer, _FLAG, False)
    try:
        yield
    finally:
        for layer in layers:
            setattr(layer, _FLAG, True)


def _forward(layer: torch.nn.Module, forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
    if not (getattr(layer, _FLAG) and layer.training and torch.is_grad_enabled()):
        return forward(*args, **options)
    return checkpoint(forward, *args, use_reentrant=False, context_fn=packing_again, **options)
