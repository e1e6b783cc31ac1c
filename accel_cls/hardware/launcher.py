"""How this process was started: asked of its parents, since `accelerate launch` does not tell its children."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from accel_cls.errors import UserError
from accel_cls.profiles import TRAINING_MODULES, Profile, default_config_file
from accel_cls.stopping import STATUS_FILE

# accelerate launch's flags for what a profile says, and the profile's field for each. A flag wins over the file.
VALUES = {
    "mixed_precision": "mixed_precision",
    "num_processes": "processes",
    "num_machines": "machines",
    "machine_rank": "machine_rank",
    "main_process_ip": "main_host",
    "main_process_port": "main_port",
}
# Those without a value, and the distributed type that each means. With --cpu accelerate starts one process, and shards
# nothing, whatever the file says.
SWITCHES = {"multi_gpu": "MULTI_GPU", "use_fsdp": "FSDP", "use_deepspeed": "DEEPSPEED", "tpu": "XLA", "cpu": "NO"}


@dataclass(frozen=True)
class Launch:
    """How this process was started, as far as its parents' command lines tell."""

    by: str  # "accelerate launch", "torchrun" or "python"
    config_file: Path | None  # the accelerate config file in force
    why: str  # how that file came to be in force, or why none is
    flags: Mapping[str, str]  # of VALUES and SWITCHES, as on accelerate's command line; "" for a switch
    user_threads: bool  # OMP_NUM_THREADS was set by the user, not by the launcher
    adds_traceback: bool  # the launcher prints one of its own when this process ends with an error

    @property
    def asked_processes(self) -> int | None:
        """--num_processes on the command line."""
        return int(self.flags["num_processes"]) if "num_processes" in self.flags else None

    def describe(self, in_file: Profile | None) -> str:
        """Who started this process, and what is from the config file, what from the command line."""
        text = f"{self.by}; {self.why}"
        if not self.flags:
            return text
        parts = []
        for name, value in self.flags.items():
            part = " ".join(flag_words({name: value}))
            if in_file is not None and (before := _in_file(in_file, name, value)):
                part += f" (in the file: {before})"
            parts.append(part)
        return f"{text}; from the command line: {', '.join(parts)}"


@dataclass(frozen=True)
class DistributedEnv:
    """What torch's `env://` rendezvous needs: RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT."""

    rank: int
    world_size: int
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


def read_distributed_env() -> DistributedEnv:
    """What a launcher has put into the environment, or somebody by hand.

    Raises:
        UserError: where it does not say enough.
    """
    world_size = count_of("WORLD_SIZE", 1)
    if world_size == 1:
        return DistributedEnv(0, 1, "", 0)
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise UserError(
            f"WORLD_SIZE is {world_size}, but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set: "
            "this process can't know which of them it is, or where they meet. Start all of them with `accel-cls "
            "launch`, accelerate launch or torchrun, which set what is needed, or unset WORLD_SIZE to train alone"
        )
    rank = count_of("RANK", 0)
    if rank >= world_size:
        raise UserError(f"RANK is {rank}; expected a number below WORLD_SIZE, which is {world_size}")
    return DistributedEnv(rank, world_size, os.environ["MASTER_ADDR"], count_of("MASTER_PORT", 1))


def count_of(name: str, least: int) -> int:
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
            return Launch("torchrun", None, why, {}, "OMP_NUM_THREADS" in environment, adds_traceback=True)
        is_launcher = "accelerate-launch" in names or "accelerate.commands.launch" in arguments[:4]
        if not is_launcher and not ("accelerate" in names and "launch" in names):
            continue
        flags = flags_of(arguments, ("config_file", *VALUES))
        given = flags.pop("config_file", None)
        default = default_config_file()
        if given:
            path, why = Path(given), f"config file {given}"
        elif default and "cpu" not in flags:
            path, why = default, f"config file {default}, which `accelerate config` wrote"
        else:
            path, why = None, "no config file in force"
        quiet = any(argument in ("-q", "--quiet") for argument in arguments)
        return Launch(
            "accelerate launch",
            path,
            why,
            flags,
            "OMP_NUM_THREADS" in environment,
            # For one process; torch's elastic launcher, which starts several, is quiet under `accel-cls launch` only.
            adds_traceback=(not quiet or "LOCAL_RANK" in os.environ) and STATUS_FILE not in os.environ,
        )
    return Launch("python", None, "no config file in force", {}, "OMP_NUM_THREADS" in os.environ, False)


def flags_of(arguments: Sequence[str], values: Iterable[str]) -> dict[str, str]:
    """What a command line of accelerate launch says itself: {"mixed_precision": "bf16"}.

    Flags are written `--some_name value`, `--some-name=value` or `--switch`; of one that stands twice the last counts.

    Args:
        arguments: of the command line.
        values: the names of those with a value that are wanted; all switches are.
    """
    flags: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        if word in TRAINING_MODULES:  # what follows is for the training
            break
        if not word.startswith("--"):
            continue
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if name in values:
            flags[name] = value if equals else next(words, "")
        elif name in SWITCHES:
            flags[name] = ""
    return flags


def flag_words(flags: Mapping[str, str]) -> list[str]:
    """Flags as they stand on a command line."""
    return [word for name, value in flags.items() for word in (f"--{name}", value) if word]


def with_flags(profile: Profile, flags: Mapping[str, str]) -> Profile:
    """What is in force of a profile beside these flags: by accelerate's rule, a flag wins over the file."""
    changes: dict[str, Any] = {}
    for name, value in flags.items():
        if name in SWITCHES:
            changes["distributed_type"] = SWITCHES[name]
            changes |= {"use_cpu": True} if name == "cpu" else {}
        else:
            field = VALUES[name]
            is_text = field in ("mixed_precision", "main_host")
            changes[field] = value.lower() if field == "mixed_precision" else value if is_text else int(value)
    return replace(profile, **changes)


def _in_file(profile: Profile, name: str, value: str) -> str:
    """What the file says where a flag says something else; "" where it says the same, or nothing."""
    field = VALUES.get(name, "use_cpu" if name == "cpu" else "distributed_type")
    before = getattr(profile, field)
    if before is None or before == getattr(with_flags(profile, {name: value}), field):
        return ""
    return "no" if name == "cpu" else str(before)
