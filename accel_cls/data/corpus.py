"""From a recipe's `data` to labelled examples: labels parsed, bad rows named, validation split off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from accel_cls.data.byte_order_marks import MARK, MarksLeftOut, unmarked
from accel_cls.data.cells import as_texts, declared_name, label_of_cell, text_table, unmarked_cell
from accel_cls.data.changed import changed_copies
from accel_cls.data.column_names import UnknownColumn
from accel_cls.data.examples import Examples, InvalidRows, Part
from accel_cls.data.few import take_few
from accel_cls.data.files import expand
from accel_cls.data.folds import check_folds, fold_numbers
from accel_cls.data.labels import Classes, LabelReader
from accel_cls.data.reading import SourceTable, read_table
from accel_cls.data.separated import FileFormat
from accel_cls.data.split import split_examples
from accel_cls.data.texts import Texts
from accel_cls.data.unlabelled import Unlabelled, read_unlabelled
from accel_cls.errors import UserError, listed, printable, shown
from accel_cls.recipe import Hub, Recipe
from accel_cls.recipe.sections.data import Data, Fold


@dataclass(frozen=True)
class Corpus:
    """Everything that a recipe's `data` says: training, validation and test examples, and the classes."""

    train: Examples
    validation: Examples
    classes: Classes
    reader: LabelReader  # that has read the labels
    invalid: tuple[InvalidRows, ...]  # rows left out, as data.invalid says
    notes: tuple[str, ...]  # decisions that the user should know of
    digest: str  # SHA-256 over all that updates and choices follow from: see `digest_of`
    test: Examples | None = None  # that nothing is chosen by; they change no update, and are not in the digest
    fold: np.ndarray | None = None  # bool [training and validation examples in their order]: these are validated on
    unlabelled: Unlabelled | None = None  # of distill.texts: learned after those with labels, from a teacher
    changed: Examples | None = None  # of `augment`: copies of the training examples, learned after these

    @cached_property
    def labelled(self) -> Examples:
        """All that is learned by its labels: the training examples, and then their changed copies."""
        return self.train if self.changed is None else self.train.followed_by(self.changed)

    @property
    def learned_rows(self) -> tuple[str, ...]:
        """Where the texts stand that updates are made of: the training examples, and then those without labels."""
        return (*self.labelled.rows, *(self.unlabelled.rows if self.unlabelled is not None else ()))

    @property
    def learned(self) -> int:
        """How many these are."""
        return len(self.learned_rows)

    @property
    def test_digest(self) -> str | None:
        """SHA-256 over the texts and labels of the test examples, in order; None where there are none."""
        return None if self.test is None else digest_of(self.test)

    @property
    def judged(self) -> dict[Part, Examples]:
        """The examples that a model is judged by."""
        parts: dict[Part, Examples] = {"validation": self.validation}
        return parts if self.test is None else parts | {"test": self.test}

    def facts(self) -> dict[str, str]:
        """What has to be the same in all processes of a run."""
        return {
            "training examples": f"{len(self.train):,}",
            "texts without labels": f"{self.learned - len(self.labelled):,}",
            "validation examples": f"{len(self.validation):,}",
            "classes": ", ".join(self.classes.names),
            "data digest": self.digest[:16],
            "test data digest": (self.test_digest or "")[:16],
        }

    def class_counts(self, part: Examples) -> np.ndarray:
        """How many of some examples have each class, int64 [classes]."""
        return self.reader.class_counts(part.labels, len(self.classes))

    def describe(self, data: Data) -> list[tuple[str, str]]:
        """Name and text of each line of the banner that is about examples and classes."""
        by = self.reader.split_by
        test = "" if self.test is None else f", {len(self.test):,} for the test ({_origin(data.test, 'test', by)})"
        split = _origin(data.validation if data.fold is None else data.fold, "validation", by)
        copies = "" if self.changed is None else f" and {len(self.changed):,} changed copies (augment)"
        more = (
            copies
            if self.unlabelled is None
            else f"{copies} and {len(self.unlabelled):,} without labels (distill.texts)"
        )
        parts = f"{len(self.train):,}{more} for training, {len(self.validation):,} for validation ({split}){test}"
        return [("examples", parts), self.reader.describe(self.train.labels, self.classes.names)]


def _origin(source: Any, key: str, by: str) -> str:
    return f"{source} of data.train, by {by}" if isinstance(source, float | Fold) else f"data.{key}"


@dataclass(frozen=True)
class _Rows:
    """Rows as read."""

    texts: Texts
    labels: list[Any]  # parsed; None where missing
    faults: dict[int, str]  # why a label can't be parsed
    rows: tuple[str, ...]
    declared: tuple[str, ...] | None  # class names that the source itself declares
    columns: Texts | None  # those that data.slices names


