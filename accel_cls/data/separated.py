"""Files of separated cells, csv, tsv and txt, read by Python's own parser."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from accel_cls.data.byte_order_marks import MARK
from accel_cls.data.column_names import check_columns, check_names, check_twice, clean_names
from accel_cls.data.data_file import DataFile
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError, listed
from accel_cls.recipe.sections.data import Data

Quote = Literal["double", "single", "none"]

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_QUOTES = {"double": '"', "single": "'", "none": None}
_HOW_QUOTED = {"double": "with double quotes", "single": "with single quotes", "none": "without quotes"}
_CHUNK = 10_000  # rows that are Python's before they become Arrow's
_END = "\0end"  # a line that is put behind a file's last


@dataclass(frozen=True)
class FileFormat:
    """How text files are written, as far as they do not tell it themselves: what a recipe says of it."""

    header: tuple[str, ...] | None = None  # the columns of files without a header line; None where they have one
    separator: str | None = None  # between cells; None for what a file's ending says
    encoding: str | None = None  # None for what a file's bytes say
    quote: Quote | None = None  # in which quotes cells may stand; None finds out

    @classmethod
    def of(cls, data: Data) -> FileFormat:
        """That of a recipe's data."""
        return cls(None if data.columns is None else tuple(data.columns), data.separator, data.encoding, data.quote)

    def quote_of(self, file: DataFile, content: TextIO, separator: str) -> Quote:
        """In which quotes cells may stand; the content is read for it where nobody says, and begun again.

        By its definition (IANA text/tab-separated-values) a tab-separated file has no quoting; but pandas and
        spreadsheets write it with quotes where a cell holds a quote, a tab or the end of a line.
        """
        if self.quote is not None:
            return self.quote
        if file.ending == ".csv":
            return "double"
        is_so = is_quoted(content, separator, "double")
        content.seek(0)
        return "double" if is_so else "none"


def read_separated(
    file: DataFile, content: TextIO, columns: Sequence[str] | None, written: FileFormat, notes: list[str]
) -> Texts:
    """The named columns, or all. Cells as they stand: nothing is a hole, "NA", "null" and "None" are texts.

    Raises:
        UserError: for a column that is not there, and a row with too many cells or too few.
    """
    path = file.path
    separator = written.separator or SEPARATORS[file.ending]
    quote = written.quote_of(file, content, separator)
    if quote == "double" and written.quote is None and file.ending != ".csv":
        notes.append(f"{path.name}: its cells stand in double quotes, which are taken off; data.quote=none keeps them")
    records = separated_records(file, content, separator, quote)
    header = next(records, []) if written.header is None else list(written.header)
    names = clean_names(path, header, notes)
    if columns is None:  # those that can be named: spreadsheets leave columns without a name, or name two alike
        columns = [name for name, count in Counter(names).items() if name.strip() and count == 1]
    check_twice(path, names, columns)
    columns = list(dict.fromkeys(columns))
    _check_unquoted(file, names, columns)
    check_columns(str(path), names, columns)
    check_names(path, columns)
    wanted = [names.index(column) for column in columns]
    parts: list[Texts] = []
    cells: dict[str, list[str]] = {column: [] for column in columns}
    for row, record in enumerate(records, start=1):
        if len(record) != len(names):
            head = "its first line is" if written.header is None else "data.columns are"
            raise UserError(
                f"{path}: row {row} has {len(record)} cell{'s' if len(record) > 1 else ''}, expected {len(names)} "
                f"({listed(names)}): {separator.join(record[:60])[:60]!r}, cut at {separator!r} {_HOW_QUOTED[quote]}; "
                f"{head} taken for the header (data.separator, data.quote, data.columns). "
                f"{_advice(record, len(names), quote)}"
            )
        for column, at in zip(cells.values(), wanted, strict=True):
            column.append(record[at])
        if row % _CHUNK == 0:
            parts.append(Texts.of(cells))
            cells = {column: [] for column in columns}
    return Texts.joined([*parts, Texts.of(cells)])


def _check_unquoted(file: DataFile, names: Sequence[str], columns: Sequence[str]) -> None:
    """Raise UserError where the wanted columns' names are there, but in quotes that nobody takes off."""
    for quote in ("double", "single"):
        character = _QUOTES[quote]
        if any(name not in names and f"{character}{name}{character}" in names for name in columns):
            raise UserError(
                f"{file.path}: its header line has {listed(names)}: its cells stand in {quote} quotes; take them off "
                f"with data.quote={quote}"
            )


