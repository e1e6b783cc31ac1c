"""The same bits each time, on devices that by themselves sum in any order.

A CPU sums in the same order each time, on the same number of threads. A CUDA device does not: where many blocks add to
one number, whichever comes first is first. torch has other algorithms for most of these operations
(https://docs.pytorch.org/docs/stable/notes/randomness.html); of what a training here does, it concerns the backward
pass of attention with a mask, and products where several streams share cuBLAS' workspace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from accel_cls.errors import UserError

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_WORKSPACES = (":4096:8", ":16:8")  # the two that cuBLAS promises the same bits with
# How torch says that it has no such algorithm for an operation.
_NO_ALGORITHM = " does not have a deterministic implementation"


def is_repeatable(device: str, deterministic: bool) -> bool:
    """Whether the same training gives the same bits each time on such devices, one process or as many as before.

    Args:
        device: torch's word for their type, such as cuda.
        deterministic: the recipe's train.deterministic.
    """
    return device == "cpu" or (device == "cuda" and deterministic)


def describe_repeatable(device: str, deterministic: bool) -> str | None:
    """What the banner says of it; None where there is nothing to tell: on a CPU it is always so."""
    if device == "cpu":
        return None if deterministic else "to the last bit, on a CPU also with train.deterministic: false"
    if device != "cuda":
        return f"up to rounding: on {device} torch promises no more"
    if deterministic:
        return "to the last bit, by deterministic algorithms (train.deterministic)"
    return "up to rounding: train.deterministic is false"


@contextmanager
def deterministic_algorithms(device: torch.device, wanted: bool) -> Iterator[None]:
    """In the block, let torch use algorithms on CUDA devices that give the same bits each time.

    Raises:
        UserError: where cuBLAS is told otherwise, or where torch has none for an operation of the model.
    """
    if device.type != "cuda" or not wanted:
        yield
        return
    if os.environ.get(_WORKSPACE) not in _WORKSPACES:
        raise UserError(
            f"train.deterministic: the environment variable {_WORKSPACE} is {os.environ.get(_WORKSPACE)!r}; expected "
            f"{' or '.join(_WORKSPACES)}, without which cuBLAS sums in any order. Unset it, or set "
            "train.deterministic=false"
        )
    memory: Any = torch.utils.deterministic
    before = torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)  # not warn_only, with which attention keeps its usual algorithm
    # Else each new tensor is filled with nan, one kernel more for each; nothing here reads what it has not written.
    memory.fill_uninitialized_memory = False
    try:
        yield
    except RuntimeError as error:
        if _NO_ALGORITHM not in str(error):
            raise
        operation = str(error).split(_NO_ALGORITHM)[0].split()[-1]
        raise UserError(
            f"train.deterministic: torch {torch.__version__} has no deterministic algorithm for {operation}, which "
            "this model needs on a CUDA device. Set train.deterministic=false: the training is the same up to "
            "rounding, but two runs of one command then differ in the last digits"
        ) from error
    finally:
        torch.set_deterministic_debug_mode(before[0])
        memory.fill_uninitialized_memory = before[1]
