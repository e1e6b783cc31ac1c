"""What is learned: how labels are read, what the loss is, how logits become predictions."""

from __future__ import annotations

from accel_cls.recipe import Recipe
from accel_cls.recipe.canonical import canonical_label
from accel_cls.tasks.multi_label import MultiLabel
from accel_cls.tasks.ordinal import Ordinal
from accel_cls.tasks.regression import Regression
from accel_cls.tasks.single_label import SingleLabel
from accel_cls.tasks.task import Decoded, Loss, Table, Task

__all__ = [
    "Decoded",
    "Loss",
    "MultiLabel",
    "Ordinal",
    "Regression",
    "SingleLabel",
    "Table",
    "Task",
    "task_of",
    "task_of_model",
]


def task_of(recipe: Recipe) -> Task:
    """The task of a recipe."""
    data = recipe.data
    if recipe.task == "multi_label":
        columns = () if isinstance(data.label, str) else tuple(data.label)
        return MultiLabel(columns, data.label_separator, tuple(map(canonical_label, data.labels or ())))
    if recipe.task == "regression":
        return Regression()
    return Ordinal() if recipe.task == "ordinal" else SingleLabel()


def task_of_model(problem_type: str | None, outputs: int) -> Task | None:
    """The task that a saved model's `problem_type` names; None for one that is not known here.

    Args:
        problem_type: transformers' word; None means one class a text.
        outputs: how many the model has. A single one is no choice: its softmax is 1 whatever the text says.
    """
    known: tuple[Task, ...] = (MultiLabel(), Regression()) if outputs == 1 else (SingleLabel(), MultiLabel())
    return next((task for task in known if task.problem_type == (problem_type or SingleLabel().problem_type)), None)
