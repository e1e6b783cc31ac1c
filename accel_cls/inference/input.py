"""What is to be classified: texts of a command line, lines, or a file that has more columns than are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from accel_cls.data.cells import text_table
from accel_cls.data.column_names import UnknownColumn
from accel_cls.data.data_file import DataFile
from accel_cls.data.reading import SourceTable, read_table
from accel_cls.data.rows import CellRows, Rows, open_rows
from accel_cls.data.separated import FileFormat
from accel_cls.errors import UserError
from accel_cls.inference.classifier import CHUNK, Classifier
from accel_cls.inference.scoring import Scoring
from accel_cls.inference.standard_input import read_lines

Example = tuple[Any, tuple[str, ...]]  # a row, and of it what is classified: a text, or a pair


@dataclass(frozen=True)
class Input:
    """Rows, and what is classified of them."""

    rows: Rows  # which says what a row holds
    examples: Iterator[Example]
    texts: int  # of an example
    scoring: Scoring | None = None  # where the rows have the labels that the model was trained on


def of_texts(texts: Sequence[str], pairs: Sequence[str] | None = None) -> Input:
    """Texts of a command line, and the second text of each where they are pairs."""
    return _of_no_file(zip(texts, strict=True) if not pairs else zip(texts, pairs, strict=True), 2 if pairs else 1)


def of_lines(stream: BinaryIO, encoding: str | None, tell: Callable[[str], None]) -> Input:
    """A text a line; see `standard_input.read_lines`."""
    return _of_no_file(((line,) for line in read_lines(stream, encoding, tell)), 1)


def _of_no_file(texts: Iterable[tuple[str, ...]], count: int) -> Input:
    return Input(CellRows(("text", "pair")[:count], lambda: iter(())), ((cells, cells) for cells in texts), count)


def of_file(
    path: str,
    columns: Sequence[str] | None,
    classifier: Classifier,
    encoding: str | None,
    tell: Callable[[str], None],
) -> Input:
    """A data file.

    Args:
        path: the file.
        columns: its text columns; None for those that the model was trained on.
        classifier: the model, which knows how the training files were written.
        encoding: the file's, where the user says it.
        tell: takes a line for each decision that the user should know of.

    Raises:
        UserError: for what can't be read, or has not these columns.
    """
    files = classifier.files if encoding is None else replace(classifier.files, encoding=encoding)
    wanted = columns or classifier.text_columns or ("text",)
    source, written = _read_like_training(path, wanted, files, FileFormat(encoding=encoding), tell)
    rows = open_rows(Path(source.name), written)
    return Input(rows, _examples(source, wanted, rows), len(wanted), _scoring(source, rows, classifier))


def _examples(source: SourceTable, columns: Sequence[str], rows: Rows) -> Iterator[Example]:
    """The rows of a file with their texts, which were read before."""
    table, every = text_table(source.table, columns), _readable(source.name, rows)
    changed = UserError(f"{source.name}: has changed while it was read; classify it again")
    for start in range(0, len(table), CHUNK):
        for texts in zip(*table[start : start + CHUNK].values(), strict=True):
            row = next(every, None)
            if row is None:
                raise changed
            yield row, texts
    if next(every, None) is not None:
        raise changed


def _readable(name: str, rows: Rows) -> Iterator[Any]:
    """The rows, as long as the file can be read: it was, once."""
    try:
        yield from rows
    except OSError as error:
        raise UserError(f"{name}: not readable any more: {error.strerror or error}") from error


def _scoring(source: SourceTable, rows: Rows, classifier: Classifier) -> Scoring | None:
    """What scores the rows; None where they have no labels, or nothing tells how those were read in training."""
    recipe = classifier.recipe
    if recipe is None:
        return None
    labels = [recipe.data.label] if isinstance(recipe.data.label, str) else recipe.data.label
    if not {*labels} <= {*rows.header, *rows.keys}:
        return None
    declared = None
    if DataFile.at(Path(source.name)).ending == ".parquet":  # the only files that declare what ids mean
        declared = read_table(source.name, [], labels, classifier.files, [])[0].declared
    return Scoring(recipe, classifier.names, rows, declared)


def _read_like_training(
    path: str, columns: Sequence[str], files: FileFormat, usual: FileFormat, tell: Callable[[str], None]
) -> tuple[SourceTable, FileFormat]:
    """Read a file by its header line, if it has the columns, else as the files that the model was trained on.

    Args:
        path: the file.
        columns: its text columns.
        files: how the training files are written.
        usual: how files are written of which nothing is known.
        tell: takes a line for each decision.

    Raises:
        UserError: where it is neither.
    """
    by_header = replace(files, header=None)
    without_quote = replace(by_header, quote=None)
    ways = dict.fromkeys([by_header, without_quote, replace(without_quote, separator=None), usual, files])
    errors = []
    for written in ways:
        notes: list[str] = []
        try:
            source, *more = read_table(path, columns, [], written, notes)
        except UserError as error:
            errors.append(error)
            continue
        if more:
            raise UserError(f"--file {path}: found several files; give one")
        for note in notes:
            tell(note)
        if written.header is not None:
            names = ", ".join(written.header)
            tell(f"{path} has no header line: read as the training files, with the columns {names}")
        return source, written
    last = errors[-1] if files.header is not None else errors[0]
    if isinstance(last, UnknownColumn):
        what = "the text's column" if len(columns) == 1 else "the two texts' columns"
        raise UserError(f"{last.said}; name {what} with --column") from last
    raise last
