"""A recipe's labelled examples and classes: what is learned, and what a model is judged by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from accel_cls.data.changed import changed_copies
from accel_cls.data.examples import Examples, InvalidRows, Part
from accel_cls.data.labels import Classes, LabelReader
from accel_cls.data.unlabelled import Unlabelled
from accel_cls.recipe import Recipe
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
    def train_and_validation(self) -> Examples:
        """The training examples, and then those for validation: what a model learns that is refitted."""
        return self.train.followed_by(self.validation)

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


def with_validation_learned(corpus: Corpus, recipe: Recipe) -> Corpus:
    """A corpus whose validation examples are training examples, too, after the others; it has no test examples."""
    train = corpus.train_and_validation
    digest = hashlib.sha256(f"{corpus.digest} refit".encode()).hexdigest()
    return replace(corpus, train=train, test=None, changed=changed_copies(train, recipe), digest=digest, notes=())


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
