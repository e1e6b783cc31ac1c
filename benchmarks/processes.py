"""Commands as processes of their own: how long they took, how much memory they needed, when something appeared."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
_POLL = 0.005  # seconds
_GONE = 2.0  # seconds at most until processes that were killed are gone, and their memory on a device with them


class Failed(Exception):
    """A command that did not end with 0."""


class OutOfTime(Exception):
    """The time that all commands have together is over: one was ended, or not begun."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended well."""

    began: float  # seconds since the epoch
    wall_seconds: float
    peak_bytes: int  # of the largest process that it started or was itself
    output: str
    others_cores: float  # how many cores other processes kept busy meanwhile, on average
    cpu_seconds: float  # of the command and all that it has waited for


def python(*arguments: str) -> list[str]:
    """The command of this environment's Python."""
    return [sys.executable, *arguments]


def usual_precision(device: str) -> str:
    """As the profile of one device of this kind has it: bf16 on a GPU, fp32 on a CPU."""
    return "bf16" if device == "cuda" else "fp32"


def accelerate_launch(precision: str, device: str) -> list[str]:
    """`accelerate launch` as a user would start it for one device: every choice is on the command line."""
    mixed = ["--mixed_precision", "bf16" if precision == "bf16" else "no"]
    place = ["--cpu"] if device == "cpu" else []
    program = Path(sys.executable).parent / "accelerate"
    # Where packages are on PYTHONPATH alone, no program stands beside Python.
    launch = [str(program), "launch"] if program.exists() else python("-m", "accelerate.commands.launch")
    return [*launch, *place, *mixed, "--num_processes", "1", "--num_machines", "1"]


def run(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    watch: Callable[[], None] | None = None,
    deadline: float | None = None,
) -> Ended:
    """Run a command from the project's root.

    Args:
        command: the program and its arguments.
        env: variables beside those of `environment`.
        watch: called every few milliseconds while the command runs.
        deadline: in monotonic seconds, when it is ended with all that it has started.

    Raises:
        Failed: with the end of what it wrote, where its exit status is not 0.
        OutOfTime: where it did not end before the deadline.
    """
    if deadline is not None and time.monotonic() >= deadline:
        raise OutOfTime(f"no time was left for {_name(command)}")
    # Files, not pipes: a pipe that nobody reads would stop the command.
    with tempfile.TemporaryFile() as output:
        began, clock, busy = time.time(), time.perf_counter(), _busy_seconds()
        process = subprocess.Popen(
            command, cwd=ROOT, env={**environment(), **(env or {})}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            status, usage = _wait(process.pid, watch, deadline)
        except BaseException:  # Ctrl-C, too
            _end_all(process)
            raise
        seconds, busy = time.perf_counter() - clock, _busy_seconds() - busy
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        raise Failed(f"{_name(command)} {_end(process.returncode)}\n{text[-3000:]}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    own = usage.ru_utime + usage.ru_stime
    return Ended(began, seconds, peak, text, max(0.0, busy - own) / seconds, own)


def _wait(pid: int, watch: Callable[[], None] | None, deadline: float | None) -> tuple[int, Any]:
    """The status and the resources of a process when it has ended."""
    while True:
        ended, status, usage = os.wait4(pid, 0 if watch is None and deadline is None else os.WNOHANG)
        if ended:
            return status, usage
        if watch:
            watch()
        if deadline is not None and time.monotonic() >= deadline:
            raise OutOfTime("the time was over while it ran")
        time.sleep(_POLL)


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started: the launcher's training would go on without it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(process.pid)
        family = first.children(recursive=True)
        for one in (first, *family):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, timeout=_GONE)
    process.wait()


def _name(command: Sequence[str]) -> str:
    """What ran, without the folders of this machine: a failure is told in the docs, too."""
    words = [str(word) for word in command]
    return words[words.index("-m") + 1] if "-m" in words else " ".join([Path(words[0]).name, *words[1:]])


def _end(status: int) -> str:
    if status >= 0:
        return f"ended with {status}"
    why = ", as the system does where memory runs out" if status == -signal.SIGKILL else ""
    return f"was killed by signal {-status}{why}"


def _busy_seconds() -> float:
    """CPU seconds of all cores so far that were not idle, those that a hypervisor took away included."""
    times = psutil.cpu_times()._asdict()
    # A guest's time is in the user's already.
    return sum(times.get(name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))


def environment() -> dict[str, str]:
    """The user's, without what a launcher or an accelerate config would slip in, and without a network.

    This project comes first on PYTHONPATH; what the user has there may be where torch lies.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ACCELERATE_", "FSDP_"))}
    for name in ("OMP_NUM_THREADS", "WORLD_SIZE", "RANK", "LOCAL_RANK"):
        kept.pop(name, None)
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true", "PYTHONPATH": path}
