"""The folder that holds all that a training left: where each thing lies, and how errors of its disk are explained."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accel_cls.atomic import json_text, write_text
from accel_cls.data.examples import Part
from accel_cls.errors import UserError
from accel_cls.runs.lock import LOCK_NAME, RunLock
from accel_cls.stopping import SAVE_FILE

_PREFIX: dict[Part, str] = {"validation": "", "test": "test_"}
_SEARCH = "tune"  # in a run folder: what the search for a learning rate leaves; an older one is `tune.1` …
_REPETITION = re.compile(r"(?:seed|fold)-(\d+)")  # in a run folder: the runs that its recipe's `repeat` stands for
_TRIALS = "trials"  # in a run folder: the runs that its recipe's `search` has tried
_LITTLE = 1 << 20  # bytes that are left on a full disk, at most


class RunFolder:
    """Where each thing lies, and how it gets there."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"  # every value, those that defaults decided included
        self.origin = self.path / "origin.json"  # the data that the run was made from; of each start, with what
        self.metrics = self.path / "metrics.jsonl"  # a line for each logged update and each evaluation
        self.trace = self.path / "trace"  # what each process did in each update, where the recipe asks for it
        self.trackers = self.path / "trackers"  # what the recipe's trackers keep; at each start made of the above
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"  # the best model so far, as transformers loads it
        self.out_of_memory = self.path / "out_of_memory.json"  # is there after a run that ended so, until it goes on
        self.search = self.path / _SEARCH  # trials of other learning rates, and what came of them
        self.study = self.path / "study.jsonl"  # Optuna's: the trials of a recipe with `search`
        self.best_recipe = self.path / "best.yaml"  # that of the best of them
        self.refit = self.path / "refit"  # the run of a recipe's `refit`, whose model is then this run's
        self.selected = self.path / "selected_model"  # the best one before, by the validation examples
        self.results = self.path / "results.json"  # is there once the run is finished
        self.report = self.path / "report.md"
        self.page = self.path / "report.html"  # the same and more, for a browser
        self.neighbours = self.path / "neighbours.json"  # of the worst mistakes, the training texts most like them
        self.suspects = self.path / "suspects.csv"  # labels that may be wrong, where somebody has looked for them
        self.card = self.model / "README.md"  # what the model is, as the hub shows it; there once the run is finished
        self.lock = RunLock(self.path)  # taken before anything here is read or renamed

    def predictions(self, part: Part = "validation") -> Path:
        """What the best model says of the rows of a part, for people."""
        return self.path / f"{_PREFIX[part]}predictions.csv"

    def logits(self, part: Part = "validation") -> Path:
        """The same for programs: logits and labels as they are, row by row."""
        return self.path / f"{_PREFIX[part]}predictions.safetensors"

    @property
    def repetitions(self) -> list[RunFolder]:
        """The runs in it that its recipe's `repeat` stands for, in order, as far as they have begun; mostly none."""
        if not self.path.is_dir():
            return []
        found = {path: match for path in self.path.iterdir() if (match := _REPETITION.fullmatch(path.name))}
        runs = [RunFolder(path) for path in sorted(found, key=lambda path: int(found[path][1]))]
        return [run for run in runs if run.is_run]

    def trial(self, number: int) -> RunFolder:
        """The run that a trial of its recipe's `search` is; they count from 1."""
        return RunFolder(self.path / _TRIALS / f"{number:03d}")

    @property
    def trials(self) -> list[RunFolder]:
        """The runs in it that its recipe's `search` has tried, in order, as far as they have begun; mostly none."""
        found = (RunFolder(path) for path in (self.path / _TRIALS).glob("*") if path.name.isdecimal())
        return sorted((run for run in found if run.is_run), key=lambda run: int(run.path.name))

    @property
    def is_run(self) -> bool:
        """Whether a run has begun here; a recipe and a model may lie in any folder."""
        return self.origin.is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the training came to its end."""
        return self.results.is_file()

    @property
    def is_empty(self) -> bool:
        """Whether no run has begun here."""
        # What a run left that was ended in its first write does not count, nor do its lock, a SAVE that came early and
        # a search that was made before.
        return not self.path.exists() or all(
            path.name.endswith(".partial")
            or path.name in (LOCK_NAME, SAVE_FILE)
            or path.name.partition(".")[0] == _SEARCH
            for path in self.path.iterdir()
        )

    def set_aside(self) -> Path:
        """Rename the folder to the next free `NAME.1`, `NAME.2` ...; nothing is deleted.

        A search stays: what it has found follows from data, model and settings, and not from the run.
        """
        aside = free_name(self.path)
        with self.lock.held_through_rename(aside):
            self.path.rename(aside)
        if (aside / _SEARCH).is_dir():
            self.path.mkdir(exist_ok=True)
            (aside / _SEARCH).rename(self.search)
        return aside

    def append_metrics(self, records: list[dict[str, Any]]) -> None:
        """Add lines to metrics.jsonl; they are on the disk when this returns, and none is where it raises OSError."""
        lines = "".join(json_text(record) + "\n" for record in records).encode()
        with open(self.metrics, "ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                if file.write(lines) != len(lines):  # the disk took a part: the next write says why
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.metrics))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise

    def evaluations(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl that tell of an evaluation; a score that is no finite number is nan."""
        return self._scored("evaluation")

    def kept_average(self) -> dict[str, Any] | None:
        """The line that tells of averaged weights which were made at the end, where they are those that were kept.

        Its `averaged` is of how many evaluations they are the mean, its `start_share` how much those before the first
        update count in it.
        """
        return next((record for record in self._scored("scores") if record["kept"]), None)

    def start_share(self) -> float:
        """How much the weights before the first update count in the kept ones, where those were made at the end."""
        return (self.kept_average() or {}).get("start_share", 0.0)

    def _scored(self, key: str) -> list[dict[str, Any]]:
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        records = [record for record in map(json.loads, lines) if key in record]
        for record in records:
            record[key] = {name: math.nan if score is None else score for name, score in record[key].items()}
        return records

    def rewind(self, update: int, evaluated: int) -> None:
        """Drop what was logged after `update`, and last lines that were cut off, before a run goes on.

        After `evaluated`, an earlier update perhaps, evaluations are dropped, too: they are made again.
        """
        for path in (self.metrics, *self.trace.glob("*.jsonl")):
            if not path.is_file():
                continue
            kept = []
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    break
                # What is averaged is judged again at each end.
                if "averaged" not in record and record["update"] <= (evaluated if "evaluation" in record else update):
                    kept.append(line + "\n")
            write_text(path, "".join(kept))


