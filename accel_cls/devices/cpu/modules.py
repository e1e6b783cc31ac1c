"""A model's modules replaced by faster ones on a CPU."""

from __future__ import annotations

from typing import Any

import torch

from accel_cls.devices.cpu.dropout import FastDropout
from accel_cls.devices.cpu.linear import Bf16Linear


def use_fast_modules(model: torch.nn.Module, optimizer: torch.optim.Optimizer, whole: bool) -> None:
    """Replace a model's dropout and linear layers by classes that are faster on a CPU. Weights and names stay.

    Args:
        model: on the CPU.
        optimizer: of its weights.
        whole: whether each process has all weights, as tensors of its own: no FSDP, no DeepSpeed.
    """
    for module in model.modules():
        # A class of the same layout takes the place of torch's own: nothing else of the module changes.
        if type(module) is torch.nn.Dropout:
            module.__class__ = FastDropout
        elif type(module) is torch.nn.Linear and whole:
            module.__class__ = Bf16Linear
    if whole:
        # torch's fused optimizers (2.13) change weights without counting it, and Bf16Linear goes by that count.
        optimizer.register_step_post_hook(_count_change)


def _count_change(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    torch.autograd.graph.increment_version([p for group in optimizer.param_groups for p in group["params"]])
