"""What the folder around the runs of a recipe with `repeat` holds in the end."""

from __future__ import annotations

from collections.abc import Sequence

from accel_cls.atomic import write_json
from accel_cls.recipe import Recipe
from accel_cls.repeating.page import write_pages
from accel_cls.repeating.report import sentences
from accel_cls.repeating.results import RepeatedRun, out_of_fold, pooled, require_scores, summary_of
from accel_cls.runs.answers import write_answers
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.tasks import task_of


def finish_repeats(folder: RunFolder, recipe: Recipe, runs: Sequence[RepeatedRun], names: Sequence[str]) -> None:
    """Write the out-of-fold answers, where there are folds, report.md, report.html, and then results.json.

    Args:
        folder: the one around the runs.
        recipe: its own, with `repeat`.
        runs: all of them.
        names: of the classes.

    Raises:
        UserError: where fewer than two runs have scores, or one of the folds has none.
    """
    require_scores(runs)
    task = task_of(recipe)
    results = summary_of(recipe, task, runs, names)
    with disk_errors_explained(folder):
        if runs[0].fold is not None:
            answers = out_of_fold(runs)
            write_answers(folder, "validation", answers, task, names)
            results["pooled"] = pooled(answers, recipe, task)
        results["sentences"] = sentences(results)
        write_pages(folder, results)
        write_json(folder.results, results)
