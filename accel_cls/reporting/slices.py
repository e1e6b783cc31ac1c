"""On which parts of the rows a finished run is worse than elsewhere: for results.json, and in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from accel_cls.data.examples import Examples
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.slices.conditions import Condition, by_class, by_column, by_file, by_length, by_truncation
from accel_cls.evaluation.slices.worst_parts import Slice, WorstSlice, find_slices
from accel_cls.tasks import Task

ACCURACY, MINUS_ERROR = "accuracy", "minus the absolute error"


def slice_results(answers: Answers, task: Task, names: Sequence[str], is_cut: np.ndarray) -> dict[str, Any]:
    """The score by length, file, class, truncation and the recipe's columns, and the worst parts, for programs.

    Args:
        answers: of the best model.
        task: what was learned.
        names: of the classes.
        is_cut: bool [rows], whether the model was given a part of the text only.
    """
    scores = task.row_scores(answers.labels, task.decode(answers.logits).predicted)
    conditions = [*_conditions(answers.examples, task, names, is_cut)]
    found = find_slices(scores, answers.groups, conditions)
    return {
        "score": ACCURACY if scores.dtype == bool else MINUS_ERROR,
        "rows": len(answers),
        "mean": float(scores.mean()),
        "single": [_as_json(one) for one in found.single],
        "worst": [_as_json(one) | {"corrected_p": one.corrected_p} for one in found.worst],
        "looked_at": found.looked_at,
        "least_rows": found.least,
    }


def _conditions(examples: Examples, task: Task, names: Sequence[str], is_cut: np.ndarray) -> Iterator[Condition]:
    texts, columns = examples.texts, examples.columns
    yield from by_length([texts[name] for name in texts.column_names])
    yield from by_file(examples.rows)
    yield from by_truncation(is_cut)
    yield from by_class([task.classes_of(label) for label in examples.labels], names)
    for name in columns.column_names if columns is not None else ():
        assert columns is not None
        yield from by_column(name, columns[name])


def _as_json(one: Slice | WorstSlice) -> dict[str, Any]:
    return {
        "where": [[condition.by, condition.value] for condition in one.conditions],
        "rows": one.count,
        "score": one.score,
        "interval": [round(one.low, 6), round(one.high, 6)],
        "difference": one.difference,
        "p": one.p,
    }


def worst_in_words(slices: dict[str, Any]) -> Iterator[str]:
    """A sentence for each part of the rows that is worse than the rest by more than chance, of `slice_results`."""
    for one in slices["worst"]:
        where = " and ".join(" ".join(condition) for condition in one["where"])
        own, rest = one["score"], one["score"] - one["difference"]
        what = slices["score"]
        if what == MINUS_ERROR:
            what, own, rest = "the mean absolute error", -own, -rest
        p = "p < 0.002" if one["corrected_p"] < 0.002 else f"p = {one['corrected_p']:.3f}"
        yield (
            f"{what} is {own:.4g} on the {one['rows']:,} rows with {where}, and {rest:.4g} on all others ({p}, "
            f"corrected for {slices['looked_at']:,} parts): more training rows like these, or a look at their labels"
        )
