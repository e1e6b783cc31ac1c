"""The Accelerator of this process: what runs is checked against what the recipe asks for, and described."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import (
    DistributedType,
    InitProcessGroupKwargs,
    ProjectConfiguration,
    is_deepspeed_available,
    is_torch_xla_available,
)

from accel_cls.devices.deterministic import describe_repeatable
from accel_cls.devices.fast_bf16 import fast_bf16
from accel_cls.devices.usual import usual_device
from accel_cls.errors import UserError, listed
from accel_cls.hardware.launcher import SWITCHES, Launch, flag_words, how_started, with_flags
from accel_cls.hardware.nodes import interface_towards
from accel_cls.hardware.rendezvous import Rendezvous, compare_by_gather, facts_of
from accel_cls.profiles import Profile, find_profile, launch_command, precision_name, read_profile, shell
from accel_cls.recipe import Recipe
from accel_cls.startup import TRUE
from accel_cls.stopping import stop_with_parent

# Ways to divide weights or optimizer among processes, and what accelerate launch sets for them.
_SHARDED = {"FSDP": "ACCELERATE_USE_FSDP", "DEEPSPEED": "ACCELERATE_USE_DEEPSPEED"}
# Also set from a profile; false and unset are one. All processes must have the same.
_SHARED = ("ACCELERATE_MIXED_PRECISION", *_SHARDED.values())


@dataclass(frozen=True)
class Hardware:
    """An Accelerator and what the banner says of it."""

    accelerator: Accelerator
    started_by: str  # the launcher, and what it took from a config file and from its command line
    threads: int
    rendezvous: Rendezvous
    interface: str | None  # the network interface that was chosen for gloo
    deterministic: bool  # the recipe's train.deterministic
    is_precision_told: bool  # whether a profile, a config file or a flag says it

    def require_same(self, topic: str, facts: Mapping[str, str], advice: str) -> None:
        """End the run where its ranks differ in these facts: no error would show it later."""
        if self.rendezvous.world_size == 1 < self.accelerator.num_processes:  # XLA starts its own, without a store
            compare_by_gather(self.accelerator, topic, facts, advice)
        else:
            self.rendezvous.require_same(topic, facts, advice)

    @property
    def name(self) -> str:
        """What runs, as people call it: "2 processes on cpu, 1 thread each, MULTI_CPU over gloo; precision fp32"."""
        state = self.accelerator
        device = state.device.type
        if device == "cuda":
            device = f"{torch.cuda.get_device_name(state.device)} (cuda)"
        many = "process" if state.num_processes == 1 else "processes"
        kind = state.distributed_type.value
        on = f" on {self.interface}" if self.interface and "gloo" in str(state.state.backend) else ""
        backend = f", {kind} over {state.state.backend}{on}" if state.num_processes > 1 else ""
        each = " each" if state.num_processes > 1 else ""
        plural = "" if self.threads == 1 else "s"
        threads = f", {self.threads} thread{plural}{each}" if state.device.type == "cpu" else ""
        return f"{state.num_processes} {many} on {device}{threads}{backend}; precision {self.precision}"

    @property
    def precision(self) -> str:
        """What forward passes compute in: fp32, fp16, bf16, fp8."""
        return precision_name(self.accelerator.mixed_precision)

    def advice(self, hidden_size: int | None) -> list[str]:
        """What to do where it computes in fp32 because nobody has said anything, and bf16 is faster.

        Args:
            hidden_size: numbers of a token in the encoder that is trained; None where it has none.
        """
        faster = None if self.is_precision_told else fast_bf16(self.accelerator.device.type, hidden_size)
        if faster is None:
            return []
        return [
            f"precision is fp32, since nothing says another one; {faster} trains such an encoder faster in bf16: "
            "accelerate launch --mixed_precision bf16"
        ]

    def describe(self) -> list[tuple[str, str]]:
        """Name and text of each line of the banner that is about hardware."""
        repeatable = describe_repeatable(self.accelerator.device.type, self.deterministic)
        return [
            ("hardware", self.name),
            *([("repeatable", repeatable)] if repeatable else []),
            ("started by", self.started_by),
            *([("machines", self.rendezvous.describe())] if several_machines() else []),
        ]


def start_hardware(checked: Recipe, recipe: str, overrides: Sequence[str], rendezvous: Rendezvous) -> Hardware:
    """Check that what runs is what the recipe's `hardware` asks for, and make the Accelerator.

    Args:
        checked: the recipe.
        recipe, overrides: as on the command line, to print the right command where they differ.
        rendezvous: where the ranks compare what they have before one of them waits for another in a collective.

    Raises:
        UserError: where the profile and the running processes differ, where the processes differ from one
            another, or where accelerate would silently run something else than was asked for.
    """
    hardware = checked.hardware
    launch = how_started()
    if launch.by == "accelerate launch":
        stop_with_parent()
    in_file = read_profile(launch.config_file) if launch.config_file else None
    in_force = with_flags(in_file, launch.flags) if in_file else None
    profile = find_profile(hardware) or in_force
    world = int(os.environ.get("WORLD_SIZE", "1"))
    device = _device_type(in_force)
    _refuse_one_of_several(launch, in_force, hardware, world, device, recipe, overrides)
    if profile is not None:
        found = _differences(profile, launch, world, device)
        if found:
            fits = in_file if in_force and not _differences(in_force, launch, world, device) else None
            raise UserError(_refusal(profile, hardware, found, launch, fits, recipe, overrides))
    if device == "cpu":
        # Without it, processes that torchrun or MULTI_GPU started on a CPU each believe they are alone.
        os.environ["ACCELERATE_USE_CPU"] = "true"
    interface = _choose_interface()
    rendezvous.require_same(
        "start",
        facts_of(checked) | {"device": device} | {name: os.environ.get(name, "no").lower() for name in _SHARED},
        "Install the same versions on all machines, and give all the same recipe, overrides and profile",
    )
    accelerator = _make_accelerator(device, checked)
    if device != "xla" and accelerator.num_processes != world:
        raise UserError(
            f"WORLD_SIZE is {world}, but accelerate runs {accelerator.num_processes}: these processes would each "
            "train alone. Start them with `accel-cls launch` or one of the files in accelerate_configs/"
        )
    threads = _use_all_cores(accelerator, launch)
    deterministic = checked.train.deterministic
    is_told = profile is not None or "mixed_precision" in launch.flags or _precision() != "no"
    return Hardware(accelerator, launch.describe(in_file), threads, rendezvous, interface, deterministic, is_told)


def _make_accelerator(device: str, checked: Recipe) -> Accelerator:
    """The Accelerator; sharded weights also on a CPU over gloo, which lets such a run be tried without a GPU."""
    sharded = next((kind for kind, variable in _SHARDED.items() if _is_on(variable)), None)
    if sharded and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        raise UserError(
            f"{sharded} divides a training among processes, but this one is alone. Start two or more, with "
            "accel-cls launch or accelerate launch, or take a profile for one process"
        )
    if sharded == "DEEPSPEED" and not is_deepspeed_available():
        raise UserError("DEEPSPEED was asked for, but DeepSpeed is not installed here: pip install deepspeed")
    handlers = []
    if device == "cpu" and sharded == "FSDP":
        # accelerate has FSDP for accelerators only. Its state has to pass for that of several GPUs before
        # Accelerator reads it.
        PartialState(cpu=True)
        PartialState._shared_state.update(distributed_type=DistributedType.MULTI_GPU, _cpu=False)
    elif device == "cpu" and sharded == "DEEPSPEED":
        # With ACCELERATE_USE_CPU, accelerate 1.15 leaves DeepSpeed out, silently.
        os.environ |= {"DS_ACCELERATOR": "cpu", "ACCELERATE_USE_CPU": "false"}
        handlers = [InitProcessGroupKwargs(backend="gloo")]
    trackers = [*dict.fromkeys(checked.train.trackers)] or None  # `runs/tracking.py` starts them, in the run's folder
    try:
        project = ProjectConfiguration(logging_dir=checked.output)
        accelerator = Accelerator(kwargs_handlers=handlers, log_with=trackers, project_config=project)
    except (ValueError, ImportError, NotImplementedError) as error:  # a value in its environment, a missing package
        asked = listed(sorted(name for name in os.environ if name.startswith(("ACCELERATE_", "FSDP_"))))
        raise UserError(f"accelerate can't start: {error}. What it goes by in the environment: {asked}") from error
    if sharded and accelerator.distributed_type.value != sharded:
        raise UserError(
            f"{sharded} was asked for, but accelerate runs {accelerator.distributed_type.value}: weights would not "
            "be divided. Start it with accel-cls launch or accelerate launch"
        )
    _require_precision(accelerator)
    return accelerator


def _require_precision(accelerator: Accelerator) -> None:
    """Raise UserError where accelerate computes in fp32 and says something else, as it does with fp16 on a CPU."""
    precision = accelerator.mixed_precision
    by_itself = accelerator.distributed_type in (DistributedType.DEEPSPEED, DistributedType.XLA)
    if precision in ("fp16", "bf16") and not accelerator.native_amp and not by_itself:
        raise UserError(
            f"precision {precision} was asked for, but on {accelerator.device.type} accelerate computes in fp32, "
            "silently. Take bf16, or fp32, which accelerate calls no"
        )


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"


def _device_type(in_force: Profile | None) -> str:
    """The type of device that accelerate will take here: cpu, cuda, mps, xla, xpu ..."""
    if os.environ.get("ACCELERATE_USE_CPU", "").lower() in TRUE:
        return "cpu"
    if in_force is not None and in_force.use_cpu:
        return "cpu"
    if is_torch_xla_available():
        return "xla"
    return usual_device().type


def _refuse_one_of_several(
    launch: Launch,
    in_force: Profile | None,
    hardware: str,
    world: int,
    device: str,
    recipe: str,
    overrides: Sequence[str],
) -> None:
    """Raise UserError where accelerate launch was asked for several processes, and silently started one."""
    kind = in_force.distributed_type if in_force is not None else "NO"
    in_file = in_force.processes if in_force is not None and hardware == "auto" else 1
    wanted = launch.asked_processes or in_file
    is_one = launch.by == "accelerate launch" and world == 1 < wanted
    if not is_one or kind not in ("NO", "MULTI_CPU") or device == "xla":
        return
    if "cpu" in launch.flags:
        why = "--cpu"
    else:
        why = f"distributed_type {kind}" if in_force is not None else "no --multi_gpu"
    target = find_profile("cpu_multi" if device == "cpu" else "multi_gpu")
    assert target is not None
    flags = {name: value for name, value in launch.flags.items() if name not in SWITCHES}
    flags |= {} if wanted == target.processes else {"num_processes": str(wanted)}
    precision = _precision()
    flags |= {} if precision == target.mixed_precision else {"mixed_precision": precision}
    if hardware != "auto":
        overrides = [*_without_hardware(overrides), "hardware=auto"]
    raise UserError(
        f"{wanted} processes were asked for, but accelerate launch started one: with {why} it does so, silently. This "
        f"starts them all:\n  {shell(launch_command(target, recipe, overrides, options=flag_words(flags)))}"
    )


def _differences(profile: Profile, launch: Launch, world: int, device: str) -> list[str]:
    """In words, each way in which what runs is not what the profile asks for."""
    found = []
    processes = launch.asked_processes or profile.processes
    if profile.distributed_type != "XLA" and world not in (profile.processes, processes):
        found.append(f"{world} process{' is' if world == 1 else 'es are'} running instead of {profile.processes}")
    if profile.use_cpu and device != "cpu":
        found.append(f"the device is {device}, not the CPU")
    if not profile.use_cpu and device == "cpu":
        found.append("this machine shows torch no accelerator, only its CPU")
    if (profile.distributed_type == "XLA") != (device == "xla"):
        found.append(f"the device is {device}, the profile's type {profile.distributed_type}")
    for kind, variable in _SHARDED.items():
        if _is_on(variable) != (profile.distributed_type == kind):
            found.append(f"{kind} is {'on' if _is_on(variable) else 'off'}")
    precision = _precision()
    if precision != profile.mixed_precision and device != "xla":
        by = " (--mixed_precision on the command line)" if "mixed_precision" in launch.flags else ""
        found.append(f"precision is {precision_name(precision)}{by}, not {precision_name(profile.mixed_precision)}")
    return found


def _precision() -> str:
    """accelerate's word for the precision that the launcher has set: no, fp16, bf16, fp8."""
    return os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower()


