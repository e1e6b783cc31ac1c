"""Files and folders that land whole: written beside, flushed, renamed."""

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


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Put a text file in place, whole."""
    beside = path.with_name(f".{path.name}.partial")
    with open(beside, "w", encoding=encoding, newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    flush_entry(path)


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
    replace_folder(beside, path, path.with_name(f".{path.name}.old"))


def replace_folder(beside: Path, path: Path, old: Path) -> None:
    """Give a folder its name; one that bears it is called `old` until that is on the disk."""
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    beside.rename(path)
    flush_entry(path)
    shutil.rmtree(old, ignore_errors=True)  # also that of a run which was ended between the two renames


def flush_entry(path: Path) -> None:
    """Make sure that a new name is on the disk: a rename by itself may be lost with the power."""
    flush_path(path.parent)


def flush_folder(folder: Path) -> None:
    """Make sure that every file of a folder is on the disk before something relies on it."""
    for path in [*folder.rglob("*"), folder]:
        flush_path(path)


def flush_path(path: Path) -> None:
    """Make sure that a file, or a folder's list of names, is on the disk, from which it is read next."""
    if os.name == "nt":  # Windows opens no folders, and flushes files only through a handle that may write
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        if hasattr(os, "posix_fadvise"):  # else reading would show what memory still has of it
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
