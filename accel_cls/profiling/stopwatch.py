"""Times the parts of updates while a training runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel


class MeasurementDone(Exception):
    """All updates are measured: ends the training."""


class DeviceClock:
    """Time on the device: on a GPU by events in its stream, without waiting for them."""

    def __init__(self, device: torch.device):
        self._device = device
        self.is_shared = device.type == "cpu"  # whether all processes of a machine read the same clock

    def now(self) -> Any:
        """A time stamp; only `elapsed` can read it."""
        if self.is_shared:
            return time.perf_counter()
        event = torch.Event(self._device, enable_timing=True)
        event.record()
        return event

    def elapsed(self, begun: Any, ended: Any) -> float:
        """Seconds between two time stamps; on a GPU waits until its stream has reached the second."""
        if self.is_shared:
            return ended - begun
        ended.synchronize()
        return begun.elapsed_time(ended) / 1000


@dataclass
class UpdateTimestamps:
    """One update, in time stamps of a clock."""

    began: Any
    ended: Any = None
    parts: list[tuple[str, Any, Any]] = field(default_factory=list)  # in the order in which they ran
    ready: Any = None  # when the last gradient was there, where DDP all-reduces them


class Stopwatch:
    """Observes the spans of a training; ends it after so many updates."""

    def __init__(self, clock: DeviceClock, updates: int):
        self._clock, self._count = clock, updates
        self.updates = [UpdateTimestamps(clock.now())]
        self._begun: Any = None

    def begin(self, part: str) -> None:
        """A span begins."""
        self._begun = self._clock.now()

    def end(self, part: str) -> None:
        """The span ends. After the last gradient the rest of a backward pass is waiting: for others or the network."""
        timestamps, ended = self.updates[-1], self._clock.now()
        if part == "backward" and timestamps.ready is not None:
            timestamps.parts += [(part, self._begun, timestamps.ready), ("waiting", timestamps.ready, ended)]
        else:
            timestamps.parts.append((part, self._begun, ended))

    def gradient_ready(self) -> None:
        """A bucket of gradients is ready for its all-reduce; the last one of an update counts."""
        if self.updates[-1].ended is None:  # else it is an update that is not measured any more
            self.updates[-1].ready = self._clock.now()

    def update_done(self) -> None:
        """An update has ended. Raises MeasurementDone after the last one."""
        now = self._clock.now()
        self.updates[-1].ended = now
        if len(self.updates) == self._count:
            raise MeasurementDone
        self.updates.append(UpdateTimestamps(now))


def hook_all_reduce(model: torch.nn.Module, on_ready: Callable[[], None]) -> bool:
    """Have DDP call back before it all-reduces a bucket of gradients; False where the model is not wrapped in DDP.

    The all-reduce stays DDP's own, of each bucket, begun while the backward pass goes on.
    """
    if not isinstance(model, DistributedDataParallel):
        return False
    group = model.process_group

    def all_reduce(bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
        on_ready()
        return allreduce_hook(group, bucket)

    # torch refuses a hook whose annotations are texts, which they are in this file.
    model.register_comm_hook(None, lambda _, bucket: all_reduce(bucket))
    return True
