"""What modules are given and put out while passes go through a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def outputs_of(module: torch.nn.Module) -> Iterator[list[Any]]:
    """What a module has put out in this block, a call after the other."""
    seen: list[Any] = []
    hook = module.register_forward_hook(lambda _, __, output: seen.append(output))
    try:
        yield seen
    finally:
        hook.remove()


@contextlib.contextmanager
def inputs_of(module: torch.nn.Module) -> Iterator[list[Any]]:
    """The first thing that a module was given, likewise."""
    seen: list[Any] = []
    hook = module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        hook.remove()
