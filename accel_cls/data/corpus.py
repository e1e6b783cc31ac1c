"""From a recipe's `data` to labelled examples: labels put in order, bad rows named, validation split off."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accel_cls.data.files import expand
from accel_cls.data.reading import read_table
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError, listed, printable, shown
from accel_cls.recipe import Hub, Recipe
from accel_cls.recipe.rules import canonical_label
from accel_cls.recipe.schema import Data

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Labels:
    """The classes, in the order of their ids."""

    values: tuple[str, ...]  # as they stand in the data
    names: tuple[str, ...]  # as the model calls them


@dataclass(frozen=True)
class Examples:
    """Labelled texts. All sequences have one entry for each example."""

    texts: Texts  # column "text", and "pair" for text pairs; take columns with [:], rows one by one are slow
    labels: np.ndarray  # int64: class ids
    rows: tuple[str, ...]  # where each stands: "file.csv:17" is the 17th row after the header

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: np.ndarray) -> Examples:
        """The examples at these positions, in this order."""
        return Examples(self.texts.select(indices), self.labels[indices], tuple(self.rows[int(i)] for i in indices))


@dataclass(frozen=True)
class Fault:
    """Why some rows can't be used."""

    key: str  # "data.train" or "data.validation"
    what: str
    rows: tuple[str, ...]

    def __str__(self) -> str:
        count = len(self.rows)
        more = f" and {count - 5} more" if count > 5 else ""
        return f"{self.what} in {count} row{'s' if count > 1 else ''}: {', '.join(self.rows[:5])}{more}"


@dataclass(frozen=True)
class Corpus:
    """Everything that a recipe's `data` says: what to train on, what to judge by, which classes there are."""

    train: Examples
    validation: Examples
    labels: Labels
    dropped: tuple[Fault, ...]  # rows left out, as data.invalid says
    notes: tuple[str, ...]  # decisions that the user should know of
    digest: str  # SHA-256 over the texts and labels of both parts, in order

    def facts(self) -> dict[str, str]:
        """What has to be the same in all processes of a run."""
        return {
            "training examples": f"{len(self.train):,}",
            "validation examples": f"{len(self.validation):,}",
            "classes": ", ".join(self.labels.names),
            "data digest": self.digest[:16],
        }

    def describe(self, data: Data) -> list[tuple[str, str]]:
        """Name and text of each line of the banner that is about examples and classes."""
        split = f"{data.validation} of data.train, by class" if isinstance(data.validation, float) else "its own"
        counts = np.bincount(self.train.labels, minlength=len(self.labels.names))
        classes = [f"{shown(name)} {count:,}" for name, count in zip(self.labels.names, counts, strict=True)]
        if len(classes) > 12:
            classes = [*classes[:12], f"and {len(classes) - 12} more"]
        return [
            (
                "examples",
                f"{len(self.train):,} to learn from, {len(self.validation):,} to judge by ({split})",
            ),
            ("classes", ", ".join(classes)),
        ]


@dataclass(frozen=True)
class _Rows:
    """Rows as read: nothing checked yet."""

    texts: Texts
    labels: list[str | None]  # canonical; None where missing
    rows: tuple[str, ...]


def load_corpus(recipe: Recipe) -> Corpus:
    """Read, check and split a recipe's data.

    Raises:
        UserError: for a file, a column, a text or a label that can't be used, with its rows.
    """
    data = recipe.data
    notes: list[str] = []
    faults: list[Fault] = []
    names = _shown_names([data.train, data.validation])
    read, declared = _read(data.train, data, names, notes)
    labels = _labels(data, read, declared)
    train = _examples(read, labels, data, "data.train", faults)
    if len(np.unique(train.labels)) < 2:
        raise UserError(f"data.train: all {len(train)} examples are of one class; a classifier needs two or more")
    if isinstance(data.validation, float):
        train, validation = _split(train, labels, data.validation, recipe.seed, notes)
    else:
        read, _ = _read(data.validation, data, names, notes)
        validation = _examples(read, labels, data, "data.validation", faults)
    notes.extend(f"{fault.key}: dropped, {fault}" for fault in faults)
    counts = np.bincount(train.labels, minlength=len(labels.names))
    if (counts > 0).sum() < 2:
        raise UserError(f"data.train: all {len(train)} examples are of one class; a classifier needs two or more")
    for name, count in zip(labels.names, counts, strict=True):
        if count == 0:
            notes.append(f"the class {shown(name)!r} has no training example: it can't be learned")
    return Corpus(train, validation, labels, tuple(faults), tuple(notes), _digest(train, validation))


