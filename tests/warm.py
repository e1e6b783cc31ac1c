"""A Python that has everything slow imported, and forks for each `python -m accel_cls...` that a test runs.

Four of the five seconds of such a command on the tests' tiny data are imports. What runs is the module itself, as
`__main__`, with arguments, folder and exit status of its own; only its imports are old. Commands with an environment
of their own, and all launchers, are started in the usual way.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

_server: subprocess.Popen[str] | None = None


def run(module: str, arguments: list[str], cwd: Path, stdin: str | None) -> subprocess.CompletedProcess:
    """Run `python -m module arguments` in a folder; the result is as `subprocess.run` gives it."""
    global _server
    if _server is None or _server.poll() is not None:
        command = [sys.executable, __file__]
        _server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert _server.stdin is not None
    assert _server.stdout is not None
    with tempfile.TemporaryDirectory() as place:
        files = {name: str(Path(place) / name) for name in ("stdin", "stdout", "stderr")}
        Path(files["stdin"]).write_text(stdin or "", encoding="utf-8")
        environment = dict(os.environ)  # a test may have changed it since the server began
        request = {"module": module, "arguments": arguments, "cwd": str(cwd), "files": files, "env": environment}
        _server.stdin.write(json.dumps(request) + "\n")
        _server.stdin.flush()
        status = int(_server.stdout.readline())
        out, err = (Path(files[name]).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess(["python", "-m", module, *arguments], status, out, err)


def _serve() -> None:
    import accel_cls.metrics
    import accel_cls.predict
    import accel_cls.run  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_become(**request))
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


def _become(module: str, arguments: list[str], cwd: str, files: dict[str, str], env: dict[str, str]) -> int:
    """Be that command; returns its exit status."""
    os.environ.clear()
    os.environ.update(env)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.dup2(os.open(files[name], os.O_RDWR | os.O_CREAT), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (the old one has read ahead)
    os.chdir(cwd)
    sys.argv = [module, *arguments]
    sys.path[0] = cwd
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
