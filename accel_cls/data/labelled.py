"""The rows of a data file, or of several: texts, labels as they are written, and what is wrong with which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accel_cls.data.byte_order_marks import MARK, MarksLeftOut, unmarked
from accel_cls.data.cells import as_texts, declared_name, label_of_cell, text_table, unmarked_cell
from accel_cls.data.column_names import UnknownColumn
from accel_cls.data.examples import Examples, InvalidRows
from accel_cls.data.labels import Classes, LabelReader
from accel_cls.data.reading import SourceTable, read_table
from accel_cls.data.separated import FileFormat
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError, listed, shown
from accel_cls.recipe import Hub
from accel_cls.recipe.sections.data import Data


@dataclass(frozen=True)
class LabelledRows:
    """Rows as read."""

    texts: Texts
    labels: list[Any]  # parsed; None where missing
    faults: dict[int, str]  # why a label can't be parsed
    rows: tuple[str, ...]
    declared: tuple[str, ...] | None  # class names that the source itself declares
    columns: Texts | None  # those that data.slices names


def read_labelled(
    source: str | list[str] | Hub,
    data: Data,
    reader: LabelReader,
    names: dict[str, str],
    notes: list[str],
    declared: tuple[str, ...] | None = None,
    slices: Sequence[str] = (),
) -> LabelledRows:
    """All rows of a source, the texts under "text" and "pair".

    Args:
        declared: the class names that the training examples' source declares.
        slices: other columns to keep.
    """
    columns = [data.text] if isinstance(data.text, str) else list(data.text)
    label_columns = [data.label] if isinstance(data.label, str) else list(data.label)
    tables = _tables(source, columns, slices, label_columns, data, notes)
    rows = tuple(f"{names.get(t.name, t.name)}:{row + 1}" for t in tables for row in range(len(t.table)))
    if not rows:
        named = ", ".join(source) if isinstance(source, list) else source
        raise UserError(f"{named}: there are no rows in it")
    declared = _union([declared, *(t.declared for t in tables)], tables, data, names, notes)
    labels: list[Any] = []
    faults: dict[int, str] = {}
    marked: list[str] = []  # rows whose label has a byte-order mark: it does not show, and makes no class of its own
    heads: list[int] = []  # rows whose label is the column's name, as where files were put together, headers and all
    head = label_columns[0] if len(label_columns) == 1 else tuple(label_columns)
    for table in tables:
        for cell in _label_cells(table, label_columns, rows[len(labels) :]):
            if _is_marked(cell):
                marked.append(rows[len(labels)])
                cell = unmarked_cell(cell)
            if cell == head:
                heads.append(len(labels))
            try:
                labels.append(reader.parse(cell))
            except ValueError as error:
                faults[len(labels)] = str(error)
                labels.append(None)
    if marked:
        notes.append(MarksLeftOut(marked))
    texts = Texts.joined([text_table(table.table, columns) for table in tables])
    cells = zip(*texts.select(np.array(heads, np.int64))[:].values(), strict=True)
    for i, found in zip(heads, cells, strict=True):
        if [*map(unmarked, found)] == columns:
            labels[i], faults[i] = None, "the row repeats the header line"
    kept = Texts.joined([as_texts(table.table, dict(zip(slices, slices, strict=True))) for table in tables])
    return LabelledRows(texts, labels, faults, rows, declared, kept if slices else None)


def _tables(
    source: str | list[str] | Hub,
    columns: Sequence[str],
    slices: Sequence[str],
    label_columns: Sequence[str],
    data: Data,
    notes: list[str],
) -> list[SourceTable]:
    """The tables of a source with all columns that the recipe names."""
    try:
        return read_table(source, [*columns, *slices], label_columns, FileFormat.of(data), notes)
    except UnknownColumn as error:
        if error.column in slices:
            raise UserError(f"{error.said}; data.slices names columns of all files that are judged") from error
        raise


def _is_marked(cell: Any) -> bool:
    """Whether a label, or one of several, holds a byte-order mark."""
    return any(map(_is_marked, cell)) if isinstance(cell, list | tuple) else isinstance(cell, str) and MARK in cell


def _union(
    parts: Sequence[tuple[str, ...] | None],
    tables: Sequence[SourceTable],
    data: Data,
    names: dict[str, str],
    notes: list[str],
) -> tuple[str, ...] | None:
    """All class names that are declared, in the order in which they come; None where none is.

    Raises:
        UserError: where the recipe renames ids that do not mean the same everywhere.
    """
    known = [part for part in parts if part is not None]
    if not known:
        return None
    union = tuple(dict.fromkeys(name for part in known for name in part))
    odd = next((t for t in tables if t.declared is not None and t.declared != known[0]), None)
    if odd is not None:
        where = f"{names.get(odd.name, odd.name)} declares its classes as {listed(odd.declared or ())}, others as "
        if isinstance(data.labels, dict) and not set(map(str, data.labels)) & set(union):
            raise UserError(
                f"data.labels: {where}{listed(known[0])}: an id does not mean the same class everywhere. Give the "
                "classes by their names in data.labels, instead of ids"
            )
        notes.append(f"{where}{listed(known[0])}; each file's ids are read by its own names")
    return union


def _label_cells(table: SourceTable, columns: Sequence[str], rows: Sequence[str]) -> Iterator[Any]:
    """The label cells of a table's rows; of several columns a tuple; ids as the names that the table declares."""
    if len(columns) > 1:
        yield from zip(*(map(label_of_cell, table.table[column][:]) for column in columns), strict=True)
        return
    cells = map(label_of_cell, table.table[columns[0]][:])
    if table.declared is None:
        yield from cells
        return
    for cell, row in zip(cells, rows, strict=False):
        is_many = isinstance(cell, list)
        named = [declared_name(one, table.declared, row) for one in (cell if is_many else [cell])]
        yield named if is_many else named[0]


