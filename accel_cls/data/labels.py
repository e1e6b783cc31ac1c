"""Labels as they stand in data: the classes that a recipe, a source or the rows themselves name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from accel_cls.errors import UserError, shown
from accel_cls.recipe.canonical import canonical_label
from accel_cls.recipe.sections.data import Data

_MOST_CLASSES = 1000  # found in a label column; more have to be listed in the recipe


@dataclass(frozen=True)
class Classes:
    """The classes, in the order of their ids."""

    values: tuple[str, ...]  # as they stand in the data
    names: tuple[str, ...]  # as the model calls them

    def __len__(self) -> int:
        return len(self.names)


class LabelReader(Protocol):
    """What depends on the kind of label while data are read; a task (`tasks/`) is one.

    A label goes through three forms: a cell of the label column (or a tuple of cells, of several columns), what
    `parse` makes of it, and an entry of the array that `encode` makes: the array is what is trained on.
    """

    @property
    def has_classes(self) -> bool:
        """Whether labels are classes, which have probabilities and may be balanced; numbers have not."""

    @property
    def split_by(self) -> str:
        """What a split keeps in proportion, in words."""

    def parse(self, cell: Any) -> Any:
        """A cell as a label; None where it is missing. Raises ValueError, with the reason, for one that is none."""

    def find_classes(self, labels: Iterable[Any], data: Data, declared: Sequence[str] | None) -> Classes:
        """The classes: those of the recipe, else of the source's declaration, else of the labels (parsed ones)."""

    def unknown(self, label: Any, known: Mapping[str, int]) -> str | None:
        """The value of a parsed label that is no class; None where all are."""

    def encode(self, labels: Sequence[Any], known: Mapping[str, int]) -> np.ndarray:
        """Parsed labels as the array to train on, one entry (along the first axis) for each."""

    def lacking(self, labels: np.ndarray, classes: int) -> str | None:
        """Why nothing can be learned from the training examples' labels, in words; None where something can."""

    def describe(self, labels: np.ndarray, names: Sequence[str]) -> tuple[str, str]:
        """Name and text of the banner's line about some examples' labels."""

    def class_counts(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """How many of the examples have each class, int64 [classes]."""

    def classes_of(self, label: Any) -> Sequence[int]:
        """The class ids of one entry of an encoded array."""

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """What a split draws from in proportion, int64 [examples]."""

    def text_of(self, label: Any, names: Sequence[str]) -> str:
        """One entry of an encoded array as people and programs read it."""


def named_classes(data: Data, declared: Sequence[str] | None) -> Classes | None:
    """The classes that the recipe or the source names; None where neither does."""
    if isinstance(data.labels, dict):
        values = tuple(canonical_label(value) for value in data.labels)
        if declared is not None and all(value.isdecimal() and int(value) < len(declared) for value in values):
            values = tuple(declared[int(value)] for value in values)  # the data set's own ids, renamed
        return Classes(values, tuple(data.labels.values()))
    if data.labels is not None or declared is not None:
        values = tuple(map(canonical_label, data.labels if data.labels is not None else declared or ()))
        return Classes(values, values)
    return None


def found_classes(counts: Counter[str], column: str) -> Classes:
    """The values found in a label column as classes, numbers by size, others by name.

    Raises:
        UserError: where there are too many to be classes.
    """
    if len(counts) > _MOST_CLASSES:
        raise UserError(
            f"data.label: the column {column!r} has {len(counts)} different values, the first is "
            f"{shown(next(iter(counts)))!r}; is it the label's column? If so, list the classes in data.labels"
        )
    values = tuple(sorted(counts, key=_natural))
    return Classes(values, values)


def is_number(value: str) -> bool:
    """Whether a canonical label is a number."""
    return re.fullmatch(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?", value) is not None


def lacking_classes(counts: np.ndarray, examples: int) -> str | None:
    """What keeps classes of so many examples each from being learned; None where nothing does."""
    if (counts > 0).sum() > 1:
        return None
    return f"all {examples} examples are of one class; a classifier needs two or more"


def described_counts(counts: np.ndarray, names: Sequence[str]) -> str:
    """The classes with their examples, not too many."""
    classes = [f"{shown(name)} {count:,}" for name, count in zip(names, counts, strict=True)]
    return ", ".join(classes if len(classes) <= 12 else [*classes[:12], f"and {len(classes) - 12} more"])


def _natural(value: str) -> tuple[Any, ...]:
    """A sort key in which digits count as numbers, so that "class 2" stands before "class 10"."""
    if is_number(value):
        return (0, float(value), len(value), value)
    parts = [(0, int(p)) if p.isdecimal() and len(p) < 300 else (1, p) for p in re.split(r"([0-9]+)", value) if p]
    return (1, parts, value)
