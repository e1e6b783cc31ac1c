"""A finished run as its folder keeps it: answers, scores, recipe, classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accel_cls.data.examples import Part
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.judged import Judged
from accel_cls.recipe import leaves, load_recipe, read_plain
from accel_cls.runs.answers import read_answers
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.results import read_results
from accel_cls.tasks import Task, task_of

_OF_EACH_RUN = ("name", "output")  # recipes of two runs always differ in these


@dataclass(frozen=True)
class AnsweredRun:
    """What there is to be compared."""

    label: str  # the folder as the user has named it
    task: Task
    classes: tuple[str, ...]  # their names by id; none of a task without classes
    answers: Answers  # of the best model to the rows that are compared
    results: dict[str, Any]
    settings: dict[str, Any]  # of the recipe, by dotted key

    @property
    def judged(self) -> Judged:
        """What the model says of the rows."""
        return Judged.of(self.task, self.answers.labels, self.answers.logits)

    def label_texts(self) -> list[str]:
        """What is true of each row, in words."""
        return [self.task.text_of(label, self.classes) for label in self.answers.labels]


def read_run(label: str, part: Part) -> AnsweredRun:
    """Read one.

    Args:
        label: a folder's path.
        part: whose rows are compared.

    Raises:
        UserError: where there is no finished run, or none with answers to such rows.
    """
    folder = RunFolder(label)
    results = read_results(folder)
    recipe = load_recipe(folder.recipe)
    settings = {key: value for key, value in leaves(read_plain(folder.recipe)) if key not in _OF_EACH_RUN}
    names = tuple(one["name"] for one in results.get("classes", ()))
    return AnsweredRun(label, task_of(recipe), names, read_answers(folder, part), results, settings)
