"""The names of a table's columns: those that are wanted are there, once each, and are text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from accel_cls.data.byte_order_marks import MARK, MarksLeftOut, unmarked
from accel_cls.errors import UserError, listed, shown

_SURROGATE = re.compile("[\ud800-\udfff]")


class UnknownColumn(UserError):
    """A wanted column is not there; `said` tells which, and what is there, without what to do about it."""

    def __init__(self, where: str, column: str, found: Sequence[str]):
        self.column = column
        near = difflib.get_close_matches(column, found, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        self.said = (
            f"{where}: there is no column {shown(column)!r}{hint} It has {listed([*map(repr, found)]) or 'none'}"
        )
        super().__init__(
            f"{self.said}; set data.text and data.label (and data.columns where the file has no header line, "
            "data.separator where its cells are separated by something else)"
        )


def clean_names(path: Path, names: Sequence[str], notes: list[str]) -> list[str]:
    """The names without byte-order marks, of which a note tells."""
    clean = [unmarked(name) for name in names]
    if marked := [f"{path.name}, column {new!r}" for name, new in zip(names, clean, strict=True) if MARK in name]:
        notes.append(MarksLeftOut(marked))
    return clean


def check_columns(where: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise UnknownColumn where a wanted column is not there; with the nearest name."""
    for column in wanted:
        if column not in found:
            raise UnknownColumn(where, column, found)


def check_twice(path: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise UserError where a wanted column is there twice."""
    twice = [name for name in found if name in wanted and found.count(name) > 1]
    if twice:
        raise UserError(f"{path}: the column {twice[0]!r} stands twice in its header")


def check_names(path: Path, columns: Sequence[str]) -> None:
    """Raise UserError for a name that no text file has."""
    odd = [column for column in columns if "\0" in column or _SURROGATE.search(column)]
    if odd:
        raise UserError(f"{path}: the column name {odd[0]!r} is no text; is this a text file?")
