"""Hardware profiles: files in `accelerate config`'s own format that say topology and precision.

Reads them without importing torch or accelerate, so that commands answer at once.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from accel_cls.errors import UserError
from accel_cls.shipped import shipped_folder

TRAINING_MODULES = ("accel_cls.train", "accel_cls.pretrain")  # that a launcher starts
_VALUES = (
    "distributed_type",
    "num_processes",
    "num_machines",
    "machine_rank",
    "main_process_ip",
    "main_process_port",
    "mixed_precision",
    "use_cpu",
)


@dataclass(frozen=True)
class Profile:
    """What a profile asks for."""

    path: Path
    distributed_type: str  # accelerate's word: NO, MULTI_GPU, MULTI_CPU, FSDP, DEEPSPEED, XLA ...
    use_cpu: bool
    processes: int  # over all machines together
    machines: int
    mixed_precision: str  # no, fp16, bf16, fp8
    machine_rank: int = 0  # which of the machines this one is
    main_host: str | None = None  # machine 0, as the others reach it
    main_port: int | None = None

    @property
    def name(self) -> str:
        """The file's name without its ending, which is what recipes call a shipped profile."""
        return self.path.stem

    @property
    def device(self) -> str:
        """The kind of device that it asks for: CPU, GPU or TPU."""
        return "CPU" if self.use_cpu else "TPU" if self.distributed_type == "XLA" else "GPU"

    def changed(self, processes: int | None = None, mixed_precision: str | None = None) -> Profile:
        """The same hardware with another number of processes, or in another precision; not yet a file."""
        processes = processes or self.processes
        kind = self.distributed_type
        if kind in ("NO", "MULTI_GPU"):  # what accelerate calls one and several processes with whole weights
            kind = "NO" if processes == 1 else "MULTI_GPU"
        return replace(
            self,
            processes=processes,
            distributed_type=kind,
            mixed_precision=mixed_precision or self.mixed_precision,
        )

    def __str__(self) -> str:
        many = "process" if self.processes == 1 else "processes"
        where = self.device + ("s" if self.processes > 1 and self.device != "CPU" else "")
        how = {"FSDP": " with FSDP", "DEEPSPEED": " with DeepSpeed"}.get(self.distributed_type, "")
        over = f" over {self.machines} machines" if self.machines > 1 else ""
        return f"{self.processes} {many} on {where}{how}{over}, precision {precision_name(self.mixed_precision)}"


def precision_name(mixed_precision: str) -> str:
    """What users are told of accelerate's word for a precision: its "no" is fp32."""
    return {"no": "fp32"}.get(mixed_precision, mixed_precision)


def profile_names() -> list[str]:
    """The names of the profiles that come with the project."""
    return sorted(path.stem for path in shipped_folder("accelerate_configs").glob("*.yaml"))


def default_config_file() -> Path | None:
    """What `accelerate config` wrote, which `accelerate launch` takes when it is given no file."""
    cache = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    folder = Path(cache).expanduser() / "accelerate"
    return next((p for p in (folder / "default_config.yaml", folder / "default_config.json") if p.is_file()), None)


def find_profile(hardware: str) -> Profile | None:
    """The profile that a recipe's `hardware` names; None for `auto`.

    Raises:
        UserError: where there is no such profile, or the file is not one.
    """
    if hardware == "auto":
        return None
    if hardware == "default":
        path = default_config_file()
        if path is None:
            raise UserError(
                "hardware: default means what `accelerate config` wrote, and it has written nothing yet. "
                f"Run it, or name a profile: {', '.join(profile_names())}, auto"
            )
        return read_profile(path)
    shipped = shipped_folder("accelerate_configs") / f"{hardware}.yaml"
    if shipped.is_file():
        return read_profile(shipped)
    path = Path(hardware)
    if not path.is_file():
        raise UserError(
            f"hardware: found {hardware!r}; expected auto, default, a profile's path, or one of: "
            f"{', '.join(profile_names())}"
        )
    return read_profile(path)


