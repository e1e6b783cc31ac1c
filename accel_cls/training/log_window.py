"""What a line of the log says of the updates since the last one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import torch
from accelerate import Accelerator

from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.training.objective import MicroBatchLoss


class LogWindow:
    """Mean loss and speed since the last line of the log; reads the device only when it has to.

    What no line has yet is part of a checkpoint: a run that goes on logs what an uninterrupted one would.
    """

    def __init__(self, accelerator: Accelerator, progress: Progress):
        self._accelerator = accelerator
        self._progress = progress
        self._losses: list[list[torch.Tensor]] = []
        self._last: tuple[float, torch.Tensor | float | None] | None = None
        self._began = time.monotonic() - progress.seconds
        self._restart()

    def _restart(self) -> None:
        self._examples = 0
        self._paused = 0.0
        self._opened = time.monotonic()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """The block is no training, and does not count in the speed."""
        began = time.monotonic()
        yield
        self._paused += time.monotonic() - began

    def add(self, losses: list[MicroBatchLoss], examples: int, rate: float, norm: torch.Tensor | float | None) -> None:
        """Count an update: this process's micro-batches; the examples of all processes; rate and gradient's norm."""
        self._losses.append([one.loss for one in losses])
        self._examples += examples
        self._last = rate, norm

    @property
    def is_empty(self) -> bool:
        """Whether no update has been counted."""
        return not self._losses and not self._progress.window

    def synchronize(self) -> None:
        """Bring the counters up to date: the losses of all processes, the time. Called by all processes."""
        self._progress.seconds = time.monotonic() - self._began
        if self._last is not None:
            mine = [sum(loss.item() for loss in losses) for losses in self._losses]
            told = self._accelerator.reduce(torch.tensor(mine, device=self._accelerator.device), "sum")
            self._progress.window += told.tolist()
            rate, norm = self._last
            self._progress.window_end = [rate, None if norm is None else float(norm)]
            self._losses.clear()
            self._last = None

    def close(self) -> dict[str, float | None]:
        """The window's line of the log, with rate and norm of its last update."""
        self.synchronize()
        losses, (rate, norm) = self._progress.window, self._progress.window_end
        assert rate is not None
        record: dict[str, float | None] = {
            "loss": sum(losses) / len(losses),
            "learning_rate": rate,
            "grad_norm": norm,
            "examples_per_second": self._examples / (time.monotonic() - self._opened - self._paused),
        }
        losses.clear()
        self._restart()
        return record
