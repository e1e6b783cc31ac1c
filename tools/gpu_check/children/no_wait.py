"""`accel_cls.train` in which an update that waits for the device is an error, once its graphs are recorded."""

from __future__ import annotations

import atexit
import runpy

import torch

from accel_cls.training.objective import MicroBatchLoss
from accel_cls.training.static_updates import StaticUpdates
from accel_cls.training.training import Training

SAID = "updates without a wait for the device: "

_make = StaticUpdates.make
_made = 0


def make(self: StaticUpdates, t: Training, update: int, rate: float) -> tuple[list[MicroBatchLoss], torch.Tensor]:
    """As ever; recording a graph waits, and so may the first updates of each shape."""
    global _made
    if not self.is_recorded or not torch.cuda.is_available():
        return _make(self, t, update, rate)
    torch.cuda.set_sync_debug_mode("error")
    try:
        made = _make(self, t, update, rate)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    _made += 1
    return made


if __name__ == "__main__":
    StaticUpdates.make = make  # type: ignore[method-assign]
    atexit.register(lambda: print(f"{SAID}{_made}"))
    runpy.run_module("accel_cls.train", run_name="__main__")
