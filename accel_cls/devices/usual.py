"""The device that work takes which is told nothing."""

from __future__ import annotations

import torch


def usual_device() -> torch.device:
    """The accelerator that torch sees here (cuda, mps, xpu ...), else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