def _advice(record: Sequence[str], expected: int, quote: Quote) -> str:
    """What to do about a row with a wrong number of cells."""
    if any("\n" in cell for cell in record):
        return "Close the quote that opens in it"
    if quote != "single" and any(cell[:1] == "'" and cell[-1:] != "'" for cell in record):
        return "If its cells stand in single quotes, say data.quote=single"
    if len(record) < expected:
        return "Give it the cells that it lacks, empty ones included"
    say = " (data.quote=double)" if quote == "none" else ""
    return f"Put a text that holds the separator into {'single' if quote == 'single' else 'double'} quotes{say}"


def separated_records(file: DataFile, content: TextIO, separator: str, quote: Quote) -> Iterator[list[str]]:
    """The lines of a csv, tsv or txt file that are not empty, as lists of cells.

    Args:
        file: the file.
        content: the same, open.
        separator: between cells.
        quote: in which quotes a cell may stand, and then hold separators and ends of lines.
    """
    line = 1
    for number, (record, after) in enumerate(_parsed(content, separator, quote)):
        if after is None:
            if separator.join(record) == _END:
                return
            if number:  # else the header
                yield [*record[:-1], record[-1].removesuffix(_END)]  # a wrong number of cells says more
            raise UserError(f"{file.path}: a quote that opens in the row of line {line} is never closed; close it")
        line = after
        # Excel's hint to itself, "sep=;", may stand in the first line.
        if record and not (number == 0 and len(record) < 3 and record[0].casefold().startswith("sep=")):
            yield record


def _parsed(
    content: Iterable[str], separator: str, quote: Quote, strict: bool = False
) -> Iterator[tuple[list[str], int | None]]:
    """The records of a file, each with the number of the next line; the last one, with None, ends with _END.

    A byte-order mark before a record, as files that were put together have it, belongs to its first cell. A quote
    behind it is a quote all the same, so the parser does not see the mark. That of the file is nobody's.

    Args:
        content: the lines of a file.
        separator: between cells.
        quote: in which cells may stand.
        strict: raise csv.Error for a quote in the wrong place.
    """
    csv.field_size_limit(1 << 30)
    marks, is_over, begins = "", False, True

    def lines() -> Iterator[str]:
        nonlocal marks, is_over, begins
        for line in content:
            if begins and line[0] == MARK:
                bare = line.lstrip(MARK)
                marks, line = line[: len(line) - len(bare)], bare
            begins = False
            yield line
        is_over = True
        yield _END  # a quote that is never closed swallows all lines to the end of the file, and this one

    quoting: Any = csv.QUOTE_NONE if quote == "none" else csv.QUOTE_MINIMAL
    reader = csv.reader(lines(), delimiter=separator, quotechar=_QUOTES[quote], quoting=quoting, strict=strict)
    for number, record in enumerate(reader):
        if marks and number and record:
            record[0] = marks + record[0]
        marks, begins = "", True
        yield record, None if is_over else reader.line_num + 1


def is_quoted(content: TextIO, separator: str, quote: Quote) -> bool:
    """Whether a file was written with such quotes around all cells that need them, and perhaps around others.

    Such a file reads without a quote in the wrong place, has equally long rows, and has so many quotes as it must: two
    for each that is in a text, and two for each cell that holds a quote, a separator or an end of a line. One without
    such cells tells nothing: then quotes are a text's own. With single quotes they are still a program's where there
    is a quoted cell for each row: apostrophes are many, texts that are quoted as a whole few.
    """
    character = _QUOTES[quote]
    assert character is not None
    quotes = 0

    def counted() -> Iterator[str]:
        nonlocal quotes
        for line in content:
            quotes += line.count(character)
            yield line

    width, rows, needing, inside = 0, 0, 0, 0
    try:
        for record, after in _parsed(counted(), separator, quote, strict=True):
            if after is None and separator.join(record) != _END:
                return False
            if record and after is not None:
                if width not in (0, len(record)):
                    return False
                width, rows = len(record), rows + 1
                needing += sum(bool({*cell} & {character, separator, "\n", "\r"}) for cell in record)
                inside += sum(cell.count(character) for cell in record)
    except csv.Error:
        return False
    needed = needing or (rows - 1 if quote == "single" else 0)  # the header's cells may have none
    return needed > 0 and quotes >= 2 * inside + 2 * needed