def _refusal(
    profile: Profile,
    hardware: str,
    differences: list[str],
    launch: Launch,
    fits: Profile | None,
    recipe: str,
    overrides: Sequence[str],
) -> str:
    """What is wrong, and commands that are right; `fits` is the config file in force, where that is what runs."""
    asked = "the config file in force" if hardware == "auto" else f"hardware: {hardware}"
    against = {name: value for name, value in launch.flags.items() if _contradicts(profile, name, value)}
    kept = {name: value for name, value in launch.flags.items() if name not in against}
    without = f", without {' '.join(flag_words(against))}" if against else ""
    right = launch_command(profile, recipe, overrides, options=flag_words(kept))
    advice = f"On hardware that has it, start it with{without}:\n  {shell(right)}"
    if hardware != "auto":
        anything = launch_command(
            fits, recipe, [*_without_hardware(overrides), "hardware=auto"], options=flag_words(launch.flags)
        )
        what = "what the command line says" if launch.flags else "whatever is here"
        advice += f"\nor take {what}:\n  {shell(anything)}"
    return f"{asked} ({profile.path}) asks for {profile}; but {'; '.join(differences)}.\n{advice}"


def _contradicts(profile: Profile, name: str, value: str) -> bool:
    """Whether a flag asks for another kind of hardware, or another precision, than a profile."""
    flagged = with_flags(profile, {name: value})
    same = ("distributed_type", "use_cpu", "mixed_precision")
    return any(getattr(flagged, field) != getattr(profile, field) for field in same)


def _without_hardware(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if not override.startswith(("hardware=", "~hardware"))]


def several_machines() -> bool:
    """Whether the processes of this run are on more than one machine, as the launcher tells it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or "0") not in (0, int(os.environ.get("WORLD_SIZE") or "1"))


def _choose_interface() -> str | None:
    """Let gloo use the network interface that leads to the other machines, unless the user has named one.

    By itself it takes what this machine's name resolves to, which often is the loopback interface or a container's
    bridge: then nobody reaches it.
    """
    if not several_machines() or "GLOO_SOCKET_IFNAME" in os.environ:
        return None
    interface = interface_towards(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    if interface is not None:
        os.environ["GLOO_SOCKET_IFNAME"] = interface
    return interface


def _use_all_cores(accelerator: Accelerator, launch: Launch) -> int:
    """Give each process on a CPU its share of the cores, unless the user has set OMP_NUM_THREADS.

    `accelerate launch` without `--cpu` sets OMP_NUM_THREADS=1, which leaves all other cores idle.
    """
    if accelerator.device.type == "cpu" and not launch.user_threads:
        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
        torch.set_num_threads(max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    return torch.get_num_threads()
