"""Data files of any usual format and encoding, and hub data sets, as tables."""

from __future__ import annotations

import codecs
import csv
import difflib
import glob
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

import pyarrow as pa

from accel_cls.errors import UserError
from accel_cls.recipe import Hub
from accel_cls.texts import Texts

if TYPE_CHECKING:
    from datasets import Dataset

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_FORMATS = (*SEPARATORS, ".json", ".jsonl", ".parquet")
_CHUNK = 10_000  # rows that are Python's before they become Arrow's
# UTF-8 first: GB18030 decodes nearly any bytes. It is a superset of GBK and GB2312.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_table(
    source: str | list[str] | Hub,
    columns: Sequence[str],
    header: Sequence[str] | None,
    separator: str | None,
    notes: list[str],
) -> tuple[list[tuple[str, Texts | Dataset]], list[str] | None]:
    """Read the named columns of a source.

    Args:
        source: a file, a glob, a list of both, or a hub data set.
        columns: the columns wanted.
        header: the columns of files that have no header line; None where they have one.
        separator: what stands between the cells of separated files; None for what their ending says.
        notes: takes a line for each decision that the user should know of.

    Returns:
        (path or hub id, table with just these columns) of each, in order: texts, or what a hub or Parquet data set
        holds; and the class names that the source itself declares for the last of the columns, None where it
        declares none.

    Raises:
        UserError: for a missing or unreadable file or column.
    """
    if isinstance(source, Hub):
        name, table = str(source), _read_hub(source)
        _check_columns(name, table.column_names, columns)
        return [(name, table.select_columns(list(columns)))], _declared(table, columns[-1])
    tables: list[tuple[str, Texts | Dataset]] = []
    declared: list[str] | None = None
    for path in expand(source):
        table = read_file(path, columns, header, separator, notes)
        declared = (None if isinstance(table, Texts) else _declared(table, columns[-1])) or declared
        tables.append((str(path), table))
    return tables, declared


def expand(source: str | list[str]) -> list[Path]:
    """The files that a path, a glob or a list of them names, each once, in a stable order."""
    found: dict[Path, None] = {}
    for pattern in [source] if isinstance(source, str) else source:
        if Path(pattern).is_file():
            found[Path(pattern)] = None
            continue
        matches = sorted(Path(match) for match in glob.glob(pattern, recursive=True) if Path(match).is_file())
        if not matches:
            folder = Path(pattern).parent
            near = difflib.get_close_matches(Path(pattern).name, [p.name for p in folder.glob("*")], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"{pattern}: there is no such data file{hint}")
        found.update(dict.fromkeys(matches))
    return list(found)


def _datasets() -> ModuleType:
    """The library, quiet. Text files do without it: with pandas, which it needs, it takes 0.3 s to import."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what fails is raised, and said once, by us
    return datasets


def _declared(table: Dataset, column: str) -> list[str] | None:
    """The class names that a data set declares for a column."""
    feature = table.features[column]
    return feature.names if isinstance(feature, _datasets().ClassLabel) else None


def _read_hub(source: Hub) -> Dataset:
    datasets = _datasets()
    try:
        return datasets.load_dataset(source.hub, source.config, split=source.split)
    except Exception as error:  # the hub's client raises a dozen kinds, all for the user to read
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"hub data set {source.hub!r}, split {source.split!r}: {reason}") from error


def read_file(
    path: Path, columns: Sequence[str] | None, header: Sequence[str] | None, separator: str | None, notes: list[str]
) -> Texts | Dataset:
    """The named columns of a file, or all. Text formats are read by Python's own parsers, for what others guess.

    `Dataset.from_csv` takes surplus cells of the first row for an index, `from_json` texts that look like
    dates for times, and both answer from a cache that a copied file's old time stamp deceives.
    """
    ending = check_format(path)
    try:
        if ending == ".parquet":
            return _read_parquet(path, columns)
        with open(path, encoding=detect_encoding(path, notes), newline="") as file:
            if ending in SEPARATORS:
                return _read_separated(path, file, columns, header, separator or SEPARATORS[ending])
            return _read_json(path, file, columns)
    except (OSError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"{path}: not readable as {ending[1:]}: {str(error).splitlines()[0]}") from error


def check_format(path: Path) -> str:
    """A data file's ending in lower case. Raises UserError where it is none that can be read."""
    ending = path.suffix.lower()
    if ending not in _FORMATS:
        raise UserError(f"{path}: unknown ending {ending!r}; expected one of {', '.join(_FORMATS)}")
    return ending


def _read_parquet(path: Path, columns: Sequence[str] | None) -> Dataset:
    import pyarrow.parquet

    # Its metadata may declare class names.
    table = _datasets().Dataset(pyarrow.parquet.read_table(path, memory_map=True))
    if columns is None:
        return table
    _check_columns(str(path), table.column_names, columns)
    return table.select_columns(list(columns))


