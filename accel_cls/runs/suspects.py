"""Rows whose labels somebody should look at, as a run's folder keeps them: suspects.csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accel_cls.atomic import from_cell, write_csv
from accel_cls.errors import UserError
from accel_cls.runs.folder import RunFolder

_TEXTS = ("text", "pair")
_BEFORE, _AFTER = ("rank", "row"), ("label", "suggestion", "p(label)", "p(suggestion)", "kinds", "why")


@dataclass(frozen=True)
class KeptSuspect:
    """A row that is worth a look, as cells."""

    row: str  # "file.csv:17"
    texts: tuple[str, ...]
    label: str
    suggestion: str  # "" where none is suggested
    confidence: str  # what is given to the label as it is; "" where nobody was asked
    probability: str  # and to the suggestion
    kinds: tuple[str, ...]
    why: str


def write_suspects(path: Path, suspects: Sequence[KeptSuspect]) -> None:
    """Write all of them as a csv file, in their order."""
    texts = _TEXTS[: max((len(one.texts) for one in suspects), default=1)]

    def cells(rank: int, one: KeptSuspect) -> list[str]:
        judged = [one.label, one.suggestion, one.confidence, one.probability]
        return [str(rank), one.row, *one.texts, *judged, "; ".join(one.kinds), one.why]

    write_csv(path, [*_BEFORE, *texts, *_AFTER], (cells(rank, one) for rank, one in enumerate(suspects, start=1)))


def read_suspects(folder: RunFolder) -> tuple[KeptSuspect, ...] | None:
    """What was found in the folder's rows; None where nobody has looked.

    Raises:
        UserError: where the file is not as it was written.
    """
    if not folder.suspects.is_file():
        return None
    csv.field_size_limit(1 << 30)
    with open(folder.suspects, encoding="utf-8-sig", newline="") as file:
        header, *rows = [*csv.reader(file)] or [[]]
    texts = len(header) - len(_BEFORE) - len(_AFTER)
    if (
        texts not in (1, 2)
        or header != [*_BEFORE, *_TEXTS[:texts], *_AFTER]
        or any(len(row) != len(header) for row in rows)
    ):
        raise UserError(
            f"{folder.suspects}: found the columns {', '.join(header) or 'of nothing'}, expected those that "
            "accel-cls suspects writes; look for suspects again, or move the file away"
        )
    return tuple(_kept([from_cell(cell) for cell in row], texts) for row in rows)


def _kept(cells: Sequence[str], texts: int) -> KeptSuspect:
    _, row, *between = cells
    label, suggestion, confidence, probability, kinds, why = between[texts:]
    kinds_of = tuple(kinds.split("; ")) if kinds else ()
    return KeptSuspect(row, tuple(between[:texts]), label, suggestion, confidence, probability, kinds_of, why)
