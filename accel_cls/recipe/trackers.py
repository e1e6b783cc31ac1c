"""The trackers that a recipe may name, and whether they are installed; nothing slow is imported."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Literal, get_args

Tracker = Literal["tensorboard", "wandb", "mlflow"]
TRACKERS: tuple[str, ...] = get_args(Tracker)
_PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX")}  # others are one of their own name


def missing_trackers(trackers: Sequence[Tracker]) -> str | None:
    """What is wrong and what to do where a tracker's package is not installed; None where all are."""
    missing = [name for name in trackers if not any(map(find_spec, _PACKAGES.get(name, (name,))))]
    if not missing:
        return None
    verb = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {verb} not installed here: pip install {' '.join(missing)}, or leave it out"
