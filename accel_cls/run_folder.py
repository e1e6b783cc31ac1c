"""The folder that holds all that a training left. Files land whole: written beside, flushed, renamed."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any


class RunFolder:
    """Where each thing lies, and how it gets there."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"  # every value, those that defaults decided included
        self.origin = self.path / "origin.json"  # what the run was started from: recipe, data, versions
        self.metrics = self.path / "metrics.jsonl"  # a line for each logged update and each evaluation
        self.trace = self.path / "trace"  # what each process did in each update, where the recipe asks for it
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"  # the best model so far, as transformers loads it
        self.predictions = self.path / "predictions.csv"  # on the validation rows, by that model
        self.shortage = self.path / "out_of_memory.json"  # is there after a run that ended so, until it goes on
        self.results = self.path / "results.json"  # is there once the run is finished
        self.report = self.path / "report.md"

    @property
    def is_finished(self) -> bool:
        """Whether the training came to its end."""
        return self.results.is_file()

    @property
    def is_empty(self) -> bool:
        """Whether no run has begun here."""
        # What a run left that was ended in its very first write does not count.
        return not self.path.exists() or all(path.name.endswith(".partial") for path in self.path.iterdir())

    def move_aside(self) -> Path:
        """Rename the folder to the next free `NAME.1`, `NAME.2` ...; nothing is deleted."""
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.{number}")).exists():
            number += 1
        self.path.rename(aside)
        return aside

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl; it is on the disk when this returns."""
        with open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def rewind(self, update: int) -> None:
        """Drop what was logged after `update`, and last lines that were cut off, before a run goes on."""
        for path in (self.metrics, *self.trace.glob("*.jsonl")):
            if not path.is_file():
                continue
            kept = []
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    break
                if record["update"] <= update:
                    kept.append(line + "\n")
            write_text(path, "".join(kept))


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Put a text file in place, whole."""
    beside = path.with_name(f".{path.name}.partial")
    with open(beside, "w", encoding=encoding, newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Put a JSON file in place, whole."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def write_csv(path: Path, header: list[str], rows: Iterator[list[Any]], delimiter: str = ",") -> None:
    """Put a separated file in place, whole. UTF-8 with a byte-order mark: without it Excel garbles Chinese."""
    text = io.StringIO()
    usual = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    quoted = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in chain([header], rows):
        # Before Python 3.13 a carriage return alone is not quoted, and ends the row where it is read.
        (quoted if any("\r" in cell for cell in row if isinstance(cell, str)) else usual).writerow(row)
    write_text(path, text.getvalue(), encoding="utf-8-sig")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of `path` when the block ends without an error."""
    beside = path.with_name(f".{path.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    yield beside
    flush_folder(beside)
    if path.exists():
        old = path.with_name(f".{path.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
        beside.rename(path)
        shutil.rmtree(old)
    else:
        beside.rename(path)


def flush_folder(folder: Path) -> None:
    """Make sure that every file of a folder is on the disk before something relies on it."""
    if os.name == "nt":  # Windows opens no folders, and flushes files only through a handle that may write
        return
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
