"""A model's parts, exchanged for what is faster on a CPU."""

from __future__ import annotations

import torch

from accel_cls.cpu.dropout import QuickDropout
from accel_cls.cpu.linear import Linear16


def quicken(model: torch.nn.Module, whole: bool) -> None:
    """Let a model's dropout and linear layers be done by what is faster on a CPU. Weights and names stay.

    Args:
        model: on the CPU.
        whole: whether each process has all weights, as tensors of its own: no FSDP, no DeepSpeed.
    """
    for module in model.modules():
        # A class of the same layout takes the place of torch's own: nothing else of the module changes.
        if type(module) is torch.nn.Dropout:
            module.__class__ = QuickDropout
        elif type(module) is torch.nn.Linear and whole:
            module.__class__ = Linear16
