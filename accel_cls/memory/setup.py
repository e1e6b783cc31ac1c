"""What of the hardware decides how much memory a training needs, and how much there is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from accelerate import Accelerator

from accel_cls.devices.usual import usual_device
from accel_cls.memory.available import (
    USABLE_FRACTION,
    USABLE_FRACTION_SHARDED,
    DeviceMemory,
    available_memory,
    local_process_count,
)
from accel_cls.profiles import Profile

SHARDED = ("FSDP", "DEEPSPEED")  # accelerate's words for weights or optimizer divided among the processes


@dataclass(frozen=True)
class ParallelSetup:
    """The device of a process, and how the processes of a training share the work."""

    device: torch.device
    strategy: str  # FSDP, DEEPSPEED, XLA; DDP where each process has the whole model, be it alone or not
    processes: int
    local_processes: int  # on this machine
    mixed_precision: str  # accelerate's word: no, fp16, bf16, fp8

    @classmethod
    def of(cls, accelerator: Accelerator) -> ParallelSetup:
        """What this process runs on."""
        strategy = _strategy(accelerator.distributed_type.value)
        processes, precision = accelerator.num_processes, accelerator.mixed_precision
        return cls(accelerator.device, strategy, processes, local_process_count(), precision)

    @classmethod
    def expected(cls, profile: Profile | None, processes: int) -> ParallelSetup:
        """What a profile would have a process run on, on this machine; what is here without one."""
        device = torch.device("cpu") if profile is not None and profile.use_cpu else usual_device()
        if profile is None:
            return cls(device, "DDP", processes, processes, "no")
        local_processes = -(-processes // profile.machines)
        return cls(device, _strategy(profile.distributed_type), processes, local_processes, profile.mixed_precision)

    @property
    def has_plain_model(self) -> bool:
        """Whether a pass of the model by itself, before it is sharded or compiled, needs what one in training does."""
        return self.strategy == "DDP"

    @property
    def usable_fraction(self) -> float:
        """The part of what is free that a forecast may reach."""
        return USABLE_FRACTION if self.has_plain_model else USABLE_FRACTION_SHARDED

    def available(self) -> DeviceMemory:
        """The memory that there is now."""
        return available_memory(self.device, self.local_processes)

    def ways_to_need_less(self, max_length: int) -> str:
        """What a user can change, where not even the smallest micro-batch fits."""
        ways = [f"a smaller data.max_length (now {max_length})", "a smaller model"]
        if self.mixed_precision == "no":
            ways.append("a hardware profile with mixed_precision: bf16")
        if self.strategy not in SHARDED:
            ways.append("one that shards the model over several devices (hardware=fsdp)")
        return f"{', '.join(ways[:-1])} or {ways[-1]}"


def _strategy(distributed_type: str) -> str:
    """One word where only accelerate has several: NO, MULTI_CPU, MULTI_GPU, as profiles and Accelerator differ in."""
    return distributed_type if distributed_type in (*SHARDED, "XLA") else "DDP"
