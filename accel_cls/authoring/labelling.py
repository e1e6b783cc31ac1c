"""What a text has, as the label columns of a file show: one class, any number of them, one in an order, a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from accel_cls.authoring.columns import (
    LABEL_NAMES,
    MOST_CLASSES,
    OTHER_NAMES,
    Choice,
    choose_label,
    is_label,
    named_like,
)
from accel_cls.authoring.distances import numbers_why, order_why
from accel_cls.authoring.findings import Finding
from accel_cls.data.corpus import Corpus
from accel_cls.errors import UserError, shown
from accel_cls.recipe import Recipe
from accel_cls.recipe.canonical import canonical_label
from accel_cls.recipe.metrics import Task
from accel_cls.tasks.lists import read_list, vector_length

_BINARY = ({"0", "1"}, {"true", "false"})
_SEPARATORS = ("|", ";", ",", "、", "，")
_LONGEST_NAME = 40  # characters of a class
_LEAST_SHARE = 0.02  # of the cells, that hold several classes


_WHAT: dict[str, str] = {
    "single_label": "one class a text",
    "multi_label": "any number of classes a text",
    "ordinal": "one class a text, in an order; single_label where the order means nothing",
    "regression": "a number a text",
}


@dataclass(frozen=True)
class Labelling:
    """The label column, or the columns of 0 and 1, and what they hold."""

    choice: Choice
    task: Task = "single_label"
    why: str = ""  # it is another one
    separator: str | None = None  # between the classes in a cell; None where cells are lists, or 0 and 1
    entries: tuple[str, ...] = ()  # of vectors of 0 and 1: a name for each, for want of a better one

    @property
    def what(self) -> str:
        """What a text has, in a few words."""
        return _WHAT[self.task]

    @property
    def label(self) -> str | list[str]:
        """As a recipe has it."""
        return list(self.choice.columns) if len(self.choice.columns) > 1 else self.choice.columns[0]


def find_labelling(columns: dict[str, list[str]]) -> Labelling:
    """Find the label column, or a column of 0 and 1 for each class.

    Raises:
        UserError: where no column can be one.
    """
    if several := _indicators(columns):
        return labelling_of(columns, several)
    if numbers := [name for name, cells in columns.items() if is_label(name) and numbers_why(cells)]:
        return _with_task(columns, Choice((numbers[0],), "", ()))
    try:
        choice = choose_label(columns)
    except UserError:  # too many combinations of classes for a column of single ones
        holding = [name for name, cells in columns.items() if named_like(name, LABEL_NAMES) and _classes_in(cells)]
        numbers = [name for name, cells in columns.items() if numbers_why(cells)]
        if not holding and len(numbers) != 1:
            raise
        return _with_task(columns, Choice(((holding or numbers)[0],), "", ()))
    return _with_task(columns, choice)


def labelling_of(columns: dict[str, list[str]], asked: Sequence[str]) -> Labelling:
    """What the named columns hold.

    Raises:
        UserError: where one of several holds anything but 0 and 1.
    """
    if len(asked) == 1:
        return _with_task(columns, Choice((asked[0],), "as you said", ()))
    for name in asked:
        if not _is_binary(columns[name]):
            found = ", ".join(map(repr, [*dict.fromkeys(columns[name])][:3]))
            expected = "0 and 1, as several label columns have, one for each class"
            raise UserError(f"--label: {name!r} holds {shown(found)}; expected {expected}")
    why = f"{len(asked)} columns of 0 and 1, one for each class"
    return Labelling(Choice(tuple(asked), why, ()), "multi_label", why)


def _with_task(columns: dict[str, list[str]], choice: Choice) -> Labelling:
    (name,) = choice.columns
    if why := numbers_why(columns[name]):
        return Labelling(choice if choice.why == "as you said" else replace(choice, why=why), "regression", why)
    found = _classes_in(columns[name])
    if found is None:
        why = order_why(name, columns[name])
        return Labelling(choice) if why is None else Labelling(choice, "ordinal", why)
    why = f"its cells are {found.what}" + ("" if found.entries else f": {len(found.classes):,} different ones")
    if choice.why != "as you said":
        choice = Choice(choice.columns, why, choice.others)
    entries = tuple(f"class_{i}" for i in range(found.entries))
    return Labelling(choice, "multi_label", why, found.separator, entries)


def labelling_findings(recipe: Recipe, corpus: Corpus) -> Iterator[Finding]:
    """A label column of several classes a text that is read as one of single classes: each combination is a class."""
    if recipe.task != "single_label":
        return
    counts = corpus.class_counts(corpus.train).tolist()
    cells = [value for value, count in zip(corpus.classes.values, counts, strict=True) for _ in range(count)]
    found = _classes_in(cells)
    if found is not None:
        keys = [] if found.separator in (None, ",") else [f"data.label_separator: {found.separator!r}"]
        keys += [f"data.labels, the names of the {found.entries} classes in their order,"] if found.entries else []
        more = f" with {' and '.join(keys)}" if keys else ""
        yield Finding(
            "several-labels",
            f"{recipe.data.label!r} seems to hold {found.what}: each of {len(corpus.classes)} combinations is a class "
            "here",
            f"task: multi_label{more} learns the {found.entries or len(found.classes)} classes themselves",
        )


@dataclass(frozen=True)
class _Several:
    """What a column of cells with several classes each holds."""

    separator: str | None  # between the classes; None in lists
    classes: set[str]
    entries: int = 0  # of each cell, where they are vectors of 0 and 1

    @property
    def what(self) -> str:
        """In words."""
        if self.entries:
            return f"lists of {self.entries} numbers, 0 or 1, one for each class"
        return "lists" if self.separator is None else f"several classes between {self.separator!r}"


def _classes_in(cells: Sequence[str]) -> _Several | None:
    """The classes in a column of cells that have several each; None for single ones.

    A comma within a class's name separates nothing: what stands beside it there never stands elsewhere.
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not filled:
        return None
    values = {*filled}
    lists = [found for cell in values if (found := read_list(cell)) is not None]
    if len(lists) == len(values):
        labels = [[canonical_label(name) for name in found if name is not None] for found in lists]
        return _Several(None, {name for label in labels for name in label}, vector_length(labels) or 0)
    for separator in _SEPARATORS:
        parts_of = {value: {part.strip() for part in value.split(separator)} for value in values}
        counts = Counter(part for parts in parts_of.values() for part in parts)
        several = sum(len(parts_of[cell]) > 1 for cell in filled)
        recurring = sum(count > 1 for count in counts.values())
        entries = vector_length([canonical_label(part) for part in value.split(separator)] for value in values) or 0
        if entries > 2 or (
            several >= _LEAST_SHARE * len(filled)
            and 2 <= len(counts) < min(len(values), MOST_CLASSES)
            and recurring >= len(counts) / 2
            and max(map(len, counts)) <= _LONGEST_NAME
        ):
            return _Several(separator, set(counts), entries)
    return None


def _indicators(columns: dict[str, list[str]]) -> list[str]:
    """Columns of 0 and 1 of which some row has several, or each row one; none where another one is named a label."""
    found = [name for name, cells in columns.items() if _is_binary(cells) and not named_like(name, OTHER_NAMES)]
    named = [
        name
        for name, cells in columns.items()
        if named_like(name, LABEL_NAMES) == 1 and len(set(cells)) <= max(2, len(cells) // 2)
    ]
    if len(found) < 2 or named:
        return []
    rows = zip(*(columns[name] for name in found), strict=True)
    counts = [sum(canonical_label(cell) in ("1", "true") for cell in row) for row in rows]
    return found if max(counts) > 1 or {*counts} == {1} else []


def _is_binary(cells: Sequence[str]) -> bool:
    """Whether cells hold 0 and 1, or true and false; both of them, and where there is nothing, nothing else."""
    return {canonical_label(cell) for cell in cells} - {""} in _BINARY
