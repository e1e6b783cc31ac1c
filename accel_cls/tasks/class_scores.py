"""How well each class is told from the others, for tasks whose labels are classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accel_cls.tasks.task import Table


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class; None where it is undefined, since there is nothing to divide by."""

    name: str
    examples: int
    predicted: int
    precision: float | None  # undefined where the class was never predicted
    recall: float | None  # undefined where no example has it
    f1: float | None  # undefined where neither


def class_scores(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> list[ClassScore]:
    """Scores of each class.

    Args:
        hits: int [classes], examples that have the class and were predicted to.
        true: int [classes], examples that have it.
        predicted: int [classes], examples that were predicted to.
    """

    def share(part: int, whole: int) -> float | None:
        return part / whole if whole else None

    return [
        ClassScore(name, t, p, share(h, p), share(h, t), share(2 * h, t + p))
        for name, h, t, p in zip(names, hits.tolist(), true.tolist(), predicted.tolist(), strict=True)
    ]


def class_table(scores: Sequence[ClassScore]) -> Table:
    """The scores as a section of a report."""

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.4f}"

    undefined = any(None in (score.precision, score.recall, score.f1) for score in scores)
    text = "–: undefined, the class was never predicted or has no example; in macro averages it counts as 0."
    return Table(
        "Classes",
        text if undefined else "",
        ["class", "examples", "precision", "recall", "f1"],
        [[s.name, str(s.examples), number(s.precision), number(s.recall), number(s.f1)] for s in scores],
    )
