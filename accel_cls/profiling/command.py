"""What `accel-cls profile` does: start the recipe's training as `accel-cls launch` does, to measure itself."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accel_cls.atomic import write_json
from accel_cls.errors import UserError
from accel_cls.profiles import launch_command, profile_to_launch, quietly, shell
from accel_cls.profiling.measurements import ProcessMeasurements, ProfileResult
from accel_cls.profiling.report import as_json
from accel_cls.recipe import Recipe
from accel_cls.runs.folder import RunFolder

_LINES = 15  # of a failed training's log that are shown
_BEFORE_TRACEBACK = "\n(That is all. What"  # as train.py says it


def out_folder(recipe: Recipe, out: Path | None) -> Path:
    """Where the measurement is kept: beside the run's own folder, which may hold nothing but a run.

    Raises:
        UserError: where there is something else.
    """
    folder = out or Path(f"{recipe.output.rstrip('/')}-profile")
    if folder.exists() and (not folder.is_dir() or RunFolder(folder).recipe.exists()):
        what = "holds a run" if folder.is_dir() else "is a file"
        raise UserError(f"--out: {folder} {what}; name another folder")
    return folder


def measure_recipe(
    path: str,
    recipe: Recipe,
    overrides: Sequence[str],
    processes: int | None,
    updates: int,
    out: Path,
    print_line: Callable[[str], None],
) -> tuple[ProfileResult, dict[str, Any]]:
    """Measure some updates of a recipe; leaves `profile.json` and the traces in `out`. Returns both forms of it.

    Raises:
        UserError: where the hardware is not here, or the training fails; with the end of its log.
    """
    profile = profile_to_launch(recipe.hardware, processes)
    if profile is not None and profile.machines > 1:
        raise UserError(
            f"hardware: {profile.name} is for {profile.machines} machines, but one is measured here; take a profile "
            "for one, such as hardware=multi_gpu"
        )
    with tempfile.TemporaryDirectory(prefix="profile-") as place:
        measurements = Path(place, "measurements")
        measurements.mkdir()
        print_line(f"  $ {shell(launch_command(profile, path, overrides, processes))}")
        arguments = [*overrides, "--profiling", str(measurements), str(updates)]
        _run(launch_command(profile, path, arguments, processes), Path(place, "log"))
        found = ProfileResult(ProcessMeasurements.read(measurements))
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob("trace-*.json.gz"):
            old.unlink()
        for trace in measurements.glob("trace-*.json.gz"):
            shutil.move(trace, out / trace.name)
    content = as_json(found, out)
    write_json(out / "profile.json", content)
    return found, content


def _run(command: Sequence[str], log: Path) -> None:
    with open(log, "w", encoding="utf-8") as file:
        done = subprocess.run(quietly(command), stdout=subprocess.DEVNULL, stderr=file, check=False)
    if done.returncode:
        message = error_message_of(log.read_text(encoding="utf-8", errors="replace"))
        raise UserError(f"the training to be measured ended with an error:\n{message}")


def error_message_of(log: str) -> str:
    """The error message in a training's log, without what libraries print around it; or the end of a traceback."""
    if "Traceback (most recent call last)" not in log.partition(_BEFORE_TRACEBACK)[0]:
        # The message comes after an empty line; a launcher of several processes adds a traceback to it.
        log = log.partition(_BEFORE_TRACEBACK)[0].strip().rpartition("\n\n")[2]
    return "\n".join(log.strip().splitlines()[-_LINES:])
