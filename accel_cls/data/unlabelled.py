"""Texts without labels, in files with the columns of a recipe's texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accel_cls.data.cells import text_table
from accel_cls.data.examples import Examples
from accel_cls.data.reading import read_table
from accel_cls.data.separated import FileFormat
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.recipe.sections.data import Data


@dataclass(frozen=True)
class Unlabelled:
    """Texts, and where each stands."""

    texts: Texts  # columns as those of `Examples`
    rows: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)


def read_unlabelled(
    source: str | list[str], data: Data, key: str, known: Sequence[Examples], notes: list[str]
) -> Unlabelled:
    """The texts of files, but for empty ones and those that are known.

    Args:
        source: the files.
        data: says in which columns texts are, and how files are written.
        key: of the recipe, that names them.
        known: examples whose texts are left out: what is judged has no part in a training.
        notes: takes what was left out.

    Raises:
        UserError: for what can't be read, or where no text is left.
    """
    columns = [data.text] if isinstance(data.text, str) else list(data.text)
    tables = read_table(source, columns, [], FileFormat.of(data), notes)
    texts = Texts.joined([text_table(one.table, columns) for one in tables])
    rows = [f"{Path(one.name).name}:{row + 1}" for one in tables for row in range(len(one.table))]
    seen = {cells for examples in known for cells in examples.texts.cells()}
    cells = [*texts.cells()]
    is_empty = np.array([not any(map(str.strip, one)) for one in cells], bool)
    is_known = np.array([one in seen for one in cells], bool)
    good = np.flatnonzero(~is_empty & ~is_known)
    why = [(is_empty, "empty"), (is_known & ~is_empty, "training, validation or test texts of this recipe, too")]
    told = [f"{int(found.sum()):,} are {what}" for found, what in why if found.any()]
    if not len(good):
        raise UserError(f"{key}: no text is left of {len(rows):,}: {'; '.join(told) or 'the files have no rows'}")
    if told:
        notes.append(f"{key}: of {len(rows):,} texts {len(good):,} are taken; {'; '.join(told)}")
    return Unlabelled(texts.select(good), tuple(rows[int(i)] for i in good))
