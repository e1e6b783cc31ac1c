"""Rows of data sets as texts and labels: read from their files, and written where only some are wanted."""

from __future__ import annotations

import atexit
import csv
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

Row = tuple[str, str]  # text and label


def read_rows(file: Path, columns: tuple[str, str]) -> Iterator[Row]:
    """The rows of a file.

    Args:
        file: csv, or lines with the label behind a tab.
        columns: of the text and of the label, in csv.
    """
    with open(file, encoding="utf-8-sig", newline="") as lines:
        if file.suffix == ".txt":
            for line in lines:
                text, _, label = line.rstrip("\r\n").rpartition("\t")
                yield text, label
        else:
            for row in csv.DictReader(lines):
                yield row[columns[0]], row[columns[1]]


def write_rows(parts: Mapping[str, Sequence[Row]]) -> list[Path]:
    """Write each part as NAME.csv, with the columns text and label, into a folder that is there while the process is.

    Returns:
        The files, in the order of the parts.
    """
    folder = Path(tempfile.mkdtemp(prefix="accel_cls_rows_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    written = []
    for name, rows in parts.items():
        written.append(folder / f"{name}.csv")
        with open(written[-1], "w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([("text", "label"), *rows])
    return written
