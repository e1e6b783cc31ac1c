"""Runs that are compared: started by the real command, in folders of their own, with the same number of threads.

Used by `accel-cls parity` and by `accel-cls resume --prove`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil

from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.profiles import quietly, shell
from accel_cls.recipe import Recipe
from accel_cls.recipe.keys import RATE
from accel_cls.tasks import task_of

_LINES = 15  # of a failed run's log that are shown


@contextmanager
def folder_of_runs(keep: Path | None, prefix: str) -> Iterator[Path]:
    """The folder for all trainings of a comparison: the one that is to be kept, or one that is deleted afterwards.

    Raises:
        UserError: where the one to be kept holds something.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UserError(f"--keep: {keep} is there already; name a new folder, or an empty one")
    with nullcontext(keep) if keep is not None else tempfile.TemporaryDirectory(prefix=prefix) as place:
        folder = Path(place).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def without_output_and_hardware(overrides: Sequence[str]) -> list[str]:
    """A user's overrides but for `output` and `hardware`, which a comparison sets by itself."""
    return [text for text in overrides if not text.startswith(("hardware=", "output=", "~hardware"))]


def require_rate(recipe: Recipe) -> None:
    """Raise UserError for a recipe that leaves its learning rate to a search: each training would make its own."""
    if recipe.train.learning_rate == "auto":
        raise UserError(
            f"{RATE}: auto: each training would begin with a search; give a number, such as the one that accel-cls "
            f"tune finds: {RATE}=2e-5"
        )


def updates_per_epoch(recipe: Recipe) -> int:
    """Updates in one pass over a recipe's training data, which are read for it."""
    return -(-len(load_corpus(recipe, task_of(recipe)).train) // recipe.train.batch_size)


def limit_updates(recipe: Recipe, most: int, epoch: int) -> int:
    """Updates of a run that is limited to `most`, with `epoch` updates in an epoch."""
    return min(most, recipe.train.max_updates or most, recipe.train.epochs * epoch)


def min_micro_batches_for(recipe: Recipe, processes: int) -> int:
    """The micro-batches with which dropout draws alike on up to so many processes; the recipe's own number, if any."""
    least = recipe.train.min_micro_batches
    return least if "min_micro_batches" in recipe.train.model_fields_set else max(least, processes)


def threads_per_process(processes: int) -> int:
    """Threads a process, the same in each training: sums are then made in the same order inside each micro-batch."""
    return max(1, (psutil.cpu_count(logical=False) or 1) // processes)


def start_training(command: Sequence[str], log: Path, threads: int) -> subprocess.Popen[bytes]:
    """Start a training; its log begins with the command as a user would type it."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with open(log, "w", encoding="utf-8") as out:
        out.write(f"$ OMP_NUM_THREADS={threads} {shell(command)}\n")
        out.flush()
        return subprocess.Popen(quietly(command), stdout=out, stderr=subprocess.STDOUT, env=environment)


def training_failed(name: str, log: Path) -> UserError:
    """What to raise where a training ended with an error, with its last lines."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return UserError(f"{name}: its training ended with an error; {log} ends with:\n" + "\n".join(lines[-_LINES:]))


def print_to_stderr(text: str) -> None:
    """Print progress where standard output is for a program."""
    print(text, file=sys.stderr, flush=True)
