"""What a contestant's own process knows of its device: when its work is done, its memory, its compiled programs."""

from __future__ import annotations

import sys

import torch


def wait() -> None:
    """Until a GPU has done what it was given; on a CPU there is nothing to wait for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_bytes() -> int | None:
    """The most memory of a GPU that tensors took at once, so far; None without one."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


def allocations() -> int:
    """How often torch has asked the driver for memory so far, instead of using what it had."""
    return torch.cuda.memory_stats().get("num_device_alloc", 0) if torch.cuda.is_available() else 0


def programs() -> int:
    """How many graphs torch.compile has made programs of so far."""
    # Not imported here: that would take a second of a contestant that compiles nothing.
    dynamo = sys.modules.get("torch._dynamo.utils")
    return dynamo.counters["stats"]["unique_graphs"] if dynamo else 0
