"""What a finished run says of itself: results.json for programs, report.md for people."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accel_cls.atomic import write_json, write_text
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress, checkpoint_path
from accel_cls.checkpoints.saving import Saver
from accel_cls.recipe import Recipe
from accel_cls.runs.changes import origin_of
from accel_cls.runs.folder import RunFolder


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told from the others."""

    name: str
    examples: int
    precision: float
    recall: float
    f1: float


def finish_run(
    folder: RunFolder, recipe: Recipe, plan: Plan, progress: Progress, names: Sequence[str], hardware: str
) -> dict[str, Any]:
    """Write report.md and then results.json, whose presence says that the run is finished; returns the latter."""
    evaluations = _evaluations(folder)
    best = next(record for record in evaluations if record["update"] == progress.best_update)
    results = {
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
        "hardware": hardware,
    }
    starts = origin_of(folder)["starts"]
    write_text(folder.report, _report(recipe, results, evaluations, _confusion(folder, names), names, starts))
    write_json(folder.results, results)
    return results


def describe_stop(folder: RunFolder, plan: Plan, progress: Progress, saver: Saver) -> list[tuple[str, str]]:
    """What a run that was told to stop leaves, as named lines."""
    lines = [("after", f"update {progress.update:,} of {plan.updates:,}")]
    if progress.update:
        where = checkpoint_path(Path(os.path.relpath(folder.checkpoints)), saver.update)
        lines.append(("saved", f"{where}, in {saver.seconds_of_last:.1f} s"))
    return [*lines, ("to go on", "run the same command again")]


def describe_saves(results: dict[str, Any]) -> str:
    """How many checkpoints a finished run saved, and what that cost, from its results.json."""
    saves, seconds, stall = results["checkpoints"], results["save_seconds"], results["stall_seconds"]
    return f"{saves:,} saved in {seconds:,.1f} s, for {stall:,.1f} s of which training stood still"


def read_results(folder: RunFolder) -> dict[str, Any]:
    """results.json of a finished run."""
    return json.loads(folder.results.read_text(encoding="utf-8"))


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (hours + minutes > 0) + [f"{rest} s"]
    return " ".join(parts)


def class_scores(counts: np.ndarray, names: Sequence[str]) -> list[ClassScore]:
    """Scores of each class from confusion counts, int [classes, classes]: row true, column predicted."""
    hits, true, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
    recall = hits / np.maximum(true, 1)
    precision = hits / np.maximum(predicted, 1)
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    return [
        ClassScore(name, int(true[i]), float(precision[i]), float(recall[i]), float(f1[i]))
        for i, name in enumerate(names)
    ]


def _evaluations(folder: RunFolder) -> list[dict[str, Any]]:
    lines = folder.metrics.read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if "evaluation" in record]


def _confusion(folder: RunFolder, names: Sequence[str]) -> np.ndarray:
    """Confusion counts of the validation predictions, int64 [classes, classes]."""
    ids = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    csv.field_size_limit(1 << 30)
    with open(folder.predictions, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            counts[ids[row["label"]], ids[row["predicted"]]] += 1
    return counts


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split("\n")) for cell in cells) + " |"

    lines = [line(header), "|" + " --- |" * len(header), *map(line, rows)]
    return "\n".join(lines) + "\n"


def _report(
    recipe: Recipe,
    results: dict[str, Any],
    evaluations: list[dict[str, Any]],
    counts: np.ndarray,
    names: Sequence[str],
    starts: list[dict[str, Any]],
) -> str:
    metrics = list(results["scores"])
    model = recipe.model.name or "a BERT built from the recipe"
    text = f"# {recipe.name}\n\n"
    text += f"{model}, trained on {results['hardware']} in {duration(results['seconds'])}. "
    text += f"Best by {results['decided_by']} after update {results['update']} (epoch {results['epoch']:.2f}) "
    text += f"of {results['updates']}; that model is in `model/`.\n\n"
    if results["skipped"]:
        text += f"Updates skipped, since their loss or gradient was no finite number: {results['skipped']}; "
        text += "`metrics.jsonl` names their rows.\n\n"
    if results["scaler_skips"]:
        text += f"Updates that fp16's scaler skipped, to find its scale: {results['scaler_skips']}.\n\n"
    text += f"Checkpoints: {describe_saves(results)}.\n\n"
    text += _table(metrics, [[f"{results['scores'][name]:.4f}" for name in metrics]])
    text += "\n## Classes\n\n"
    text += _table(
        ["class", "examples", "precision", "recall", "f1"],
        [
            [score.name, score.examples, f"{score.precision:.4f}", f"{score.recall:.4f}", f"{score.f1:.4f}"]
            for score in class_scores(counts, names)
        ],
    )
    if len(names) <= 20:
        text += "\n## Confusion\n\nRows are the true classes, columns what was predicted.\n\n"
        text += _table(["", *names], [[name, *counts[i]] for i, name in enumerate(names)])
    text += "\n## Evaluations\n\n"
    text += _table(
        ["epoch", "update", *metrics],
        [
            [
                f"{record['epoch']:.2f}",
                record["update"],
                *(f"{record['evaluation'][name]:.4f}" for name in metrics),
            ]
            for record in evaluations
        ],
    )
    if len(starts) > 1:
        text += "\n## Starts\n\nThis run was interrupted, and went on from its checkpoints.\n\n"
        text += _table(
            ["time", "from update", "hardware", "changed"],
            [[one["time"], one["update"], one["hardware"], "; ".join(one["changes"]) or "–"] for one in starts],
        )
    return text
