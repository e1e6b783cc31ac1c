"""How much memory a process may take: of its device, of this machine, of a container's or a shell's limit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch


@dataclass(frozen=True)
class Room:
    """The memory that this process may use, in bytes; None where the device does not tell."""

    name: str  # the device, as people call it
    total: int | None
    free: int | None


def room_of(device: torch.device, sharers: int) -> Room:
    """The room on a device.

    Args:
        device: where the model is, or will be.
        sharers: processes that divide this machine's memory, where the device is its CPU.
    """
    if device.type == "cpu":
        return _room_on_cpu(sharers)
    if device.type == "mps":
        total = torch.mps.recommended_max_memory()
        return Room("the GPU of this computer", total, total - torch.mps.driver_allocated_memory())
    if device.type == "xla":
        return _room_on_xla(device)
    backend = getattr(torch, device.type)  # cuda, xpu, npu ...: all have these two
    free, total = backend.mem_get_info(device)
    return Room(backend.get_device_name(device), total, free)


def _room_on_cpu(sharers: int) -> Room:
    machine = psutil.virtual_memory()
    totals, free = [machine.total], [machine.available // sharers]
    for limit, used in limits_of_groups():
        totals.append(limit)
        free.append(max(0, limit - used) // sharers)
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:  # this one is for each process by itself
            totals.append(limit)
            free.append(max(0, limit - psutil.Process().memory_info().vms))
    return Room("the CPU", min(totals), min(free))


def _room_on_xla(device: torch.device) -> Room:
    import torch_xla.core.xla_model as xla

    try:
        facts = xla.get_memory_info(device)
        total, used = int(facts["bytes_limit"]), int(facts["bytes_used"])
    except (RuntimeError, KeyError, TypeError):  # some kinds of device do not tell
        return Room(xla.xla_device_hw(device), None, None)
    return Room(xla.xla_device_hw(device), total, total - used)


def limits_of_groups(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Iterator[tuple[int, int]]:
    """(limit, used) of each of this process's Linux control groups that limits memory, as containers do.

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
            if group.is_relative_to(base) and (found := _limit_of(group, *files)) is not None:
                yield found


def _limit_of(group: Path, limit: str, used: str, reclaimable: str) -> tuple[int, int] | None:
    try:
        most = (group / limit).read_text().strip()
        if not most.isdecimal() or int(most) >= 2**60:  # "max", or version 1's word for no limit
            return None
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(most), int((group / used).read_text()) - int(statistics.get(reclaimable, 0))
    except (OSError, ValueError):
        return None
