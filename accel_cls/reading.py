"""Data files of any usual format and encoding, read through `datasets` into one table of texts and labels."""

from __future__ import annotations

import codecs
import csv
import difflib
import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, Dataset, Features, Value

from accel_cls.errors import UserError
from accel_cls.recipe import Hub

datasets.disable_progress_bars()
datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what fails is raised, and said once, by us

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_FORMATS = (*_SEPARATORS, ".json", ".jsonl", ".parquet")
# UTF-8 first: GB18030 decodes nearly any bytes. It is a superset of GBK and GB2312.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_table(
    source: str | list[str] | Hub, columns: Sequence[str], header: Sequence[str] | None, notes: list[str]
) -> tuple[list[tuple[str, Dataset]], list[str] | None]:
    """Read the named columns of a source.

    Args:
        source: a file, a glob, a list of both, or a hub data set.
        columns: the columns wanted.
        header: the columns of files that have no header line; None where they have one.
        notes: takes a line for each decision that the user should know of.

    Returns:
        (name, data set with just these columns) of each file, in order; and the class names that the
        source itself declares for the last of the columns, None where it declares none.

    Raises:
        UserError: for a missing or unreadable file or column.
    """
    if isinstance(source, Hub):
        name, table = f"{source.hub} [{source.split}]", _read_hub(source)
        _check_columns(name, table.column_names, columns)
        feature = table.features[columns[-1]]
        declared = feature.names if isinstance(feature, ClassLabel) else None
        return [(name, table.select_columns(list(columns)))], declared
    tables, declared = [], None
    for path in _expand(source):
        table = _read_file(path, columns, header, notes)
        feature = table.features[columns[-1]]
        declared = feature.names if isinstance(feature, ClassLabel) else declared
        tables.append((path.name, table))
    return tables, declared


def _expand(source: str | list[str]) -> list[Path]:
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


def _read_hub(source: Hub) -> Dataset:
    try:
        return datasets.load_dataset(source.hub, source.config, split=source.split)
    except Exception as error:  # the hub's client raises a dozen kinds, all for the user to read
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"hub data set {source.hub!r}, split {source.split!r}: {reason}") from error


def _read_file(path: Path, columns: Sequence[str], header: Sequence[str] | None, notes: list[str]) -> Dataset:
    ending = path.suffix.lower()
    if ending not in _FORMATS:
        raise UserError(f"{path}: unknown ending {ending!r}; expected one of {', '.join(_FORMATS)}")
    try:
        if ending == ".parquet":
            table = Dataset.from_parquet(str(path))
        else:
            encoding = _encoding(path, notes)
            if ending in _SEPARATORS:
                return _read_separated(path, encoding, columns, header)
            table = Dataset.from_json(str(path), encoding=encoding)
    except datasets.exceptions.DatasetGenerationError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise UserError(f"{path}: not readable as {ending[1:]}: {reason}") from error
    _check_columns(str(path), table.column_names, columns)
    return table.select_columns(list(columns))


def _read_separated(path: Path, encoding: str, columns: Sequence[str], header: Sequence[str] | None) -> Dataset:
    separator = _SEPARATORS[path.suffix.lower()]
    # Tab-separated files have no quoting by their definition (IANA text/tab-separated-values).
    quoting = csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE
    names, rows = _check_shape(path, encoding, separator, quoting, header)
    _check_columns(str(path), names, columns)
    # All cells are strings, and nothing is a hole: "NA", "null" and "None" are texts.
    table = Dataset.from_csv(
        str(path),
        features=Features({name: Value("string") for name in names}),
        sep=separator,
        quoting=quoting,
        encoding=encoding,
        header=0 if header is None else None,
        names=None if header is None else list(header),
        keep_default_na=False,
        index_col=False,
    )
    assert len(table) == rows, f"{path}: {rows} rows by the csv module, {len(table)} by datasets"
    return table.select_columns(list(columns))


def _check_shape(
    path: Path, encoding: str, separator: str, quoting: Any, header: Sequence[str] | None
) -> tuple[list[str], int]:
    """Column names and row count of a separated file whose rows are all as long as its header.

    pandas, which reads the file for `datasets`, takes surplus cells of the first row for an index and
    fills missing ones with nothing: an unquoted comma in a review would shift its columns silently.
    """
    csv.field_size_limit(1 << 30)
    with open(path, encoding=encoding, newline="") as file:
        records: Iterator[list[str]] = csv.reader(file, delimiter=separator, quoting=quoting)
        rows = 0
        names = list(header) if header is not None else next((record for record in records if record), [])
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UserError(f"{path}: the column {twice[0]!r} stands twice in its header")
        for record in records:
            if not record:
                continue
            rows += 1
            if len(record) != len(names):
                raise UserError(
                    f"{path}: row {rows} has {len(record)} cells, expected {len(names)} ({', '.join(names)}): "
                    f"{separator.join(record)[:60]!r}. Put a text that holds the separator into double quotes"
                )
    return names, rows


def _check_columns(where: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    for column in wanted:
        if column not in found:
            near = difflib.get_close_matches(column, found, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise UserError(
                f"{where}: there is no column {column!r}{hint} It has {', '.join(map(repr, found)) or 'none'}; "
                "set data.text and data.label (and data.columns where the file has no header line)"
            )


def _encoding(path: Path, notes: list[str]) -> str:
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
