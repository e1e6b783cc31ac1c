"""Data sets made uneven: of each class another share of its rows, as classes of real data seldom are of one size."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality.rows import Row, read_rows, write_rows

TIMES = 20  # as many rows, in proportion, as of the last class are left of the first
_LEAST = 2  # rows of a class


def write_uneven(files: Sequence[Path], columns: tuple[str, str]) -> list[Path]:
    """Write a part of each file's rows, as `write_rows` does.

    Of C classes, by name, the k-th keeps a share of TIMES^(-k / (C - 1)) of its rows, in all files alike; which ones,
    and their order, is drawn by a seed that is always the same.

    Args:
        files: of training rows, and of judged ones where there are any; as `read_rows` reads them.
        columns: of the text and of the label, in csv.

    Returns:
        The written ones, in the order of the files.
    """
    parts = zip(("train", "judged"), files, strict=False)
    return write_rows({name: _part([*read_rows(file, columns)]) for name, file in parts})


def _part(rows: Sequence[Row]) -> list[Row]:
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
