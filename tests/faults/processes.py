"""How a run is started, and how its processes are found, signalled and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tools import warm

LIMIT = 300  # seconds after which a run hangs
_BIN = Path(sys.executable).parent


@dataclass
class Ended:
    """A run that has ended."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> str:
        return self.out + self.err


class HungError(Exception):
    """A run did not end in time."""


class Running(ABC):
    """A run that goes on; at the end of the block all of it is killed."""

    began: float

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @abstractmethod
    def ranks(self) -> dict[int, int]:
        """The process ids of those that train, by their number, as far as they are there."""

    @abstractmethod
    def tree(self) -> list[int]:
        """The ids of all processes."""

    @abstractmethod
    def poll(self) -> int | None:
        """The exit status; None while anything of the run is there."""

    @abstractmethod
    def ended(self) -> Ended:
        """What is left of the run when it has ended."""

    def send(self, number: signal.Signals, pids: list[int]) -> None:
        """Send a signal; who is gone misses it."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """Kill -9 all of it. First all are stopped, so that none can start another meanwhile."""
        seen: set[int] = set()
        while fresh := set(self.tree()) - seen:
            self.send(signal.SIGSTOP, sorted(fresh))
            seen |= fresh
        self.send(signal.SIGKILL, sorted(seen))
        deadline = time.monotonic() + 20
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def wait(self, seconds: float = LIMIT) -> Ended:
        """Wait for its end.

        Raises:
            HungError: where that takes too long; it is killed then.
        """
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.kill()
                ended = self.ended()
                raise HungError(f"still there after {seconds:.0f} s; printed: {ended.said[-1500:]}")
            time.sleep(0.02)
        return self.ended()

    def wait_for(self, condition, seconds: float = LIMIT) -> bool:
        """Wait until a condition holds; False where the run has ended before."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise HungError(f"nothing has happened for {seconds:.0f} s; printed: {self.ended().said[-1500:]}")
            time.sleep(0.005)
        return True


class _Warm(Running):
    """Processes forked from a warm interpreter: their imports are done before. No launcher watches over them."""

    def __init__(self, folder: Path, arguments: list[str], env: dict[str, str], processes: int):
        self.began = time.monotonic()
        self._stack = ExitStack()
        command = ("accel_cls.train", ["recipe.yaml", *arguments], folder)
        alone = processes == 1
        ranks = [warm.Warm(*command, env=env)] if alone else warm.start_ranks(*command, processes, env)
        self._processes = [self._stack.enter_context(rank) for rank in ranks]
        self._seconds: float | None = None

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._stack.close()

    def ranks(self) -> dict[int, int]:
        return {rank: process.pid for rank, process in enumerate(self._processes) if process.poll() is None}

    def tree(self) -> list[int]:
        return list(self.ranks().values())

    def poll(self) -> int | None:
        statuses = [process.poll() for process in self._processes]
        if None in statuses:
            return None
        if self._seconds is None:
            self._seconds = time.monotonic() - self.began
        return next((status for status in statuses if status), 0)

    def ended(self) -> Ended:
        status = self.poll()
        err = "".join(process.err for process in self._processes)
        return Ended(-999 if status is None else status, self._processes[0].out, err, self._seconds or 0.0)


class _Command(Running):
    """A real command, with all that it starts."""

    def __init__(self, command: list[str], folder: Path, env: dict[str, str]):
        self.began = time.monotonic()
        self._place = tempfile.TemporaryDirectory()
        self._out, self._err = (Path(self._place.name) / name for name in ("out", "err"))
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self._process = subprocess.Popen(
                [str(_BIN / command[0]), *command[1:]],
                cwd=folder,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self._known: dict[int, psutil.Process] = {}
        self._seconds: float | None = None

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._place.cleanup()

    def tree(self) -> list[int]:
        return [pid for pid, process in self._all().items() if _is_alive(process)]

    def ranks(self) -> dict[int, int]:
        found = {}
        for pid, process in self._all().items():
            with suppress(psutil.Error):
                if "accel_cls.train" in process.cmdline()[:4]:
                    found[int(process.environ().get("RANK", "0"))] = pid
        return found

    def _all(self) -> dict[int, psutil.Process]:
        """All processes that were ever seen: torch's launcher puts its own into sessions of their own."""
        with suppress(psutil.Error):
            self._known.setdefault(self._process.pid, psutil.Process(self._process.pid))
        for process in list(self._known.values()):
            with suppress(psutil.Error):
                for child in process.children(recursive=True):
                    self._known.setdefault(child.pid, child)
        return dict(self._known)

    def poll(self) -> int | None:
        self._all()
        status = self._process.poll()
        if status is None:
            return None
        if any(_is_alive(process) for process in self._known.values()):
            return None
        if self._seconds is None:
            self._seconds = time.monotonic() - self.began
        return status

    def ended(self) -> Ended:
        out, err = (path.read_text(encoding="utf-8", errors="replace") for path in (self._out, self._err))
        status = self._process.poll()
        return Ended(-999 if status is None else status, out, err, self._seconds or 0.0)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@dataclass(frozen=True)
class Start:
    """A way to start a run."""

    way: str  # warm, python, accelerate (launch), launch (accel-cls)
    processes: int = 1

    @property
    def name(self) -> str:
        return f"{self.way} × {self.processes}"

    @property
    def maps_status(self) -> bool:
        """Whether the launcher makes each exit status but 0 a 1."""
        return self.way == "accelerate"

    def begin(self, folder: Path, arguments: list[str], env: dict[str, str]) -> Running:
        """Start `folder/recipe.yaml` from inside that folder."""
        hardware = [] if self.processes == 1 else ["hardware=cpu_multi"]
        count = [] if self.processes in (1, 2) else ["--processes", str(self.processes)]
        if self.way == "warm":
            return _Warm(folder, [*arguments, *hardware], env, self.processes)
        if self.way == "python":
            return _Command(["python", "-m", "accel_cls.train", "recipe.yaml", *arguments], folder, env)
        if self.way == "accelerate":
            config = Path(__file__).resolve().parents[2] / "accelerate_configs"
            file = config / ("cpu.yaml" if self.processes == 1 else "cpu_multi.yaml")
            command = ["accelerate", "launch", "--config_file", str(file), "-m", "accel_cls.train", "recipe.yaml"]
            return _Command([*command, *arguments], folder, env)
        assert self.way == "launch"
        command = ["accel-cls", "launch", "recipe.yaml", *arguments, *(hardware or ["hardware=cpu"]), *count]
        return _Command(command, folder, env)


def start_of(kind: str, processes: int) -> Start:
    """`warm`, or `cold`: the command that people give."""
    if kind == "warm":
        return Start("warm", processes)
    return Start("python" if processes == 1 else "launch", processes)
