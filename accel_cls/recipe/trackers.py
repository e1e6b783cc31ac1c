"""The trackers that a recipe may name, and whether they are installed; nothing slow is imported."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Literal, get_args

from accel_cls.errors import UserError

Tracker = Literal["tensorboard", "wandb", "mlflow"]
TRACKERS: tuple[str, ...] = get_args(Tracker)
_PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX")}  # others are one of their own name


def require_trackers(trackers: Sequence[Tracker]) -> None:
    """Raise UserError where a tracker's package is not installed."""
    missing = [name for name in trackers if not any(map(find_spec, _PACKAGES.get(name, (name,))))]
    if missing:
        raise UserError(
            f"train.trackers: found {', '.join(missing)}, which is not installed here; expected the package: "
            f"pip install {' '.join(missing)}, or leave it out"
        )
