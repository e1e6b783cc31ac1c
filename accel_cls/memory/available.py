"""How much memory a process may use: its device's, this machine's, within a container's or a shell's limit."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

# Of what is free, the part that a training's forecast may reach. The rest is for what the forecast does not know: the
# allocator's fragmentation, other programs; with a sharded model also what FSDP and DeepSpeed keep of their own.
USABLE_FRACTION, USABLE_FRACTION_SHARDED = 0.8, 0.7

_TELL_PEAK = ("cuda", "xpu")  # whose allocator keeps the most that was in use; Apple's and XLA's don't


@dataclass(frozen=True)
class DeviceMemory:
    """The memory that this process may use, in bytes; None where the device does not tell."""

    device_name: str  # as people call it
    total: int | None
    free: int | None


def local_process_count() -> int:
    """Processes of this training on this machine, as torch's launchers tell; 1 without one."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or "1")


def available_memory(device: torch.device, local_processes: int) -> DeviceMemory:
    """The memory of a device, now.

    Args:
        device: where the model is, or will be.
        local_processes: how many share this machine's memory, where the device is its CPU.
    """
    if device.type == "cpu":
        return _cpu_memory(local_processes)
    if device.type == "mps":
        total = torch.mps.recommended_max_memory()
        return DeviceMemory("the GPU of this computer", total, total - torch.mps.driver_allocated_memory())
    if device.type == "xla":
        return _xla_memory(device)
    backend = getattr(torch, device.type)  # cuda, xpu, npu ...: all have these two
    free, total = backend.mem_get_info(device)
    return DeviceMemory(backend.get_device_name(device), total, free)


def peak_device_memory(device: torch.device) -> int | None:
    """The most bytes that this process's tensors took on a GPU at once; None on a CPU, and where nobody tells."""
    return torch.accelerator.max_memory_allocated(device) if device.type in _TELL_PEAK else None


def reset_peak_device_memory(device: torch.device) -> None:
    """Let `peak_device_memory` begin with what is in use now; does nothing where that is None."""
    if device.type in _TELL_PEAK:
        torch.accelerator.reset_peak_memory_stats(device)


def _cpu_memory(local_processes: int) -> DeviceMemory:
    machine = psutil.virtual_memory()
    totals, free = [machine.total], [machine.available // local_processes]
    for limit, used in cgroup_limits():
        totals.append(limit)
        free.append(max(0, limit - used) // local_processes)
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:  # this one is for each process by itself
            totals.append(limit)
            free.append(max(0, limit - psutil.Process().memory_info().vms))
    return DeviceMemory("the CPU", min(totals), min(free))


def _xla_memory(device: torch.device) -> DeviceMemory:
    import torch_xla.core.xla_model as xla

    try:
        facts = xla.get_memory_info(device)
        total, used = int(facts["bytes_limit"]), int(facts["bytes_used"])
    except (RuntimeError, KeyError, TypeError):  # some kinds of device do not tell
        return DeviceMemory(xla.xla_device_hw(device), None, None)
    return DeviceMemory(xla.xla_device_hw(device), total, total - used)


def cgroup_limits(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Iterator[tuple[int, int]]:
    """(limit, used) of each of this process's Linux control groups (cgroups) that limits memory, as containers do.

    Psutil sees the machine, not these. What the page cache could give back at once does not count as used.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2: one tree for all
            base, files = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            base = root / "memory"
        else:
            continue
        folder = base / path.lstrip("/")
        # Inside a container the path may be the host's; the files then lie at the root.
        for group in (folder, *folder.parents):
            if group.is_relative_to(base) and (found := _cgroup_limit(group, *files)) is not None:
                yield found


def _cgroup_limit(group: Path, limit: str, used: str, reclaimable: str) -> tuple[int, int] | None:
    try:
        most = (group / limit).read_text().strip()
        if not most.isdecimal() or int(most) >= 2**60:  # "max", or version 1's word for no limit
            return None
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(most), int((group / used).read_text()) - int(statistics.get(reclaimable, 0))
    except (OSError, ValueError):
        return None
