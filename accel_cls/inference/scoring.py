"""How right a finished model is about rows that have a label, reckoned as a run's evaluation does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from accel_cls.data.cells import declared_name, unmarked_cell
from accel_cls.data.labels import named_classes
from accel_cls.data.rows import Rows
from accel_cls.errors import UserError, listed, shown
from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import compute_scores
from accel_cls.inference.classifier import CHUNK, Prediction
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of

_MOST_REASONS = 5  # that are told


class Scoring:
    """Takes predictions together with what stands in their rows' label columns; keeps encoded labels and logits alone.

    Args:
        recipe: that the model was trained by, which says how labels are read.
        names: of the model's classes, in the order of their ids.
        rows: what is asked for a row's labels.
        declared: the class names that a file declares for its label column, what its ids mean; None where it has none.
    """

    def __init__(self, recipe: Recipe, names: Sequence[str], rows: Rows, declared: Sequence[str] | None = None):
        self._recipe, self._task, self._names = recipe, task_of(recipe), names
        self._rows, self._declared = rows, declared
        ids = {name: i for i, name in enumerate(names)}
        classes = named_classes(recipe.data, declared)
        as_in_data = {} if classes is None else dict(zip(classes.values, classes.names, strict=True))
        # Classes by what stands for them in the data, or by their names, as files that a run has written have them.
        values = {value: ids[name] for value, name in as_in_data.items() if name in ids}
        self._known = [known for known in (values, ids) if len(known) == len(ids)]
        self._true: list[np.ndarray] = []
        self._logits: list[np.ndarray] = []
        self._packed: list[tuple[np.ndarray, np.ndarray]] = []  # of both, as arrays of CHUNK rows
        self._left_out: Counter[str] = Counter()
        self._by_rules: Counter[str] = Counter()  # decided rows, right ones of these; sets, those that hold the label

    def add(self, row: Any, texts: Sequence[str], prediction: Prediction) -> None:
        """Count one row."""
        if all(not text.strip() for text in texts):
            self._left_out["the text is empty"] += 1
            return
        try:
            label = self._task.parse(self._label_cell(row))
        except ValueError as error:
            self._left_out[str(error).rstrip(",")] += 1
            return
        if label is None:
            self._left_out["the label is missing"] += 1
            return
        unknown = [self._task.unknown(label, known) for known in self._known]
        if None not in unknown:
            self._left_out[f"the label {shown(str(unknown[-1]))!r} is no class of the model"] += 1
            return
        self._true.append(self._task.encode([label], self._known[unknown.index(None)]))
        self._count_decided(self._true[-1][0], prediction)
        self._logits.append(prediction.logits[None])
        if len(self._logits) == CHUNK:
            self._pack()

    def lines(self) -> Iterator[str]:
        """The scores, and what was left out, for people; none where there was no row."""
        self._pack()
        count, out = sum(len(true) for true, _ in self._packed), self._left_out.total()
        column = self._recipe.data.label
        by = f"{column!r}" if isinstance(column, str) else f"{len(column)} label columns"
        if count:
            scores = "  ".join(f"{name} {score:.4f}" for name, score in self.scores().items())
            yield f"scores by {by}, {count:,} of {count + out:,} rows: {scores}"
            yield from self._lines_of_rules()
        elif out:
            yield f"no scores by {by}: none of {out:,} rows can be scored"
        for reason, rows in self._left_out.most_common(_MOST_REASONS):
            yield f"left out: {reason} in {rows:,} row{'s' if rows > 1 else ''}"
        if more := self._left_out.most_common()[_MOST_REASONS:]:
            yield f"left out: {sum(rows for _, rows in more):,} more, for {len(more)} other reasons"
        if any(reason.endswith("of the model") for reason in self._left_out):
            yield f"the model's classes are {listed(self._names)}"

    def _count_decided(self, label: Any, prediction: Prediction) -> None:
        if prediction.decision is None and prediction.prediction_set is None:
            return
        true = {self._names[at] for at in self._task.classes_of(label)}
        if prediction.decision is not None and self._task.as_decision(prediction.decision) is not None:
            self._by_rules["decided"] += 1
            self._by_rules["right"] += {*prediction.decision} == true
        if prediction.prediction_set is not None:
            self._by_rules["sets"] += 1
            self._by_rules["held"] += true <= {*prediction.prediction_set}

    def _lines_of_rules(self) -> Iterator[str]:
        """How right decisions and sets are; none where there are none."""
        found = self._by_rules
        if found["decided"]:
            share = found["right"] / found["decided"]
            yield f"decided {found['decided']:,} of these rows, accuracy {share:.4f} of the decisions"
        if found["sets"]:
            yield f"sets hold the label in {found['held'] / found['sets']:.4f} of these rows"

    def scores(self) -> dict[str, float]:
        """The task's headline metrics, then those of the recipe, of the rows that count; one or more."""
        self._pack()
        true, logits = map(np.concatenate, zip(*self._packed, strict=True))
        metrics = dict.fromkeys([*self._task.headline_metrics, *self._recipe.evaluate.metrics])
        return compute_scores(metrics, Judged.of(self._task, true, logits))

    def _pack(self) -> None:
        """Make one array of each: an array for each row would take a hundred bytes."""
        if self._logits:
            self._packed.append((np.concatenate(self._true), np.concatenate(self._logits)))
            self._true, self._logits = [], []

    def _label_cell(self, row: Any) -> Any:
        """The cell of the label column; of several a tuple."""
        columns = self._recipe.data.label
        if isinstance(columns, str):
            return unmarked_cell(self._by_name(self._rows.value(row, columns)))
        return unmarked_cell(tuple(self._rows.value(row, column) for column in columns))

    def _by_name(self, cell: Any) -> Any:
        """A declared id as the name that it stands for; one that is not declared stays, and is no class."""
        if self._declared is None:
            return cell
        if isinstance(cell, list):
            return [self._by_name(one) for one in cell]
        try:
            return declared_name(cell, self._declared, "")
        except UserError:
            return cell