def profile_content(path: Path) -> Any:
    """What stands in a profile file, by accelerate's own rule: JSON by its ending, else PyYAML's YAML 1.1."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def read_profile(path: Path) -> Profile:
    """Read a profile file. Raises UserError where it is not one."""
    try:
        content = profile_content(path)
    except RecursionError as error:
        raise UserError(f"{path}: not readable as a profile: nested too deeply") from error
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:  # no UTF-8, a number or date that is none
        raise UserError(f"{path}: not readable as a profile: {error}") from error
    if not isinstance(content, dict) or "distributed_type" not in content:
        raise UserError(f"{path}: found no distributed_type; expected a file such as `accelerate config` writes")
    for key in _VALUES:
        if isinstance(content.get(key), list | dict):
            raise UserError(f"{path}: {key} holds a list or a mapping; expected a single value")
    deepspeed = content.get("deepspeed_config") or {}
    accumulation = deepspeed.get("gradient_accumulation_steps", 1) if isinstance(deepspeed, dict) else deepspeed
    if accumulation not in (1, "auto"):
        raise UserError(
            f"{path}: deepspeed_config.gradient_accumulation_steps is {accumulation}; expected 1. The recipe's "
            "train.batch_size and train.micro_batch_tokens decide how an update is divided"
        )
    return Profile(
        path=path,
        # YAML 1.1 reads an unquoted NO as false.
        distributed_type=str(content["distributed_type"] or "NO").upper().replace("TPU", "XLA"),
        use_cpu=str(content.get("use_cpu")).lower() in ("true", "yes", "1"),  # quoted, too
        processes=_count(content, "num_processes", path),
        machines=_count(content, "num_machines", path),
        mixed_precision=str(content.get("mixed_precision") or "no").lower(),
        machine_rank=_count(content, "machine_rank", path, least=0),
        main_host=str(content["main_process_ip"]) if content.get("main_process_ip") else None,
        # accelerate's 0, any free port, can be known to no other machine.
        main_port=_count(content, "main_process_port", path, least=0) or None,
    )


def write_profile(profile: Profile, path: Path) -> Profile:
    """Write what `Profile.changed` made as a file of its own, everything else as in the file that it comes from."""
    content = profile_content(profile.path)
    content |= {
        "distributed_type": profile.distributed_type,
        "num_processes": profile.processes,
        "mixed_precision": profile.mixed_precision,
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return replace(profile, path=path)


def _count(content: dict[str, Any], key: str, path: Path, least: int = 1) -> int:
    value = content.get(key)
    if value is None:
        return least
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UserError(f"{path}: {key} is {value!r}; expected a whole number, {least} or more")
    return value


def profile_to_launch(hardware: str, processes: int | None) -> Profile | None:
    """The profile to launch with: the one that is named, or for `auto` the one that fits this machine.

    Raises:
        UserError: where this machine has not what the profile asks for.
    """
    if hardware != "auto":
        profile = find_profile(hardware)
        assert profile is not None
        refuse_multi_cpu(profile)
        check_devices(profile, processes or profile.processes)
        return profile
    devices, kind = _devices()
    several = (processes or devices) > 1
    name = {"cpu": "cpu_multi" if several else "cpu", "mps": "mps"}.get(kind, "multi_gpu" if several else "gpu")
    return find_profile(str(shipped_folder("accelerate_configs") / f"{name}.yaml"))


def refuse_multi_cpu(profile: Profile) -> None:
    """Raise UserError where accelerate would start one process instead of several."""
    if profile.distributed_type == "MULTI_CPU":
        raise UserError(
            f"{profile.path}: with MULTI_CPU accelerate launch starts one process only, silently. "
            "Use hardware=cpu_multi, or its way of writing it"
        )


# What accelerate needs besides itself: distributed_type: (package, how users call it).
_LIBRARIES = {"DEEPSPEED": ("deepspeed", "DeepSpeed"), "XLA": ("torch_xla", "torch_xla")}


def check_devices(profile: Profile, processes: int) -> None:
    """Make sure that this machine has what a profile that starts so many processes on it needs.

    Raises:
        UserError: where it has not a GPU for each of them, or not the library that divides their work.
    """
    package, name = _LIBRARIES.get(profile.distributed_type, ("torch", "torch"))
    if find_spec(package) is None:
        raise UserError(
            f"hardware: {profile.name} ({os.path.relpath(profile.path)}) asks for {profile}; this needs {name}, which "
            f"is not installed here: pip install {package}, or take whatever is here with hardware=auto"
        )
    if profile.use_cpu or profile.distributed_type == "XLA":
        return
    devices, kind = _devices()
    if devices < processes:
        raise UserError(
            f"hardware: {profile.name} ({os.path.relpath(profile.path)}) asks for {profile}; "
            f"this machine has {f'{devices} of kind {kind}' if devices else 'no GPU that torch can use'}.\n"
            "Take whatever is here with hardware=auto, or say how many with --processes"
        )


def _devices() -> tuple[int, str]:
    """How many accelerators torch sees here, and of which kind; (0, "cpu") for none."""
    # A build for CPUs alone says so, unless a package adds a device to it: torch need not be imported, which takes a
    # second. Everything else in here answers at once.
    if version("torch").endswith("+cpu") and not entry_points(group="torch.backends"):
        return 0, "cpu"
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return (torch.accelerator.device_count(), found.type) if found is not None else (0, "cpu")


def launch_command(
    profile: Profile | None,
    recipe: str,
    overrides: Sequence[str],
    processes: int | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    """The `accelerate launch` command that runs a recipe under a profile; relative paths where shorter."""
    command = ["accelerate", "launch"]
    if profile is not None:
        relative = os.path.relpath(profile.path)
        command += ["--config_file", min(relative, str(profile.path), key=len)]
    if processes is not None:
        command += ["--num_processes", str(processes)]
    return [*command, *options, "-m", _module(), recipe, *overrides]


def _module() -> str:
    """The module that trains in this process; in a command that starts a training, the one that trains classifiers."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec.name if spec is not None and spec.name in TRAINING_MODULES else TRAINING_MODULES[0]


def quietly(command: Sequence[str]) -> list[str]:
    """An `accelerate launch` command as we run it ourselves.

    By the package that belongs to this Python, also where its folder is not the current one, and by no file of the
    current one that has a library's name (-P). `--quiet` keeps
    accelerate from adding its own traceback to an error that has been explained already.
    """
    return [sys.executable, "-P", "-m", "accelerate.commands.launch", "--quiet", *command[2:]]


def shell(command: Sequence[str]) -> str:
    """A command as a user would type it."""
    return shlex.join(command)
