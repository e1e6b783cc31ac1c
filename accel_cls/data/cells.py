"""Cells of a table as texts and labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from accel_cls.data.byte_order_marks import unmarked
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset


def unmarked_cell(cell: Any) -> Any:
    """A label, or several, without byte-order marks."""
    if isinstance(cell, list | tuple):
        return type(cell)(map(unmarked_cell, cell))
    return unmarked(cell) if isinstance(cell, str) else cell


def label_of_cell(cell: Any) -> Any:
    """A cell, or each one of a list, as it is; but bytes, which some writers make of texts, as UTF-8."""
    if isinstance(cell, list):
        return [*map(label_of_cell, cell)]
    return text_of_cell(cell) if isinstance(cell, bytes) else cell


def declared_name(cell: Any, declared: Sequence[str], row: str) -> Any:
    """An id becomes its name, and -1, by the hub's convention, a missing label; other files may hold names."""
    if not isinstance(cell, int):
        return cell
    if not -1 <= cell < len(declared):
        raise UserError(f"{row}: found the class id {cell}; the data set declares {len(declared)} classes, from 0 on")
    return declared[cell] if cell >= 0 else None


def text_table(table: Texts | Dataset, columns: Sequence[str]) -> Texts:
    """One column of a table as "text", or two as "text" and "pair"; what is missing is an empty text."""
    return as_texts(table, dict(zip(("text", "pair"), columns, strict=False)))


def as_texts(table: Texts | Dataset, names: Mapping[str, str]) -> Texts:
    """Columns of a table under new names, {new: old}; what is missing is an empty text."""

    def texts(column: str) -> list[str]:
        return [text_of_cell(cell) for cell in table[column][:]]

    # Built anew, not renamed: a column's new name may be another one's old name.
    return table.named(names) if isinstance(table, Texts) else Texts.of({new: texts(names[new]) for new in names})


def text_of_cell(cell: Any) -> str:
    """A cell of any type as a text: bytes as UTF-8, lists and mappings as JSON."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if isinstance(cell, list | dict):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return "" if cell is None or cell != cell else str(cell)
