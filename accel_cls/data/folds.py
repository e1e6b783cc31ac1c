"""Cut examples into folds: equal parts, each class in proportion, identical texts together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accel_cls.data.examples import Examples
from accel_cls.data.labels import LabelReader
from accel_cls.data.split import distinct_texts
from accel_cls.errors import UserError, shown


def fold_numbers(examples: Examples, reader: LabelReader, folds: int, seed: int) -> np.ndarray:
    """The fold of each example, int64 [examples], from 0 to folds - 1.

    The different texts of each stratum are shuffled and dealt out one by one, each stratum going on where the one
    before has ended: so folds differ by one text at most, and by one text of each stratum. Copies go with their text.
    """
    strata = reader.strata(examples.labels)
    text_of, _ = distinct_texts(examples, strata)
    texts = np.random.default_rng(seed).permutation(np.unique(text_of))
    dealt = texts[np.argsort(strata[texts], kind="stable")]
    number = np.empty(len(examples), np.int64)
    number[dealt] = np.arange(len(dealt)) % folds
    return number[text_of]


def check_folds(examples: Examples, names: Sequence[str], reader: LabelReader, folds: int, key: str) -> None:
    """Raise UserError where a class has fewer different texts than there are folds, so that one would be without it.

    Args:
        examples: to be cut.
        names: of the classes.
        reader: knows their labels.
        folds: how many.
        key: of the recipe, that asks for them.
    """
    text_of, _ = distinct_texts(examples, reader.strata(examples.labels))
    counts = reader.class_counts(examples.labels[np.unique(text_of)], len(names))
    few = [f"{shown(name)!r} has {count}" for name, count in zip(names, counts, strict=True) if 0 < count < folds]
    if few:
        more = f" and {len(few) - 5} more classes" if len(few) > 5 else ""
        raise UserError(
            f"{key}: found {folds} folds, more than some classes have different texts: {', '.join(few[:5])}{more}. "
            "Each fold needs one of each class: ask for fewer folds, or add texts"
        )