def _shown_names(sources: Sequence[float | str | list[str] | Hub]) -> dict[str, str]:
    """What files are called in messages: their names, with as many folders as it takes to tell them apart."""
    paths = {path for source in sources if isinstance(source, str | list) for path in expand(source)}
    for depth in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        names = {str(path): printable(str(Path(*path.parts[-depth:]))).replace("\n", "\\n") for path in paths}
        if len(set(names.values())) == len(paths):
            return names
    return {}


def _read(
    source: str | list[str] | Hub, data: Data, names: dict[str, str], notes: list[str]
) -> tuple[_Rows, list[str] | None]:
    """All rows of a source, the texts under "text" and "pair"; and the class names it declares."""
    columns = [data.text] if isinstance(data.text, str) else list(data.text)
    tables, declared = read_table(source, [*columns, data.label], data.columns, data.separator, notes)
    rows = tuple(f"{names.get(name, name)}:{row + 1}" for name, table in tables for row in range(len(table)))
    if not rows:
        named = ", ".join(source) if isinstance(source, list) else source
        raise UserError(f"{named}: there are no rows in it")
    raw = [value for _, table in tables for value in table[data.label][:]]
    if declared is not None:
        for value, row in zip(raw, rows, strict=True):
            if isinstance(value, int) and not -1 <= value < len(declared):
                raise UserError(
                    f"{row}: found the class id {value}; the data set declares {len(declared)} classes, from 0 on"
                )
        # An id becomes its name, and -1, by the hub's convention, a missing label; other files may hold names.
        raw = [(declared[v] if v >= 0 else None) if isinstance(v, int) else v for v in raw]
    labels = [None if value is None or value != value else canonical_label(value) or None for value in raw]
    return _Rows(Texts.joined([text_table(table, columns) for _, table in tables]), labels, rows), declared


def text_table(table: Texts | Dataset, columns: Sequence[str]) -> Texts:
    """One column of a table as "text", or two as "text" and "pair"; what is missing is an empty text."""

    def texts(column: str) -> list[str]:
        return [_text(cell) for cell in table[column][:]]

    # Built anew, not renamed: a column's new name may be another one's old name.
    names = dict(zip(("text", "pair"), columns, strict=False))
    return table.named(names) if isinstance(table, Texts) else Texts.of({new: texts(names[new]) for new in names})


def _text(cell: Any) -> str:
    """A cell of any type as a text: bytes as UTF-8, lists and mappings as JSON."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if isinstance(cell, list | dict):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return "" if cell is None or cell != cell else str(cell)


def _natural(value: str) -> tuple[Any, ...]:
    """A sort key in which digits count as numbers, so that "class 2" stands before "class 10"."""
    if re.fullmatch(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?", value):
        return (0, float(value), len(value), value)
    parts = [(0, int(p)) if p.isdecimal() and len(p) < 300 else (1, p) for p in re.split(r"([0-9]+)", value) if p]
    return (1, parts, value)


def _labels(data: Data, read: _Rows, declared: list[str] | None) -> Labels:
    if isinstance(data.labels, dict):
        values = tuple(canonical_label(value) for value in data.labels)
        if declared is not None and all(value.isdecimal() and int(value) < len(declared) for value in values):
            values = tuple(declared[int(value)] for value in values)  # the data set's own ids, renamed
        return Labels(values, tuple(data.labels.values()))
    if data.labels is not None or declared is not None:
        values = tuple(map(canonical_label, data.labels if data.labels is not None else declared or ()))
        return Labels(values, values)
    found = Counter(value for value in read.labels if value is not None)
    if len(found) > 1000:
        raise UserError(
            f"data.label: the column {data.label!r} has {len(found)} different values, the first is "
            f"{shown(next(iter(found)))!r}; is it the label's column? If so, list the classes in data.labels"
        )
    values = tuple(sorted(found, key=_natural))
    return Labels(values, values)


def _examples(read: _Rows, labels: Labels, data: Data, key: str, dropped: list[Fault]) -> Examples:
    """The usable rows; the others are an error or, where the recipe says so, dropped."""
    ids = {value: i for i, value in enumerate(labels.values)}
    columns = [read.texts[name][:] for name in read.texts.column_names]
    empty = [all(not cell.strip() for cell in cells) for cells in zip(*columns, strict=True)]
    faults: dict[str, list[int]] = {}
    for i, (label, blank) in enumerate(zip(read.labels, empty, strict=True)):
        if blank:
            faults.setdefault("the text is empty", []).append(i)
        elif label is None:
            faults.setdefault("the label is missing", []).append(i)
        elif label not in ids:
            faults.setdefault(f"the label {shown(label)!r} is not among {listed(labels.values)}", []).append(i)
    found = [Fault(key, what, tuple(read.rows[i] for i in at)) for what, at in faults.items()]
    bad = {i for at in faults.values() for i in at}
    if bad and data.invalid == "error":
        raise UserError(
            "\n".join(f"{key}: {fault}" for fault in found[:20])
            + "\nMend them, or leave such rows out with data.invalid=drop"
        )
    dropped.extend(found)
    good = np.array([i for i in range(len(read.rows)) if i not in bad], dtype=np.int64)
    if not len(good):
        reasons = "; ".join(map(str, found[:5])) + ("; …" if len(found) > 5 else "")
        raise UserError(f"{key}: no usable row is left of {len(read.rows)}: {reasons}")
    return Examples(
        read.texts.select(good) if bad else read.texts,
        np.array([ids[read.labels[i] or ""] for i in good], dtype=np.int64),
        tuple(read.rows[i] for i in good),
    )


def distinct_texts(examples: Examples, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The first example of each example's text, int64; and those firsts whose class has another text, int64."""
    columns = [examples.texts[name][:] for name in examples.texts.column_names]
    first: dict[tuple[str, ...], int] = {}
    text_of = np.array([first.setdefault(cells, i) for i, cells in enumerate(zip(*columns, strict=True))], np.int64)
    texts = np.fromiter(first.values(), np.int64)
    counts = np.bincount(examples.labels[texts], minlength=classes)
    return text_of, texts[counts[examples.labels[texts]] > 1]


