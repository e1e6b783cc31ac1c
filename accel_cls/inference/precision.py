"""What a classifier computes in: fp32, or half of its bits by autocast, as in a training with mixed precision."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch

from accel_cls.devices.fast_bf16 import fast_bf16
from accel_cls.errors import UserError

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
_MANY = 2000  # texts: for fewer the start of the command takes as long
_LOW: Mapping[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A block in which a model computes in a precision; its weights stay in fp32."""
    dtype = _LOW.get(precision)
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def check_precision(precision: str, device: torch.device) -> Precision:
    """A precision that a device computes in.

    Raises:
        UserError: for any other.
    """
    known = next((one for one in PRECISIONS if one == precision), None)
    if known is None:
        raise UserError(f"the precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    if known == "fp16" and device.type == "cpu":
        raise UserError("the precision is fp16, which a CPU is slow at; expected fp32 or bf16 here")
    if known == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(
            f"the precision is bf16, which this {torch.cuda.get_device_name()} has not; expected fp32 or fp16 here"
        )
    return known


def slow_precision(precision: Precision, device: torch.device, hidden_size: int | None) -> str | None:
    """That a precision is in vain here, for the user; None where it makes sense, or nobody knows.

    Args:
        precision: that was asked for.
        device: that computes.
        hidden_size: numbers of a token in the encoder; None where it has none.
    """
    if precision != "bf16" or device.type != "cpu" or fast_bf16(device.type, hidden_size) is not None:
        return None
    return "this CPU is not known to be faster in bf16 than in fp32 with this model"


def faster_precision(precision: Precision, device: torch.device, hidden_size: int | None, texts: int) -> str | None:
    """That another precision would have been faster, for the user; None where it would not, or for a few texts.

    Args:
        precision, device, hidden_size: as for `slow_precision`.
        texts: how many were classified.
    """
    faster = fast_bf16(device.type, hidden_size) if precision == "fp32" and texts >= _MANY else None
    return (
        None if faster is None else f"that was in fp32; {faster} is faster in bf16 with such a model: --precision bf16"
    )
