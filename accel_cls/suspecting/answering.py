"""Answers to labelled rows by models that have not seen them: of a run with folds, or made here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from accelerate import Accelerator

from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.data.folds import fold_numbers
from accel_cls.data.loading import load_corpus
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.suspicion.out_of_fold import bayes_answers
from accel_cls.recipe import Recipe, load_recipe, load_to_train
from accel_cls.recipe.repeats import first_run_of
from accel_cls.runs.answers import read_answers
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.results import read_repeats, read_results
from accel_cls.tasks import Task, task_of
from accel_cls.training.frozen import frozen_answers

By = Literal["auto", "ngrams", "encoder"]
_FOLDS = 10


@dataclass(frozen=True)
class Answered:
    """Rows, each with the answer of a model that has not seen it."""

    answers: Answers
    task: Task
    names: tuple[str, ...]  # of the classes
    about: str  # who has answered
    folder: RunFolder | None  # the run's, where one was named
    seed: int
    notes: tuple[str, ...] = ()


def answered(path: str, overrides: Sequence[str], by: By) -> Answered:
    """The answers to the rows of a run or a recipe.

    Args:
        path: a run's folder, or a recipe.
        overrides: of a recipe.
        by: whose answers; "auto": a run's folds, else naive Bayes on n-grams.

    Raises:
        UserError: where it is neither, labels are numbers, or `by` asks for what the recipe has not.
    """
    if not os.path.isdir(path):
        return _made(load_to_train(path, overrides), by, None)
    if overrides:
        raise UserError(f"{path}: found a run's folder, and {overrides[0]!r}; expected overrides for a recipe only")
    folder = RunFolder(path)
    if not folder.is_run:
        raise UserError(f"{path}: found no run; expected a run folder such as runs/food, or a recipe")
    recipe = load_recipe(folder.recipe)
    if recipe.repeat is None or recipe.repeat.folds is None or by != "auto":
        return _made(recipe, by, folder)
    read_repeats(folder)  # raises where it is not finished
    task = _task(recipe)
    names = tuple(one["name"] for one in read_results(folder.repetitions[0])["classes"])
    about = f"the {recipe.repeat.folds} models of {path}, each row by the one that has not seen it"
    return Answered(read_answers(folder, "validation"), task, names, about, folder, recipe.seed)


def _made(recipe: Recipe, by: By, folder: RunFolder | None) -> Answered:
    """Answers made here, to all rows but the test rows."""
    task = _task(recipe)
    if by == "encoder" and recipe.model.name is None:
        raise UserError("--by: found encoder, but the recipe names none in model.name; expected ngrams")
    corpus = load_corpus(first_run_of(recipe), task)
    examples = _all(corpus)
    folds = fold_numbers(examples, task, _FOLDS, recipe.seed)
    notes = [*corpus.notes]
    if by == "encoder":
        logits = frozen_answers(recipe, corpus, examples, folds, Accelerator(), notes)
        answers = Answers(examples, logits)
        about = f"logistic regression on what {recipe.model.name} makes of the texts"
    else:
        answers = bayes_answers(examples, task, len(corpus.classes), folds)
        about = "naive Bayes on n-grams"
    about += f", in {_FOLDS} folds, each row by the one that has not seen it"
    return Answered(answers, task, corpus.classes.names, about, folder, recipe.seed, tuple(notes))


def _task(recipe: Recipe) -> Task:
    task = task_of(recipe)
    if not task.has_classes:
        raise UserError(f"task: found {task.name}, whose labels are numbers; suspects are found among classes only")
    return task


def _all(corpus: Corpus) -> Examples:
    """Training and validation examples. Labels of test rows that a model helps to choose would flatter models."""
    parts = corpus.train, corpus.validation
    labels = np.concatenate([part.labels for part in parts])
    rows = tuple(row for part in parts for row in part.rows)
    return Examples(Texts.joined([part.texts for part in parts]), labels, rows)