def usable_examples(
    read: LabelledRows, classes: Classes, data: Data, reader: LabelReader, key: str, invalid: list[InvalidRows]
) -> Examples:
    """The usable rows; the others are an error or, where the recipe says so, dropped."""
    known = {value: i for i, value in enumerate(classes.values)}
    reasons: dict[str, list[int]] = {}
    for i, (label, cells) in enumerate(zip(read.labels, read.texts.cells(), strict=True)):
        if all(not cell.strip() for cell in cells):
            reasons.setdefault("the text is empty", []).append(i)
        elif i in read.faults:
            reasons.setdefault(read.faults[i], []).append(i)
        elif label is None:
            reasons.setdefault("the label is missing", []).append(i)
        elif (value := reader.unknown(label, known)) is not None:
            reason = f"the label {shown(value)!r} is not among {listed(classes.values)}"
            reasons.setdefault(reason, []).append(i)
    found = [InvalidRows(key, reason, tuple(read.rows[i] for i in at)) for reason, at in reasons.items()]
    bad = {i for at in reasons.values() for i in at}
    if bad and data.invalid == "error":
        raise UserError(
            "\n".join(f"{key}: {rows}" for rows in found[:20])
            + "\nMend them, or leave such rows out with data.invalid=drop"
        )
    invalid.extend(found)
    good = np.array([i for i in range(len(read.rows)) if i not in bad], dtype=np.int64)
    if not len(good):
        first = "; ".join(map(str, found[:5])) + ("; …" if len(found) > 5 else "")
        raise UserError(f"{key}: no usable row is left of {len(read.rows)}: {first}")
    return Examples(
        read.texts.select(good) if bad else read.texts,
        reader.encode([read.labels[i] for i in good], known),
        tuple(read.rows[i] for i in good),
        read.columns.select(good) if bad and read.columns is not None else read.columns,
    )
