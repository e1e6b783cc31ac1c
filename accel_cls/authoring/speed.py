"""How fast a recipe's model has trained here before, from what earlier trainings have logged."""

from __future__ import annotations

import json
import os
import statistics
from dataclasses import dataclass
from pathlib import Path

from accel_cls.recipe import Recipe, leaves, read_plain, recipe_to_plain
from accel_cls.runs.folder import RunFolder

# What decides how long an update takes, besides the hardware.
_DECISIVE = ("model.", "data.max_length", "train.batch_size", "train.packing", "train.kernels", "few_shot.pairs")


@dataclass(frozen=True)
class Speed:
    """How fast a training has been."""

    examples_per_second: float  # the median over its log
    where: str  # its run folder


def speed_of(recipe: Recipe) -> Speed | None:
    """That of the run, or runs, in the recipe's folder, else of a trial of its search; None where neither tells."""
    folder = RunFolder(recipe.output)
    wanted = _decisive(recipe_to_plain(recipe))
    for one in (folder, *folder.repetitions, *folder.trials, *map(RunFolder, sorted(folder.search.glob("*/")))):
        if one.recipe.is_file() and one.metrics.is_file() and _decisive(read_plain(one.recipe)) == wanted:
            logged = _logged(one.metrics)
            if logged:
                where = min(os.path.relpath(one.path), str(one.path), key=len)
                return Speed(statistics.median(logged), where)
    return None


def _decisive(plain: object) -> dict[str, object]:
    values = dict(leaves(plain))
    found = {key: value for key, value in values.items() if key.startswith(_DECISIVE)}
    moved = values.get("loss.adversarial")
    steps = values.get("loss.adversarial_steps") if moved == "pgd" else None
    # What a run that began before there was a section `loss` does not say is off.
    return found | {"passes": (bool(values.get("loss.r_drop")), moved, steps)}


def _logged(metrics: Path) -> list[float]:
    found = []
    for line in metrics.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            speed = json.loads(line).get("examples_per_second")
        except (json.JSONDecodeError, AttributeError):  # a last line that was cut off
            continue
        if isinstance(speed, int | float) and speed > 0:
            found.append(float(speed))
    return found
