"""The `accel-cls` command. Imports nothing slow before a command needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer

from accel_cls.errors import UserError
from accel_cls.profiles import Profile, find_profile, launch_command, shell
from accel_cls.recipe import load_recipe
from accel_cls.shipped import shipped_folder

app = typer.Typer(
    help="Fine-tune a text classifier from a short YAML recipe, on any hardware.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _top() -> None:
    """Fine-tune a text classifier from a short YAML recipe, on any hardware."""


@app.command()
def launch(
    recipe: Annotated[str, typer.Argument(help="A recipe file, such as recipes/food.yaml.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Values to override; ~key resets one."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes to start, instead of what the profile says.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over; the run that is there is kept, renamed.")
    ] = False,
    only_print: Annotated[bool, typer.Option("--print", help="Show the command without running it.")] = False,
) -> None:
    """Check a recipe, read its hardware profile, and start `accelerate launch` accordingly.

    Examples:

      accel-cls launch recipes/food.yaml

      accel-cls launch recipes/food.yaml hardware=cpu_multi train.epochs=3
    """
    overrides = overrides or []
    profile = _profile_for(load_recipe(recipe, overrides).hardware, processes)
    arguments = [*overrides, "--fresh"] if fresh else overrides
    command = launch_command(profile, recipe, arguments, processes)
    typer.echo(f"$ {shell(command)}")
    if only_print:
        return
    # The package that this command belongs to, also where its folder is not the current one. `--quiet`
    # keeps accelerate from adding its own traceback to an error that has been explained already.
    command[:2] = [sys.executable, "-m", "accelerate.commands.launch", "--quiet"]
    process = subprocess.Popen(command)
    while True:
        try:
            raise typer.Exit(process.wait())
        except KeyboardInterrupt:
            continue  # Ctrl-C reaches the whole group; those who train end by themselves


def _profile_for(hardware: str, processes: int | None) -> Profile | None:
    """The profile to launch with: the one that is named, or for `auto` the one that fits this machine."""
    if hardware != "auto":
        profile = find_profile(hardware)
        assert profile is not None
        if profile.distributed_type == "MULTI_CPU":
            raise UserError(
                f"{profile.path}: with MULTI_CPU accelerate launch starts one process only, silently. "
                "Use hardware=cpu_multi, or its way of writing it"
            )
        if profile.use_cpu or profile.distributed_type == "XLA":
            return profile
        devices, kind = _devices()
        needed = (processes or profile.processes) // profile.machines
        if devices < needed:
            raise UserError(
                f"hardware: {hardware} ({os.path.relpath(profile.path)}) asks for {profile}; "
                f"this machine has {f'{devices} of kind {kind}' if devices else 'no GPU that torch can use'}.\n"
                "Take whatever is here with hardware=auto, or say how many with --processes"
            )
        return profile
    devices, kind = _devices()
    name = {"cpu": "cpu", "mps": "mps"}.get(kind, "gpu" if devices == 1 else "multi_gpu")
    return find_profile(str(shipped_folder("accelerate_configs") / f"{name}.yaml"))


def _devices() -> tuple[int, str]:
    """How many accelerators torch sees here, and of which kind; (0, "cpu") for none."""
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return (torch.accelerator.device_count(), found.type) if found is not None else (0, "cpu")


def main() -> None:
    """Entry point of the console script: mistakes of the user end in a message, not in a traceback."""
    try:
        app()
    except UserError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from None
