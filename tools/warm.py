"""A Python that has everything slow imported, and forks for each `python -m accel_cls...` that is to run.

Four of the five seconds of such a command on little data are imports. What runs is the module itself, as `__main__`,
with arguments, folder, environment and exit status of its own; only its imports are old. Whoever forks must not have
touched a GPU, so the server never does. For tests, and for `tools/gpu_check`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

# By OMP_NUM_THREADS, which torch reads when it is imported.
_servers: dict[str | None, subprocess.Popen[str]] = {}


@atexit.register
def _end_servers() -> None:
    """They end at the end of their input."""
    for server in _servers.values():
        server.communicate()


def run(
    module: str, arguments: list[str], cwd: Path, stdin: str | None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    """Run `python -m module arguments` in a folder; the result is as `subprocess.run` gives it."""
    with Warm(module, arguments, cwd, stdin, env) as process:
        status = process.wait()
        return subprocess.CompletedProcess(["python", "-m", module, *arguments], status, process.out, process.err)


class Warm:
    """A `python -m module arguments` that goes on by itself; at the end of the block it is killed."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        cwd: Path,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        processes: int = 1,
    ):
        """Start it.

        Args:
            module: what `python -m` runs.
            arguments: of its command line.
            cwd: the folder that it runs in.
            stdin: what it reads.
            env: variables on top of this process's own.
            log: a file that what it prints is added to; None keeps it for `out` and `err`.
            processes: how many of it; several, each told its RANK, are children of one that stands for a launcher.
        """
        self._processes = processes
        self._place = tempfile.TemporaryDirectory()
        self._files = {name: Path(self._place.name) / name for name in ("stdin", "stdout", "stderr")}
        self._files["stdin"].write_text(stdin or "", encoding="utf-8")
        if log is not None:
            self._files["stdout"] = self._files["stderr"] = log.resolve()
        request = {
            "module": module,
            "arguments": list(arguments),
            "cwd": str(cwd),
            "files": {name: str(path) for name, path in self._files.items()},
            "env": dict(os.environ) | dict(env or {}),  # which may have changed since the server began
            "processes": processes,
        }
        self._status: int | None = None
        self._threads = {**os.environ, **(env or {})}.get("OMP_NUM_THREADS")
        self.pid = int(self._ask({"start": request}) or 0)

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                (os.kill if self._processes == 1 else os.killpg)(self.pid, signal.SIGKILL)
            self.wait()
        self._place.cleanup()

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._read("stdout")

    @property
    def err(self) -> str:
        """The same of its standard error."""
        return self._read("stderr")

    def poll(self) -> int | None:
        """Its exit status, negative after a signal; None while it runs."""
        if self._status is None:
            self._status = self._ask({"poll": self.pid})
        return self._status

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, when it has ended. Raises TimeoutError after so many seconds."""
        if seconds is None:
            if self._status is None:
                self._status = self._ask({"wait": self.pid})
            assert self._status is not None
            return self._status
        deadline = time.monotonic() + seconds
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} still runs after {seconds} s")
            time.sleep(0.02)
        return status

    def _ask(self, request: dict) -> int | None:
        server = _servers.get(self._threads)
        if server is None or server.poll() is not None:
            environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
            # Read when torch is imported: beside other programs, threads that spin as usual took 25 s for 1 s of work.
            environment.setdefault("GOMP_SPINCOUNT", "1000")
            if self._threads is not None:
                environment["OMP_NUM_THREADS"] = self._threads
            server = _servers[self._threads] = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return json.loads(server.stdout.readline())

    def _read(self, name: str) -> str:
        path = self._files[name]
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def one_of_several(processes: int) -> dict[str, str]:
    """What a launcher tells each process of one training on this machine's CPU, but for its rank."""
    return {
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "ACCELERATE_USE_CPU": "true",
    }


def start_ranks(
    module: str, arguments: list[str], cwd: Path, processes: int, env: dict[str, str] | None = None
) -> list[Warm]:
    """The processes of one training on this machine's CPU, as torchrun would start them; none watches over them."""
    place = one_of_several(processes)
    own = [_rank(rank) for rank in range(processes)]
    return [Warm(module, arguments, cwd, env={**place, **rank, **(env or {})}) for rank in own]


def run_ranks(
    module: str, arguments: list[str], cwd: Path, processes: int, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    """Run them to their end, watched over; the result is as a launcher's would be."""
    with Warm(
        module, arguments, cwd, env={**one_of_several(processes), **(env or {})}, processes=processes
    ) as launcher:
        status = launcher.wait(300)
        return subprocess.CompletedProcess([module, *arguments], status, launcher.out, launcher.err)


def _rank(rank: int) -> dict[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)}


def _import_all() -> None:
    """Import what a command may, and do what else each would do once: 0.3 s of the 0.9 that a small training took."""
    import sklearn.feature_extraction.text
    import sklearn.linear_model
    import sklearn.model_selection  # noqa: F401
    import torch
    import transformers.models.bert.modeling_bert
    import transformers.models.bert.tokenization_bert  # noqa: F401
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    import accel_cls
    from accel_cls.reporting.html.page import _environment

    for module in pkgutil.walk_packages(accel_cls.__path__, "accel_cls."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    get_checkpoint_conversion_mapping("bert")  # 900 regular expressions, which the first model to be saved waits for
    templates = _environment()
    for name in templates.list_templates(extensions=["j2"]):
        templates.get_template(name)
    assert not torch.cuda.is_initialized()
    gc.collect()
    gc.freeze()  # no child looks through what is here for garbage, nor copies its pages to do so


def _serve() -> None:
    _import_all()
    # Python 3.12 warns of forks beside threads; those of the libraries hold nothing that a child waits for.
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
    for line in sys.stdin:
        answer: int | None
        ((what, about),) = json.loads(line).items()
        if what == "start":
            answer = os.fork()
            if answer == 0:
                os._exit(_launch(**about) & 0xFF)
        else:
            pid, ended = os.waitpid(about, 0 if what == "wait" else os.WNOHANG)
            answer = os.waitstatus_to_exitcode(ended) if pid else None
        print(json.dumps(answer), flush=True)


def _launch(processes: int, env: dict[str, str], **about: Any) -> int:
    """Be that command, or the launcher of several; returns its exit status, the first one that is not 0."""
    if processes == 1:
        return _become(env=env, **about)
    os.setpgid(0, 0)  # so that all of them can be ended together
    running = set()
    for rank in range(processes):
        pid = os.fork()
        if pid == 0:
            os._exit(_become(env=env | _rank(rank), **about))
        running.add(pid)
    status = 0
    while running:
        pid, ended = os.wait()
        running.remove(pid)
        own = os.waitstatus_to_exitcode(ended)
        if own and not status:
            status = own
            for other in running:
                os.kill(other, signal.SIGTERM)
    return status


def _become(module: str, arguments: list[str], cwd: str, files: dict[str, str], env: dict[str, str]) -> int:
    """Be that command; returns its exit status."""
    os.environ.clear()
    os.environ.update(env)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.dup2(os.open(files[name], os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (the old one has read ahead)
    os.chdir(cwd)
    sys.argv = [module, *arguments]
    sys.path[0] = cwd
    sys.modules.pop(module, None)  # a command does not find itself imported before it begins
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    _serve()