def load_corpus(recipe: Recipe, reader: LabelReader) -> Corpus:
    """Read, check and split a recipe's data.

    Args:
        reader: reads the labels; the recipe's task, see `tasks.task_of`.

    Raises:
        UserError: for a file, a column, a text or a label that can't be used, with its rows.
    """
    data = recipe.data
    notes: list[str] = []
    invalid: list[InvalidRows] = []
    names = _shown_names([data.train, data.validation, data.test])
    is_split = isinstance(data.validation, float) or isinstance(data.test, float)
    read = _read(data.train, data, reader, names, notes, slices=data.slices if is_split else ())
    classes = reader.find_classes((label for label in read.labels if label is not None), data, read.declared)
    train = _examples(read, classes, data, reader, "data.train", invalid)
    _check_labels(train, classes, reader)
    declared, fraction = read.declared, 1.0
    split_seed = recipe.seed if data.split_seed is None else data.split_seed
    fold: np.ndarray | None = None

    def held_out(source: float | str | list[str] | Hub, key: str) -> Examples:
        """Read, or split off what is left of the training examples; fractions are of all of them."""
        nonlocal train, fraction
        if isinstance(source, float):
            train, part = split_examples(train, len(classes), reader, source / fraction, split_seed, key)
            fraction -= source
            return part
        read = _read(source, data, reader, names, notes, declared, data.slices)
        return _examples(read, classes, data, reader, key, invalid)

    test = None if data.test is None else held_out(data.test, "data.test")
    if data.fold is None:
        validation = held_out(data.validation, "data.validation")
    else:
        check_folds(train, classes.names, reader, data.fold.of, "data.fold.of")
        fold = fold_numbers(train, reader, data.fold.of, split_seed) == data.fold.number - 1
        train, validation = (train.select(np.flatnonzero(part)) for part in (~fold, fold))
    train = take_few(train, recipe, reader, classes, notes)
    train = replace(train, columns=None)  # what is learned from is not judged
    notes.extend(f"{rows.key}: dropped, {rows}" for rows in invalid)
    _check_labels(train, classes, reader)
    is_split = fold is not None or isinstance(data.validation, float)
    notes.extend(_missing_classes(train, validation, is_split, classes, reader))
    unlabelled, digest = None, digest_of(train, validation)
    if recipe.distill is not None and recipe.distill.texts is not None:
        known = [train, validation, *([] if test is None else [test])]
        unlabelled = read_unlabelled(recipe.distill.texts, data, "distill.texts", known, notes)
        digest = hashlib.sha256(f"{digest} {unlabelled.texts.digest()}".encode()).hexdigest()
    changed, told = changed_copies(train, recipe), (tuple(invalid), tuple(notes))
    return Corpus(train, validation, classes, reader, *told, digest, test, fold, unlabelled, changed)


def with_validation_learned(corpus: Corpus, recipe: Recipe) -> Corpus:
    """A corpus whose validation examples are training examples, too, after the others; it has no test examples."""
    train = corpus.train.followed_by(corpus.validation)
    digest = hashlib.sha256(f"{corpus.digest} refit".encode()).hexdigest()
    return replace(corpus, train=train, test=None, changed=changed_copies(train, recipe), digest=digest, notes=())


def _check_labels(train: Examples, classes: Classes, reader: LabelReader) -> None:
    if (lacking := reader.lacking(train.labels, len(classes))) is not None:
        raise UserError(f"data.train: {lacking}")


def _missing_classes(
    train: Examples, validation: Examples, is_split: bool, classes: Classes, reader: LabelReader
) -> Iterator[str]:
    """A note for each class that can't be trained, or can't be evaluated."""
    counts, held_out = (reader.class_counts(part.labels, len(classes)) for part in (train, validation))
    for i, name in enumerate(classes.names):
        if not counts[i]:
            yield f"the class {shown(name)!r} has no training example: it can't be learned"
        elif not held_out[i]:
            why = "has no validation example"
            if is_split:
                own = np.array([at for at, label in enumerate(train.labels) if i in reader.classes_of(label)])
                texts = len(set(zip(*train.texts.select(own)[:].values(), strict=True)))
                why = (
                    "has one text only: it is trained on and not validated"
                    if texts == 1
                    else "is not in the validation split"
                )
            yield f"the class {shown(name)!r} {why}; in macro averages its scores count as 0"


def _shown_names(sources: Sequence[float | str | list[str] | Hub | None]) -> dict[str, str]:
    """What files are called in messages: their names, with as many folders as it takes to tell them apart."""
    paths = {path for source in sources if isinstance(source, str | list) for path in expand(source)}
    for depth in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        names = {str(path): printable(str(Path(*path.parts[-depth:]))).replace("\n", "\\n") for path in paths}
        if len(set(names.values())) == len(paths):
            return names
    return {}


def _read(
    source: str | list[str] | Hub,
    data: Data,
    reader: LabelReader,
    names: dict[str, str],
    notes: list[str],
    declared: tuple[str, ...] | None = None,
    slices: Sequence[str] = (),
) -> _Rows:
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
    return _Rows(texts, labels, faults, rows, declared, kept if slices else None)


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


def _examples(
    read: _Rows, classes: Classes, data: Data, reader: LabelReader, key: str, invalid: list[InvalidRows]
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


def digest_of(*parts: Examples) -> str:
    """SHA-256 over the texts and labels of some examples, in order; of a corpus, of those for training and validation.

    Where there are texts without labels, they are in the corpus's, too.
    """
    digest = hashlib.sha256()
    for part in parts:
        for name in part.texts.column_names:
            for text in part.texts[name][:]:
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(part.labels.tobytes())
    return digest.hexdigest()