def model_folder_of(path: str | Path) -> Path:
    """Where a folder has its model, if it has one: it is a model's itself, or a run's."""
    return Path(path) if (Path(path) / "config.json").is_file() else RunFolder(path).model


def content_digest(folder: Path, without: Collection[str] = ()) -> bytes:
    """SHA-256 of the names and the content of a folder's files, but for those of some names."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in without:
            with open(path, "rb") as file:
                whole.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return whole.digest()


def free_name(path: Path) -> Path:
    """The first of `NAME.1`, `NAME.2` ... that nothing has."""
    number = 1
    while (free := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return free


# What a disk says when it takes no more, and what the user can do about it.
_REFUSALS = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there, or ask for a larger quota",
    errno.EFBIG: "allow larger files there",
    errno.EROFS: "make the disk writable",
    errno.EACCES: "give yourself the right to write there",
    errno.EPERM: "give yourself the right to write there",
    errno.EIO: "see what ails the disk",
    errno.ESTALE: "see whether the disk is still connected",
}


@contextmanager
def disk_errors_explained(folder: RunFolder) -> Iterator[None]:
    """Make a refusal of the run folder's disk a message to the user.

    Raises:
        UserError: in place of the error by which Python, safetensors or torch tell of it.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        advice = _advice(folder, error)
        if advice is None:
            raise
        raise UserError(
            f"output: {folder.path} can't be written: {error}\nWhat was saved before is whole. Do something about it "
            f"({advice}) and give the same command again, which goes on from there; or name another folder with "
            "output=…"
        ) from error


def _advice(folder: RunFolder, error: Exception) -> str | None:
    """What to do about a disk that refuses; None for any other error."""
    if isinstance(error, OSError):
        if error.filename:
            there, ours = Path(error.filename).absolute(), folder.path.absolute()
            if not there.is_relative_to(ours) and not ours.is_relative_to(there):  # where the run folder is made
                return None
        return _REFUSALS.get(error.errno or 0)
    # safetensors' and torch's writers have errors of their own, with the system's words at best.
    found = re.search(r"os error (\d+)", str(error))
    if found:
        return _REFUSALS.get(int(found[1]))
    if "PytorchStreamWriter" in str(error) and shutil.disk_usage(folder.path).free < _LITTLE:
        return _REFUSALS[errno.ENOSPC]
    return None
