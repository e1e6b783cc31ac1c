"""`accel_cls.train` whose fp16 scaler begins so high that the first gradients overflow and updates are skipped."""

from __future__ import annotations

import runpy
from typing import Any

import torch

_SCALE = 2.0**32  # torch's own is 2**16; each skip halves it, and the guard allows 24 skips in a row


class HighScaler(torch.amp.GradScaler):
    """torch's, with another scale to begin with."""

    def __init__(self, device: str = "cuda", **options: Any) -> None:
        super().__init__(device, **({"init_scale": _SCALE} | options))


if __name__ == "__main__":
    torch.amp.GradScaler = HighScaler  # type: ignore[assignment, misc]
    runpy.run_module("accel_cls.train", run_name="__main__")
