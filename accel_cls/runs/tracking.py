"""What is logged, told to the trackers that a recipe names: TensorBoard, Weights & Biases, MLflow.

metrics.jsonl is the log; what trackers keep is made from it. A run that goes on tells them all of it anew, so that
they have each update once, however often the run was ended, and what came after its checkpoint as it came in the end.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

from accelerate import Accelerator

from accel_cls.errors import UserError, shown
from accel_cls.recipe import Recipe, leaves, recipe_to_plain
from accel_cls.runs.folder import RunFolder

# A tracker that was named may keep what it is told, but nobody has asked for the network. What the user has set stays.
_ALONE = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
_STORE = "MLFLOW_TRACKING_URI"
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


class Tracking:
    """The trackers of one training, on the main process; on others, and without trackers, it does nothing."""

    def __init__(self, accelerator: Accelerator, folder: RunFolder, recipe: Recipe):
        """Start them, and tell them what the log has.

        Raises:
            UserError: where one can't start.
        """
        self._accelerator = accelerator
        self._own_store: str | None = None
        if not recipe.train.trackers or not accelerator.is_main_process:
            return
        shutil.rmtree(folder.trackers, ignore_errors=True)
        folder.trackers.mkdir()
        for name, value in _ALONE.items():
            os.environ.setdefault(name, value)
        self._own_store = f"sqlite:///{folder.trackers.absolute() / 'mlflow.db'}"
        os.environ.setdefault(_STORE, self._own_store)
        accelerator.project_configuration.logging_dir = str(folder.trackers)
        name = _NOT_IN_NAMES.sub("-", recipe.name).strip("-.") or "run"
        options = {
            "wandb": {"dir": str(folder.trackers), "name": folder.path.name, "mode": os.environ["WANDB_MODE"]},
            "mlflow": {"logging_dir": (folder.trackers / "mlflow").absolute().as_uri(), "run_name": folder.path.name},
        }
        try:
            accelerator.init_trackers(name, _settings(recipe), options)
        except Exception as error:  # each tracker has kinds of its own, all for the user to read
            reason = shown(str(error), 300) or type(error).__name__
            names = ", ".join(recipe.train.trackers)
            raise UserError(f"train.trackers: one of {names} can't start: {reason}") from error
        for record in _records(folder):
            self.log(record)

    def log(self, record: dict[str, Any]) -> None:
        """Tell them a line of the log; what is no finite number is left out."""
        if self._accelerator.trackers and (values := _values(record)):
            self._accelerator.log(values, step=record["update"])

    def finish(self) -> None:
        """Let them write what they have; afterwards they are told nothing."""
        for tracker in self._accelerator.trackers:
            tracker.finish()
        self._accelerator.trackers.clear()
        if (
            self._own_store and os.environ.get(_STORE) == self._own_store
        ):  # another training of this process has its own
            del os.environ[_STORE]


def _settings(recipe: Recipe) -> dict[str, int | float | str | bool]:
    """The recipe's values by dotted key, as trackers take them."""
    values = leaves(recipe_to_plain(recipe))
    return {key: value if isinstance(value, int | float | str) else json.dumps(value) for key, value in values}


def _records(folder: RunFolder) -> Iterator[dict[str, Any]]:
    if folder.metrics.is_file():
        yield from map(json.loads, folder.metrics.read_text(encoding="utf-8").splitlines())


def _values(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line of the log under names as transformers' Trainer gives them: train/loss, eval/accuracy.

    Of an update that was skipped there are none.
    """
    if "skipped" in record:
        return {}
    part = "eval" if "evaluation" in record else "averaged" if "averaged" in record else "train"
    scores = record.get("evaluation") or record.get("scores")
    found = scores or {name: value for name, value in record.items() if name != "update"}
    return {
        f"{part}/{name}": float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
