"""From a recipe's `data` to its corpus: parts read, validation and test examples split off, what is odd told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from accel_cls.data.changed import changed_copies
from accel_cls.data.corpus import Corpus, digest_of
from accel_cls.data.examples import Examples, InvalidRows
from accel_cls.data.few import take_few
from accel_cls.data.files import expand
from accel_cls.data.folds import check_folds, fold_numbers
from accel_cls.data.labelled import read_labelled, usable_examples
from accel_cls.data.labels import Classes, LabelReader
from accel_cls.data.split import split_examples
from accel_cls.data.unlabelled import read_unlabelled
from accel_cls.errors import UserError, printable, shown
from accel_cls.recipe import Hub, Recipe


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
    read = read_labelled(data.train, data, reader, names, notes, slices=data.slices if is_split else ())
    classes = reader.find_classes((label for label in read.labels if label is not None), data, read.declared)
    train = usable_examples(read, classes, data, reader, "data.train", invalid)
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
        read = read_labelled(source, data, reader, names, notes, declared, data.slices)
        return usable_examples(read, classes, data, reader, key, invalid)

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
