"""Files of separated cells, csv, tsv and txt, read by Python's own parser."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from accel_cls.data.column_names import check_columns, check_names, check_twice
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError, listed
from accel_cls.recipe.data_section import Data

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_CHUNK = 10_000  # rows that are Python's before they become Arrow's
_END = "\0end"  # a line that is put behind a file's last


@dataclass(frozen=True)
class FileFormat:
    """How text files are written, as far as they do not tell it themselves: what a recipe says of it."""

    header: tuple[str, ...] | None = None  # the columns of files without a header line; None where they have one
    separator: str | None = None  # between cells; None for what a file's ending says
    encoding: str | None = None  # None for what a file's bytes say
    quote: Literal["double", "none"] | None = None  # whether cells may stand in double quotes; None finds out

    @classmethod
    def of(cls, data: Data) -> FileFormat:
        """That of a recipe's data."""
        return cls(None if data.columns is None else tuple(data.columns), data.separator, data.encoding, data.quote)

    def is_quoted(self, path: Path, file: TextIO, separator: str) -> bool:
        """Whether cells may stand in double quotes; the file is read for it where nobody says, and begun again.

        By its definition (IANA text/tab-separated-values) a tab-separated file has no quoting; but pandas and
        spreadsheets write it with quotes where a cell holds a quote, a tab or the end of a line.
        """
        if self.quote is not None or path.suffix.lower() == ".csv":
            return self.quote != "none"
        is_so = _reads_as_quoted(file, separator)
        file.seek(0)
        return is_so


def read_separated(
    path: Path, file: TextIO, columns: Sequence[str] | None, written: FileFormat, notes: list[str]
) -> Texts:
    """The named columns, or all. Cells as they stand: nothing is a hole, "NA", "null" and "None" are texts.

    Raises:
        UserError: for a column that is not there, and a row with too many cells or too few.
    """
    separator = written.separator or SEPARATORS[path.suffix.lower()]
    quoted = written.is_quoted(path, file, separator)
    if quoted and written.quote is None and path.suffix.lower() != ".csv":
        notes.append(f"{path.name}: its cells stand in double quotes, which are taken off; data.quote=none keeps them")
    records = separated_records(path, file, separator, quoted)
    names = list(written.header) if written.header is not None else next(records, [])
    if columns is None:  # those that can be named: spreadsheets leave columns without a name, or name two alike
        columns = [name for name, count in Counter(names).items() if name.strip() and count == 1]
    check_twice(path, names, columns)
    columns = list(dict.fromkeys(columns))
    check_columns(str(path), names, columns)
    check_names(path, columns)
    wanted = [names.index(column) for column in columns]
    parts: list[Texts] = []
    cells: dict[str, list[str]] = {column: [] for column in columns}
    for row, record in enumerate(records, start=1):
        if len(record) != len(names):
            advice = "Put a text that holds the separator into double quotes"
            if any("\n" in cell for cell in record):
                advice = "Close the quote that opens in it"
            elif len(record) < len(names):
                advice = "Give it the cells that it lacks, empty ones included"
            raise UserError(
                f"{path}: row {row} has {len(record)} cell{'s' if len(record) > 1 else ''}, expected {len(names)} "
                f"({listed(names)}): {separator.join(record[:60])[:60]!r}, cut at {separator!r} "
                f"{'with' if quoted else 'without'} quotes (data.separator, data.quote). {advice}"
            )
        for column, at in zip(cells.values(), wanted, strict=True):
            column.append(record[at])
        if row % _CHUNK == 0:
            parts.append(Texts.of(cells))
            cells = {column: [] for column in columns}
    return Texts.joined([*parts, Texts.of(cells)])


def separated_records(path: Path, file: TextIO, separator: str, quoted: bool) -> Iterator[list[str]]:
    """The lines of a csv, tsv or txt file that are not empty, as lists of cells.

    Args:
        path: the file.
        file: the same, open.
        separator: between cells.
        quoted: whether a cell may stand in double quotes, and then hold separators and ends of lines.
    """
    csv.field_size_limit(1 << 30)
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    is_over = False

    def with_end() -> Iterator[str]:
        nonlocal is_over
        yield from file
        is_over = True
        yield _END  # a quote that is never closed swallows all lines to the end of the file, and this one

    lines = csv.reader(with_end(), delimiter=separator, quoting=quoting)
    line = 1
    for number, record in enumerate(lines):
        if is_over:
            if separator.join(record) == _END:
                return
            if number:  # else the header
                yield [*record[:-1], record[-1].removesuffix(_END)]  # a wrong number of cells says more
            raise UserError(f"{path}: a quote that opens in the row of line {line} is never closed; close it")
        line = lines.line_num + 1
        # Excel's hint to itself, "sep=;", may stand in the first line.
        if record and not (number == 0 and len(record) < 3 and record[0].casefold().startswith("sep=")):
            yield record


def _reads_as_quoted(file: TextIO, separator: str) -> bool:
    """Whether a file was written with double quotes around all cells that need them, and perhaps around others.

    Such a file reads without a quote in the wrong place, has equally long rows, and has so many quotes as it must: two
    for each that is in a text, and two for each cell that holds a quote, a separator or an end of a line. One without
    such cells tells nothing: then quotes are a text's own.
    """
    csv.field_size_limit(1 << 30)
    quotes = 0

    def counted() -> Iterator[str]:
        nonlocal quotes
        for line in file:
            quotes += line.count('"')
            yield line

    widths, needing, inside = set(), 0, 0
    try:
        for record in csv.reader(counted(), delimiter=separator, strict=True):
            if record:
                widths.add(len(record))
                needing += sum(bool({*cell} & {'"', separator, "\n", "\r"}) for cell in record)
                inside += sum(cell.count('"') for cell in record)
    except csv.Error:
        return False
    return needing > 0 and len(widths) == 1 and quotes >= 2 * inside + 2 * needing
