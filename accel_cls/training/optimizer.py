"""The optimizer, and its rate as a function of the update."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from transformers import PreTrainedModel

from accel_cls.devices.prepare import has_whole_weights, inner_optimizer
from accel_cls.models.features import head_parameters
from accel_cls.models.layers import depths
from accel_cls.recipe.sections.train import Train

# Devices for which torch has the fused AdamW; on a CPU it is 5 to 6 times as fast as the default.
_FUSED = ("cpu", "cuda", "mps", "xpu")


def make_optimizer(model: PreTrainedModel, train: Train, device: torch.device) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019); biases and norms, which are 1-D, have no weight decay.

    Raises:
        UserError: where the head has a rate of its own and the model no head apart, or layers have and can't be told.
    """
    assert train.learning_rate != "auto"  # it has become a number
    trained = [p for p in model.parameters() if p.requires_grad]
    scales = _rate_scales(model, train)
    groups = [
        {"params": found, "weight_decay": decay, "lr_scale": scale}
        for scale in dict.fromkeys(scales[p] for p in trained)
        for decayed, decay in ((True, train.weight_decay), (False, 0.0))
        if (found := [p for p in trained if scales[p] == scale and (p.ndim >= 2) is decayed])
    ]
    return torch.optim.AdamW(groups, lr=train.learning_rate, eps=train.adam_epsilon, fused=device.type in _FUSED)


def _rate_scales(model: PreTrainedModel, train: Train) -> dict[torch.nn.Parameter, float]:
    """Each parameter's rate as a multiple of the schedule's: of the head, and of layers by their depth.

    With decay d and L layers it is 1 above them, d in the top one, d^L in the lowest and d^(L + 1) below: ELECTRA's
    layerwise rates (Clark et al. 2020) as BEiT counts them.
    """
    scales = dict.fromkeys(model.parameters(), 1.0)
    if train.layer_decay != 1:
        depth = depths(model, "train.layer_decay")
        above = max(depth.values())
        scales = {parameter: train.layer_decay ** (above - at) for parameter, at in depth.items()}
    if train.head_rate != 1:
        scales |= dict.fromkeys(head_parameters(model), train.head_rate)
    return scales


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameter groups: the schedule's, times the group's own `lr_scale` (as in timm)."""
    for group in optimizer.param_groups:
        # A checkpoint of sharded state may be from before there was one.
        group["lr"] = rate * group.get("lr_scale", 1.0)


def clip_gradient(
    accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer, max_norm: float
) -> torch.Tensor | float | None:
    """Let the next step take the gradient at no more than this norm, as torch's clip_grad_norm_ does.

    Where each process has whole gradients, the fused AdamW divides them while it reads them, instead of a pass over
    all of them before: 15 of 450 ms with a BERT-base on a CPU, where one more pass costs as much for their norm.

    Where the norm is no finite number, that step will change neither weights nor the optimizer's state, nor make the
    host wait: the fused AdamW looks at `found_inf` on the device, and takes back its own count of steps.

    Returns:
        The norm before, float32, the same on all processes; None where DeepSpeed keeps it to itself.
    """
    if not is_skipped_on_device(accelerator, optimizer):
        norm = accelerator.clip_grad_norm_(model.parameters(), max_norm)
        return norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # of FSDP's, each has a part
    inner = inner_optimizer(optimizer)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = _norm(gradients)
    inner.grad_scale = torch.clamp((norm + 1e-6) / max_norm, min=1.0)  # 1e-6 as in clip_grad_norm_
    inner.found_inf = (~torch.isfinite(norm)).to(norm.dtype)
    return norm


def take_step(accelerator: Accelerator, optimizer: torch.optim.Optimizer, norm: torch.Tensor | float | None) -> None:
    """Change the weights by a gradient of this norm, unless it is no finite number."""
    leaves_out_itself = (
        is_skipped_on_device(accelerator, optimizer)
        or accelerator.scaler is not None  # which has to learn of it, to find its scale
        or accelerator.distributed_type == DistributedType.DEEPSPEED  # the step is already taken
    )
    if leaves_out_itself or norm is None or math.isfinite(float(norm)):
        optimizer.step()


def take_no_step(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Let a fused AdamW make its state, where it has none yet, by a step that changes neither weights nor state."""
    inner = inner_optimizer(optimizer)
    inner.grad_scale = inner.found_inf = torch.ones((), device=device)
    inner.step()


@contextmanager
def rates_on_device(optimizer: torch.optim.Optimizer, rates: torch.Tensor) -> Iterator[None]:
    """In the block, let a fused AdamW read its rates from a tensor, float32 [groups], so that a graph can be played
    again with others. Checkpoints know of numbers only.
    """
    groups = inner_optimizer(optimizer).param_groups
    before = [(group["lr"], group["capturable"]) for group in groups]
    for group, rate in zip(groups, rates.unbind(), strict=True):
        group.update(lr=rate, capturable=rates.device.type == "cuda")
    try:
        yield
    finally:
        for group, (rate, capturable) in zip(groups, before, strict=True):
            group.update(lr=rate, capturable=capturable)


def is_skipped_on_device(accelerator: Accelerator, optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step by a gradient that is no finite number is left out on the device, without a look by the host."""
    return (
        has_whole_weights(accelerator)
        and accelerator.scaler is None
        and bool(inner_optimizer(optimizer).defaults.get("fused"))
    )


def _norm(gradients: list[torch.Tensor]) -> torch.Tensor:
    """The norm of all gradients together, float32."""
    if gradients[0].device.type != "cpu":
        return torch.nn.utils.get_total_norm(gradients, foreach=True)
    # torch's norm runs on one core; a BLAS's dot product on all: 12 instead of 26 ms for 100 million values.
    squares = [torch.dot(flat, flat) for flat in (g.flatten() for g in gradients)]
    return torch.stack(squares).sum().sqrt()
