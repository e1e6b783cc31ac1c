"""What a finished run leaves for programs, results.json, and what is said of it on the screen."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accel_cls.atomic import from_cell, write_json, write_text
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress, checkpoint_path
from accel_cls.checkpoints.saving import Saver
from accel_cls.data.corpus import Corpus
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.runs.changes import origin_of
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.report import report
from accel_cls.runs.verdict import advice, compare_with_baselines, verdict
from accel_cls.tasks import Task


def finish_run(
    folder: RunFolder,
    recipe: Recipe,
    plan: Plan,
    progress: Progress,
    task: Task,
    corpus: Corpus,
    hardware: str,
    device_peak_bytes: int | None,
    notes: list[str],
) -> dict[str, Any]:
    """Write report.md and then results.json, whose presence says that the run is finished; returns the latter.

    Args:
        folder: the run's.
        recipe: the run's.
        plan: the training's.
        progress: its counters, at the end.
        task: what was learned.
        corpus: what it was learned from.
        hardware: what it ran on, as people call it.
        device_peak_bytes: the most memory in use on a GPU, of all processes the largest; None where nobody tells.
        notes: takes what the user should know besides.

    Raises:
        UserError: where no evaluation gave a score by which a model could be kept.
    """
    if progress.best_score is None:
        raise UserError(
            f"no evaluation gave a finite {recipe.evaluate.best}, so that no model was kept. metrics.jsonl has the "
            "scores; try a smaller train.learning_rate, or another evaluate.best (with --fresh)"
        )
    true, predicted = _read_predictions(folder, task, corpus.classes.names)
    results = _course_of(folder, recipe, plan, progress) | {
        "hardware": hardware,
        "device_peak_bytes": device_peak_bytes,
        "rows": _rows(corpus),
        **task.class_results(true, predicted, corpus.classes.names),
        "baselines": compare_with_baselines(corpus, task, recipe.evaluate.metrics, predicted, notes),
    }
    results |= {"verdict": verdict(results), "advice": advice(recipe, results)}
    tables = task.report_tables(true, predicted, corpus.classes.names)
    write_text(folder.report, report(recipe, results, tables, origin_of(folder)["starts"]))
    write_json(folder.results, results)
    return results


def _course_of(folder: RunFolder, recipe: Recipe, plan: Plan, progress: Progress) -> dict[str, Any]:
    """How the training went, and its best scores."""
    evaluations = folder.evaluations()
    best = next(record for record in evaluations if record["update"] == progress.best_update)
    return {
        "name": recipe.name,
        "decided_by": recipe.evaluate.best,
        "scores": best["evaluation"],
        "update": best["update"],
        "epoch": best["epoch"],
        "updates": progress.update,
        "stopped_early": progress.update < plan.updates,
        "skipped": progress.skipped,
        "scaler_skips": progress.scaler_skips,
        "checkpoints": progress.saves,
        "save_seconds": round(progress.save_seconds, 2),
        "stall_seconds": round(progress.stall_seconds, 2),
        "seconds": round(progress.seconds, 1),
        "evaluations": evaluations,
    }


def _rows(corpus: Corpus) -> dict[str, Any]:
    """How many rows were trained on and scored, and which were left out."""
    dropped = [{"from": one.key, "rows": len(one.rows), "reason": one.reason} for one in corpus.invalid]
    return {"training": len(corpus.train), "validation": len(corpus.validation), "dropped": dropped}


def _read_predictions(folder: RunFolder, task: Task, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The encoded labels of predictions.csv: what is true, and what was predicted."""
    csv.field_size_limit(1 << 30)
    with open(folder.predictions, encoding="utf-8-sig", newline="") as file:
        rows = [(from_cell(row["label"]), from_cell(row["predicted"])) for row in csv.DictReader(file)]
    true, predicted = (task.parse_texts(cells, names) for cells in zip(*rows, strict=True))
    return true, predicted


def read_results(folder: RunFolder) -> dict[str, Any]:
    """results.json of a finished run."""
    return json.loads(folder.results.read_text(encoding="utf-8"))


def describe_stop(folder: RunFolder, plan: Plan, progress: Progress, saver: Saver) -> list[tuple[str, str]]:
    """What a run that was told to stop leaves, as named lines."""
    lines = [("after", f"update {progress.update:,} of {plan.updates:,}")]
    if progress.update:
        where = checkpoint_path(Path(os.path.relpath(folder.checkpoints)), saver.update)
        lines.append(("saved", f"{where}, in {saver.seconds_of_last:.1f} s"))
    return [*lines, ("to go on", "run the same command again")]
