"""Data sets made uneven: of each class another share of its rows, as classes of real data seldom are of one size."""

from __future__ import annotations

import atexit
import csv
import random
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TIMES = 20  # as many rows, in proportion, as of the last class are left of the first
_LEAST = 2  # rows of a class


def write_uneven(files: list[Path], columns: tuple[str, str]) -> list[Path]:
    """Write a part of each file's rows as csv, into a folder that is there until the process ends.

    Of C classes, by name, the k-th keeps a share of TIMES^(-k / (C - 1)) of its rows, in all files alike; which ones,
    and their order, is drawn by a seed that is always the same.

    Args:
        files: csv, or lines with the label behind a tab.
        columns: of the text and of the label, in csv.

    Returns:
        The written ones, in the order of the files.
    """
    folder = Path(tempfile.mkdtemp(prefix="accel_cls_uneven_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    written = []
    for number, file in enumerate(files):
        target = folder / f"{('train', 'judged')[number]}.csv"
        with open(target, "w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([("text", "label"), *_part([*_rows(file, columns)])])
        written.append(target)
    return written


def _part(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    draw = random.Random(1)
    of_class = defaultdict(list)
    for row in rows:
        of_class[row[1]].append(row)
    kept = []
    for number, name in enumerate(sorted(of_class)):
        share = TIMES ** (-number / (len(of_class) - 1))
        kept += draw.sample(of_class[name], max(_LEAST, round(share * len(of_class[name]))))
    draw.shuffle(kept)
    return kept


def _rows(file: Path, columns: tuple[str, str]) -> Iterator[tuple[str, str]]:
    with open(file, encoding="utf-8-sig", newline="") as lines:
        if file.suffix == ".txt":
            for line in lines:
                text, _, label = line.rstrip("\r\n").rpartition("\t")
                yield text, label
        else:
            for row in csv.DictReader(lines):
                yield row[columns[0]], row[columns[1]]