def _read_separated(
    path: Path, file: TextIO, columns: Sequence[str] | None, header: Sequence[str] | None, separator: str
) -> Texts:
    """Cells as they stand: nothing is a hole, "NA", "null" and "None" are texts."""
    records = separated_records(path, file, separator)
    names = list(header) if header is not None else next(records, [])
    if columns is None:  # those that can be named: spreadsheets leave columns without a name, or name two alike
        columns = [name for name in names if name.strip() and names.count(name) == 1]
    twice = [name for name in names if names.count(name) > 1 and name in columns]
    if twice:
        raise UserError(f"{path}: the column {twice[0]!r} stands twice in its header")
    columns = list(dict.fromkeys(columns))
    _check_columns(str(path), names, columns)
    _check_names(path, columns)
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
                f"({', '.join(names)}): {separator.join(record)[:60]!r}. {advice}"
            )
        for column, at in zip(cells.values(), wanted, strict=True):
            column.append(record[at])
        if row % _CHUNK == 0:
            parts.append(Texts.of(cells))
            cells = {column: [] for column in columns}
    return Texts.joined([*parts, Texts.of(cells)])


def separated_records(path: Path, file: TextIO, separator: str) -> Iterator[list[str]]:
    """The lines of a csv, tsv or txt file that are not empty, as lists of cells."""
    csv.field_size_limit(1 << 30)
    # Tab-separated files have no quoting by their definition (IANA text/tab-separated-values).
    quoting: Any = csv.QUOTE_MINIMAL if path.suffix.lower() == ".csv" else csv.QUOTE_NONE
    lines = csv.reader(file, delimiter=separator, quoting=quoting)
    for number, record in enumerate(lines):
        # Excel's hint to itself, "sep=;", may stand in the first line.
        if record and not (number == 0 and len(record) < 3 and record[0].casefold().startswith("sep=")):
            yield record


def _read_json(path: Path, file: TextIO, columns: Sequence[str] | None) -> Texts:
    """A list of objects, or an object a line. A key that an object lacks is a missing value."""
    text = file.read()
    try:
        # Many a .json file holds an object a line.
        records = json.loads(text) if path.suffix.lower() == ".json" and not _is_lines(text) else _json_lines(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UserError(
            f"{path}: expected a list of JSON objects" + (", one a line" if path.suffix == ".jsonl" else "")
        )
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = names if columns is None else columns
    if records:
        _check_columns(str(path), names, columns)
    _check_names(path, columns)
    return Texts.of({column: [_scalar(record.get(column)) for record in records] for column in columns})


def _is_lines(text: str) -> bool:
    return text.lstrip().startswith("{")


def _json_lines(text: str) -> list[Any]:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                records.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    return records


def _scalar(value: Any) -> str | None:
    """A JSON value as a text: a string as it is, anything else as JSON writes it.

    Half a character, as a text has that was cut within an emoji's \\ud83d\\ude00, becomes U+FFFD.
    """
    text = value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text is None or text.isascii() else _SURROGATE.sub("\ufffd", text)


def _check_columns(where: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    for column in wanted:
        if column not in found:
            near = difflib.get_close_matches(column, found, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise UserError(
                f"{where}: there is no column {column!r}{hint} It has {', '.join(map(repr, found)) or 'none'}; "
                "set data.text and data.label (and data.columns where the file has no header line, data.separator "
                "where its cells are separated by something else)"
            )


def _check_names(path: Path, columns: Sequence[str]) -> None:
    odd = [column for column in columns if "\0" in column or _SURROGATE.search(column)]
    if odd:
        raise UserError(f"{path}: the column name {odd[0]!r} is no text; is this a text file?")


def detect_encoding(path: Path, notes: list[str]) -> str:
    """The encoding of a text file: by its byte-order mark, else UTF-8, else GB18030 with a note."""
    with open(path, "rb") as file:
        start = file.read(4)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            if encoding != "utf-8-sig":
                notes.append(f"{path.name}: read as UTF-16, by its byte-order mark")
            return encoding
    failure = _undecodable(path, "utf-8")
    if failure is None:
        return "utf-8"
    if _undecodable(path, "gb18030") is None:
        notes.append(f"{path.name}: not UTF-8 (line {failure}), read as GB18030")
        return "gb18030"
    raise UserError(
        f"{path}: line {failure} is neither UTF-8 nor GB18030; convert the file to UTF-8, for example with "
        f"iconv -f ENCODING -t UTF-8"
    )


def _undecodable(path: Path, encoding: str) -> int | None:
    """The line, from 1, of the first bytes that are not in this encoding; None where all are."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return line
    return None
