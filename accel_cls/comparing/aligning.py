"""Rows of two runs, one for one: what was scored has to be the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from accel_cls.comparing.finished import AnsweredRun
from accel_cls.data.examples import Part
from accel_cls.errors import UserError, shown
from accel_cls.evaluation.answers import Answers


def align(first: AnsweredRun, other: AnsweredRun, part: Part) -> AnsweredRun:
    """The other run, with its rows and classes in the order of the first one's.

    Rows are told by where they come from, texts and label; where the same texts and labels come from elsewhere, such
    as a file of another name, by these.

    Raises:
        UserError: where tasks, classes or rows are not the same.
    """
    if first.task.name != other.task.name:
        raise UserError(
            f"{first.label} is a run of task: {first.task.name}, {other.label} one of task: {other.task.name}; "
            "expected runs of one task"
        )
    other = _with_classes(first, other)
    cells, its = _cells(first), _cells(other)
    order = _order(
        [*zip(first.answers.examples.rows, cells, strict=True)], [*zip(other.answers.examples.rows, its, strict=True)]
    )
    if order is None:
        order = _order(cells, its)
    if order is None:
        raise UserError(_difference(first, other, cells, its, part))
    return replace(other, answers=Answers(first.answers.examples, other.answers.logits[order]))


def _with_classes(first: AnsweredRun, other: AnsweredRun) -> AnsweredRun:
    """With logits and labels in the order of the first one's classes."""
    if first.classes == other.classes or not first.task.has_classes:
        return other
    if {*first.classes} != {*other.classes}:
        only = [
            f"{one.label} {', '.join(sorted({*one.classes} - {*two.classes})) or 'none of its own'}"
            for one, two in ((first, other), (other, first))
        ]
        raise UserError(
            f"found other classes: in {only[0]}; in {only[1]}; expected runs with the same classes (data.labels)"
        )
    examples, texts = other.answers.examples, other.label_texts()
    labels = first.task.parse_texts(texts, first.classes)
    logits = other.answers.logits[:, [other.classes.index(name) for name in first.classes]]
    return replace(other, classes=first.classes, answers=Answers(replace(examples, labels=labels), logits))


def _cells(run: AnsweredRun) -> list[tuple[str, ...]]:
    """Texts and label of each row."""
    texts = run.answers.examples.texts
    return [*zip(*(texts[name][:] for name in texts.column_names), run.label_texts(), strict=True)]


def _order(ours: Sequence[Hashable], its: Sequence[Hashable]) -> np.ndarray | None:
    """Where the other one has each of our rows, int64 [rows]; None where it has not the same ones.

    Rows that are alike go in the order in which they stand.
    """
    places: dict[Hashable, list[int]] = defaultdict(list)
    for at, key in enumerate(its):
        places[key].append(at)
    if len(ours) != len(its) or Counter(ours) != {key: len(found) for key, found in places.items()}:
        return None
    following = {key: iter(found) for key, found in places.items()}
    return np.array([next(following[key]) for key in ours], np.int64)


def _difference(
    first: AnsweredRun, other: AnsweredRun, cells: list[tuple[str, ...]], its: list[tuple[str, ...]], part: Part
) -> str:
    """How the rows of two runs differ, and what to do."""
    said = []
    for run, own, others in ((first, cells, its), (other, its, cells)):
        left = Counter(own) - Counter(others)
        if count := left.total():
            at = next(at for at, key in enumerate(own) if key in left)
            texts, label = own[at][:-1], own[at][-1]
            row = f"{run.answers.examples.rows[at]}, {' | '.join(shown(text, 30) for text in texts)!r} ({label})"
            said.append(f"{count:,} of {len(own):,} only in {run.label}, the first {row}")
    relabelled = len({key[:-1] for key in cells} & {key[:-1] for key in its})
    shared = f"; {relabelled:,} texts are in both" if relabelled else ""
    advice = (
        "scored on the same rows: name the same file in data.validation, or have the same fraction, data and seed; "
        "with the same data.test, --test compares on those rows"
        if part == "validation"
        else "with the same data.test"
    )
    return f"{other.label} has other {part} rows than {first.label}: {'; '.join(said)}{shared}. Expected runs {advice}"
