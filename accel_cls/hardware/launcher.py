"""How this process was started: asked of its parents, since `accelerate launch` does not tell its children."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from accel_cls.errors import UserError
from accel_cls.profiles import default_config_file
from accel_cls.stopping import STATUS_FILE


@dataclass(frozen=True)
class Launch:
    """How this process was started, as far as its parents' command lines tell."""

    by: str  # "accelerate launch", "torchrun" or "python"
    config_file: Path | None  # the accelerate config file in force
    why: str  # how that file came to be in force, or why none is
    asked_processes: int | None  # --num_processes on the command line
    user_threads: bool  # OMP_NUM_THREADS was set by the user, not by the launcher
    adds_traceback: bool  # the launcher prints one of its own when this process ends with an error


@dataclass(frozen=True)
class Place:
    """Which of how many processes this one is, and where they meet."""

    process: int
    processes: int
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


def find_place() -> Place:
    """What a launcher has put into the environment, or somebody by hand.

    Raises:
        UserError: where it does not say enough.
    """
    processes = _count("WORLD_SIZE", 1)
    if processes == 1:
        return Place(0, 1, "", 0)
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise UserError(
            f"WORLD_SIZE is {processes}, but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set: "
            "this process can't know which of them it is, or where they meet. Start all of them with `accel-cls "
            "launch`, accelerate launch or torchrun, which set what is needed, or unset WORLD_SIZE to train alone"
        )
    process = _count("RANK", 0)
    if process >= processes:
        raise UserError(f"RANK is {process}; expected a number below WORLD_SIZE, which is {processes}")
    return Place(process, processes, os.environ["MASTER_ADDR"], _count("MASTER_PORT", 1))


def _count(name: str, least: int) -> int:
    """A number from the environment; `least` where it is not set."""
    text = os.environ.get(name) or str(least)
    if not text.isdecimal() or int(text) < least:
        raise UserError(f"the environment variable {name} is {text!r}; expected a whole number, {least} or more")
    return int(text)


def how_started() -> Launch:
    """Find the launcher among this process's parents, and the config file it used."""
    for parent in psutil.Process().parents():
        try:
            arguments = parent.cmdline()
            environment = parent.environ()
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        names = [Path(argument).name for argument in arguments[:4]]
        if "torchrun" in names or "torch.distributed.run" in arguments[:4]:
            why = "which reads no accelerate config file"
            return Launch("torchrun", None, why, None, "OMP_NUM_THREADS" in environment, adds_traceback=True)
        is_launcher = "accelerate-launch" in names or "accelerate.commands.launch" in arguments[:4]
        if not is_launcher and not ("accelerate" in names and "launch" in names):
            continue
        asked = _option(arguments, "--num_processes")
        given = _option(arguments, "--config_file")
        default = default_config_file()
        if given:
            path, why = Path(given), f"config file {given}"
        elif default and "--cpu" not in arguments:
            path, why = default, f"config file {default}, which `accelerate config` wrote"
        else:
            path, why = None, "no config file in force"
        quiet = any(argument in ("-q", "--quiet") for argument in arguments)
        return Launch(
            "accelerate launch",
            path,
            why,
            int(asked) if asked else None,
            "OMP_NUM_THREADS" in environment,
            # For one process; torch's elastic launcher, which starts several, is quiet under `accel-cls launch` only.
            adds_traceback=(not quiet or "LOCAL_RANK" in os.environ) and STATUS_FILE not in os.environ,
        )
    return Launch("python", None, "no config file in force", None, "OMP_NUM_THREADS" in os.environ, False)


def _option(arguments: Sequence[str], name: str) -> str | None:
    """The value of a command-line option, written `--name value` or `--name=value`."""
    for i, argument in enumerate(arguments):
        if argument == name and i + 1 < len(arguments):
            return arguments[i + 1]
        if argument.startswith(name + "="):
            return argument.partition("=")[2]
    return None