def can_split(examples: Examples, pool: np.ndarray, fraction: float) -> bool:
    """Whether that fraction of these examples, and the rest of them, can hold each of their classes."""
    classes = len(np.unique(examples.labels[pool]))
    return len(pool) > 0 and classes <= round(fraction * len(pool)) <= len(pool) - classes


def _split(
    examples: Examples, labels: Labels, fraction: float, seed: int, notes: list[str]
) -> tuple[Examples, Examples]:
    """Split off validation examples, by label in proportion. A class's only text stays in training.

    Examples of the same text go to the same side: else a model could be right about a text that it has
    learned by heart.
    """
    text_of, pool = distinct_texts(examples, len(labels.names))
    counts = np.bincount(examples.labels[np.unique(text_of)], minlength=len(labels.names))
    for name in (labels.names[i] for i in np.flatnonzero(counts == 1)):
        notes.append(f"the class {shown(name)!r} has one text only: it is trained on and not validated")
    if not can_split(examples, pool, fraction):
        size, classes = round(fraction * len(pool)), len(np.unique(examples.labels[pool]))
        why = (
            f"{fraction} of {len(pool)} texts is {size}, too few or too many to hold each of the {classes} classes in "
            "both parts; use another fraction or a file"
            if len(pool)
            else "no class has two different texts, one to learn from and one to judge by; give more, or a file"
        )
        raise UserError(f"data.validation: {why}")
    size = round(fraction * len(pool))
    judged = np.isin(text_of, pool[draw_by_class(examples.labels[pool], size, seed)])
    return examples.select(np.flatnonzero(~judged)), examples.select(np.flatnonzero(judged))


def draw_by_class(classes: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Positions of `size` of these class ids, int64, drawn in proportion for each class.

    What scikit-learn's `train_test_split(stratify=…)` draws, number by number, so that a seed means what it always
    did. Importing that takes 0.4 s, of which most is scipy.stats, at the start of every run.
    """
    _, at, counts = np.unique(classes, return_inverse=True, return_counts=True)
    of_class = np.split(np.argsort(at, kind="stable"), np.cumsum(counts)[:-1])
    generator = np.random.RandomState(seed)
    rest = _apportion(counts, len(classes) - size, generator)
    drawn = _apportion(counts - rest, size, generator)
    orders = [generator.permutation(count) for count in counts]
    parts = [of_class[i][order[rest[i] : rest[i] + drawn[i]]] for i, order in enumerate(orders)]
    return np.concatenate(parts)


def _apportion(counts: np.ndarray, size: int, generator: np.random.RandomState) -> np.ndarray:
    """How many of `size` fall to each class, int64: by largest remainders, equal ones drawn by lot."""
    exact = counts / counts.sum() * size
    shares = np.floor(exact)
    remainders = exact - shares
    missing = size - int(shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if not missing:
            break
        equal = np.flatnonzero(remainders == remainder)
        lucky = generator.choice(equal, size=min(len(equal), missing), replace=False)
        shares[lucky] += 1
        missing -= len(lucky)
    return shares.astype(np.int64)


def _digest(*parts: Examples) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for name in part.texts.column_names:
            for text in part.texts[name][:]:
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(part.labels.tobytes())
    return digest.hexdigest()
