"""All that a run folder tells of a finished run, as reports ask for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from accel_cls.atomic import json_text
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.deciding.postprocessing import Answered, Postprocessing
from accel_cls.recipe import Recipe, load_recipe
from accel_cls.runs.answers import read_answers
from accel_cls.runs.changes import origin_of
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.results import read_results
from accel_cls.runs.suspects import KeptSuspect, read_suspects
from accel_cls.tasks import Task, task_of


@dataclass(frozen=True)
class Facts:
    """A finished run."""

    recipe: Recipe
    results: dict[str, Any]  # results.json; a score that is no finite number is None
    origin: dict[str, Any]  # origin.json
    log: list[dict[str, Any]]  # the lines of metrics.jsonl
    validation: Answers  # of the best model
    neighbours: dict[str, list[dict[str, Any]]]  # neighbours.json: by the row of a mistake, see `write_neighbours`
    suspects: tuple[KeptSuspect, ...] | None  # suspects.csv; None where nobody has looked for them

    @property
    def task(self) -> Task:
        """What was learned."""
        return task_of(self.recipe)

    @property
    def temperature(self) -> tuple[float, ...]:
        """What logits are divided by: one number, or one for each class."""
        calibration = self.results.get("calibration")  # not there in runs of older versions
        found = 1.0 if calibration is None else calibration["temperature"]
        return tuple(found[name] for name in self.names) if isinstance(found, dict) else (found,)

    @cached_property
    def answered(self) -> Answered:
        """What the answers say: probabilities and predictions as predict gives them."""
        return Postprocessing(self.temperature).answer(self.task, self.validation.logits)

    @property
    def names(self) -> list[str]:
        """Of the classes, in the order of their ids; empty where a label is a number."""
        return [one["name"] for one in self.results.get("classes", ())]

    def named(self, label: Any) -> tuple[str, ...]:
        """An encoded label, true or predicted, in words: names of classes, which may be none, or a number."""
        return self.task.named(label, self.names)


def facts_of(folder: RunFolder, recipe: Recipe, validation: Answers, results: dict[str, Any]) -> Facts:
    """What the folder tells, and what its results.json is going to be."""
    log = [json.loads(line) for line in folder.metrics.read_text(encoding="utf-8").splitlines()]
    neighbours = json.loads(folder.neighbours.read_text(encoding="utf-8")) if folder.neighbours.is_file() else {}
    # As it will be read back: reports are the same, whether made with the run or anew.
    origin, suspects = origin_of(folder), read_suspects(folder)
    return Facts(recipe, json.loads(json_text(results)), origin, log, validation, neighbours, suspects)


def read_facts(folder: RunFolder) -> Facts:
    """What a finished run's folder tells.

    Raises:
        UserError: where it holds no finished run, or not its answers.
    """
    results = read_results(folder)
    return facts_of(folder, load_recipe(folder.recipe), read_answers(folder, "validation"), results)
