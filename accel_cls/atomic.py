"""Files and folders that land whole: written beside, flushed, renamed."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TextIO

# A cell that begins so is a formula to a spreadsheet, which may run programs (OWASP, "CSV injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[-+][0-9]+([.,][0-9]+)*([eE][-+]?[0-9]+)?")  # which begins so, too, and runs nothing


@contextmanager
def whole_file(path: Path, encoding: str = "utf-8") -> Iterator[TextIO]:
    """A text file to write into, which takes the place of `path` when the block ends without an error."""
    with _whole(path, "w", encoding=encoding, newline="") as file:
        yield file


@contextmanager
def whole_binary_file(path: Path) -> Iterator[BinaryIO]:
    """The same for bytes."""
    with _whole(path, "wb") as file:
        yield file


@contextmanager
def _whole(path: Path, mode: str, **options: str) -> Iterator[Any]:
    """A file beside `path`, opened so; flushed and renamed, or removed."""
    beside = _beside(path)
    try:
        with open(beside, mode, **options) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    beside.replace(path)
    flush_entry(path)


def check_writable(path: Path) -> None:
    """Raise OSError where `whole_file` could write nothing: a try, of which the folders stay that had to be made."""
    beside = _beside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    open(beside, "w", encoding="utf-8").close()
    beside.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Put a text file in place, whole."""
    with whole_file(path, encoding) as file:
        file.write(text)


def json_text(content: Any, indent: int | None = None) -> str:
    """Content as JSON, which knows no NaN and no infinity: they become null."""
    return json.dumps(_finite(content), ensure_ascii=False, indent=indent, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    return [_finite(value) for value in content] if isinstance(content, list | tuple) else content


def write_json(path: Path, content: Any) -> None:
    """Put a JSON file in place, whole."""
    write_text(path, json_text(content, indent=2) + "\n")


def as_cell(text: str) -> str:
    """A text as the cell of a file that may be opened in a spreadsheet: a formula begins with a quote."""
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def from_cell(cell: str) -> str:
    """The text that `as_cell` has made such a cell of."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def write_csv(path: Path, header: list[str], rows: Iterable[Sequence[Any]]) -> int:
    """Put a csv file in place, whole; returns how many rows.

    In UTF-8 with a byte-order mark, without which Excel garbles Chinese.
    """
    count = -1  # the header
    with whole_file(path, encoding="utf-8-sig") as file:
        usual = csv.writer(file, lineterminator="\n")
        quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in chain([header], rows):
            cells = [as_cell(cell) if isinstance(cell, str) else cell for cell in row]
            # Before Python 3.13 a carriage return alone is not quoted, and ends the row where it is read.
            (quoted if any("\r" in cell for cell in cells if isinstance(cell, str)) else usual).writerow(cells)
            count += 1
    return count


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of `path` when the block ends without an error."""
    beside = _beside(path)
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
