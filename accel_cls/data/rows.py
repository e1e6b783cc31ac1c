"""All columns of one data file, row by row, for whoever passes them on beside something new.

What a training wants of a file is in memory as columns (`reading`). What is only passed on is read a second time,
while it is written: it costs time, and no memory. `.json` files alone are in memory as a whole: each is one value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from accel_cls.data.byte_order_marks import unmarked
from accel_cls.data.cells import label_of_cell, text_of_cell
from accel_cls.data.data_file import DataFile
from accel_cls.data.encoding import detect_encoding
from accel_cls.data.json_records import json_cell, json_explained, json_paths, json_records
from accel_cls.data.separated import SEPARATORS, FileFormat, separated_records
from accel_cls.errors import UserError

_BATCH = 4096  # rows of Parquet that are Python's at a time


class Rows(Protocol):
    """The rows of one source. What a row is, is the source's own matter: it is asked what the row holds."""

    @property
    def header(self) -> tuple[str, ...]:
        """The columns' names for a file of cells, as they stand: perhaps one twice, perhaps one empty."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns' names for a file of objects."""

    def __iter__(self) -> Iterator[Any]:
        """The rows, from the first."""

    def cells(self, row: Any) -> list[str]:
        """A row as texts, under `header`; what is missing is empty."""

    def entries(self, row: Any) -> dict[str, Any]:
        """A row as JSON has it, under `keys`."""

    def value(self, row: Any, column: str) -> Any:
        """What a row holds in a column of `header` or `keys`, as a training reads it; None where that is missing."""


def open_rows(path: Path, written: FileFormat) -> Rows:
    """All rows of a file that `reading.read_table` has read before, and that is known to be readable therefore.

    Args:
        path: the file.
        written: how text files are written.

    Raises:
        UserError: in the rows, for a Parquet column, not read before, that holds what is no text and no value.
    """
    file = DataFile.at(path)
    if file.ending == ".parquet":
        return _parquet(file)
    encoding = detect_encoding(file, [], written.encoding)
    return _separated(file, encoding, written) if file.ending in SEPARATORS else JsonRows.of(file, encoding)


@dataclass(frozen=True)
class CellRows:
    """Rows that are sequences of Python's values, one for each column."""

    header: tuple[str, ...]
    read: Callable[[], Iterator[Sequence[Any]]]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The same names; one that stands twice gets a number the second time, as pandas gives it: text, text.1."""
        found: dict[str, None] = {}
        for name in self.header:
            free, number = name, 0
            while free in found or (number and free in self.header):
                number += 1
                free = f"{name}.{number}"
            found[free] = None
        return tuple(found)

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return self.read()

    def cells(self, row: Sequence[Any]) -> list[str]:
        """The values as texts."""
        return [text_of_cell(value) for value in row]

    def entries(self, row: Sequence[Any]) -> dict[str, Any]:
        """Numbers, truth values and texts as they are, what is nested too; anything else as a text."""
        return {key: _as_json(value) for key, value in zip(self.keys, row, strict=True)}

    def value(self, row: Sequence[Any], column: str) -> Any:
        """One of the values."""
        return label_of_cell(row[self.header.index(column)])


def _as_json(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.loads(json.dumps(value, default=text_of_cell))
    return value if value is None or isinstance(value, str | int | float) else text_of_cell(value)


def _separated(file: DataFile, encoding: str, written: FileFormat) -> CellRows:
    """The rows of csv, tsv and txt."""
    separator = written.separator or SEPARATORS[file.ending]
    with file.open_text(encoding) as content:
        quote = written.quote_of(file, content, separator)
        header = written.header or next(separated_records(file, content, separator, quote), [])

    def read() -> Iterator[list[str]]:
        with file.open_text(encoding) as content:
            records = separated_records(file, content, separator, quote)
            if written.header is None:
                next(records, None)
            yield from records

    return CellRows(tuple(map(unmarked, header)), read)


def _parquet(file: DataFile) -> CellRows:
    """The rows of Parquet, some thousand in memory at a time."""
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(pa.BufferReader(file.buffer()))

    def read() -> Iterator[tuple[Any, ...]]:
        for batch in table.iter_batches(_BATCH):
            yield from zip(*map(values_of, batch.schema.names, batch.columns), strict=True)

    def values_of(name: str, column: pa.Array) -> list[Any]:
        try:
            return column.to_pylist()
        except (pa.ArrowInvalid, ValueError, OverflowError) as error:
            raise UserError(
                f"{file.path}: the column {name!r} can't be kept: it holds a value that Python can't ({error}); write "
                "it again as texts, or leave it out"
            ) from error

    return CellRows(tuple(map(unmarked, table.schema_arrow.names)), read)


@dataclass(frozen=True)
class JsonRows:
    """Rows of json and jsonl: objects."""

    file: DataFile
    encoding: str
    header: tuple[str, ...]  # dotted paths where objects are nested
    keys: tuple[str, ...]

    @classmethod
    def of(cls, file: DataFile, encoding: str) -> JsonRows:
        """Those of a file, which is read through for their names."""
        keys: dict[str, None] = {}

        def noted(records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
            for record in records:
                keys.update(dict.fromkeys(record))
                yield record

        header = json_paths(noted(iter(cls(file, encoding, (), ()))))
        return cls(file, encoding, tuple(header), tuple(keys))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with json_explained(self.file.path), self.file.open_text(self.encoding) as content:
            for record in json_records(self.file, content, []):
                yield {unmarked(key): value for key, value in record.items()}

    def cells(self, row: dict[str, Any]) -> list[str]:
        """What stands at the end of each path."""
        return [json_cell(row, path) or "" for path in self.header]

    def entries(self, row: dict[str, Any]) -> dict[str, Any]:
        """The object as it is."""
        return row

    def value(self, row: dict[str, Any], column: str) -> str | None:
        """The text, or JSON, at the end of a path."""
        return json_cell(row, column)
