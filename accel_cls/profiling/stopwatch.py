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


class Enough(Exception):
    """What was to be measured is; ends the training."""


class Clock:
    """Time on the device: on a GPU what its queue of work has come to, without waiting for it."""

    def __init__(self, device: torch.device):
        self._device = device
        self.is_shared = device.type == "cpu"  # whether all processes of a machine read the same clock

    def now(self) -> Any:
        """A moment; only `between` can read it."""
        if self.is_shared:
            return time.perf_counter()
        event = torch.Event(self._device, enable_timing=True)
        event.record()
        return event

    def between(self, begun: Any, ended: Any) -> float:
        """Seconds; on a GPU waits until it has come to `ended`."""
        if self.is_shared:
            return ended - begun
        ended.synchronize()
        return begun.elapsed_time(ended) / 1000


@dataclass
class Lap:
    """One update, in moments of a clock."""

    began: Any
    ended: Any = None
    parts: list[tuple[str, Any, Any]] = field(default_factory=list)  # in the order in which they ran
    ready: Any = None  # when the last gradient was there, where processes exchange them


class Stopwatch:
    """Listens to the spans of a training; ends it after so many updates."""

    def __init__(self, clock: Clock, updates: int):
        self._clock, self._updates = clock, updates
        self.laps = [Lap(clock.now())]
        self._begun: Any = None

    def begin(self, part: str) -> None:
        """A part begins."""
        self._begun = self._clock.now()

    def end(self, part: str) -> None:
        """It ends. What follows the last gradient of a backward pass is waiting: for others, or for the network."""
        lap, ended = self.laps[-1], self._clock.now()
        if part == "backward" and lap.ready is not None:
            lap.parts += [(part, self._begun, lap.ready), ("waiting", lap.ready, ended)]
        else:
            lap.parts.append((part, self._begun, ended))

    def gradient_ready(self) -> None:
        """Some gradients are there and travel now; the last ones of an update count."""
        if self.laps[-1].ended is None:  # else it is an update that is not measured any more
            self.laps[-1].ready = self._clock.now()

    def update_done(self) -> None:
        """An update has ended. Raises Enough after the last one."""
        now = self._clock.now()
        self.laps[-1].ended = now
        if len(self.laps) == self._updates:
            raise Enough
        self.laps.append(Lap(now))


def watch_exchange(model: torch.nn.Module, on_ready: Callable[[], None]) -> bool:
    """Have DDP tell when gradients are ready to travel; False where it is not DDP that divides the work.

    The exchange stays what it is: an all-reduce of each bucket, begun while the backward pass goes on.
    """
    if not isinstance(model, DistributedDataParallel):
        return False
    group = model.process_group

    def exchange(bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
        on_ready()
        return allreduce_hook(group, bucket)

    # torch refuses a hook whose annotations are texts, which they are in this file.
    model.register_comm_hook(None, lambda _, bucket: exchange(bucket))
    return True
