"""What a finished run says of itself: results.json for programs, report.md for people."""

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
from accel_cls.memory.forecast import format_bytes
from accel_cls.recipe import Recipe
from accel_cls.runs.changes import origin_of
from accel_cls.runs.folder import RunFolder
from accel_cls.tasks import Table, Task


def finish_run(
    folder: RunFolder,
    recipe: Recipe,
    plan: Plan,
    progress: Progress,
    task: Task,
    corpus: Corpus,
    hardware: str,
    device_peak_bytes: int | None,
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

    Raises:
        UserError: where no evaluation gave a score by which a model could be kept.
    """
    evaluations = folder.evaluations()
    if progress.best_score is None:
        raise UserError(
            f"no evaluation gave a finite {recipe.evaluate.best}, so that no model was kept. metrics.jsonl has the "
            "scores; try a smaller train.learning_rate, or another evaluate.best (with --fresh)"
        )
    best = next(record for record in evaluations if record["update"] == progress.best_update)
    names = corpus.classes.names
    true, predicted = _read_predictions(folder, task, names)
    results = {
        "name": recipe.name,
        "decided_by": recipe.evaluate.best,
        "scores": best["evaluation"],
        "rows": _rows(corpus),
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
        "device_peak_bytes": device_peak_bytes,
        **task.class_results(true, predicted, names),
        "evaluations": evaluations,
    }
    starts = origin_of(folder)["starts"]
    tables = task.report_tables(true, predicted, names)
    write_text(folder.report, _report(recipe, results, evaluations, tables, starts))
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


def describe_dropped(results: dict[str, Any]) -> list[str]:
    """Which rows a finished run has not looked at, and why, from its results.json: a sentence for each reason."""
    rows = results.get("rows", {"dropped": []})  # not there in runs of older versions
    sentences = []
    for one in rows["dropped"]:
        where = "scored" if one["from"] == "data.validation" else "trained on"
        sentences.append(f"{one['rows']:,} of {one['from']} are not {where}: {one['reason']}")
    return sentences


def describe_memory(results: dict[str, Any]) -> str | None:
    """How much of a GPU's memory a finished run took, from its results.json; None where that does not tell."""
    peak = results.get("device_peak_bytes")  # not there in runs of older versions
    return None if peak is None else f"{format_bytes(peak)} of the device's at most"


def read_results(folder: RunFolder) -> dict[str, Any]:
    """results.json of a finished run."""
    return json.loads(folder.results.read_text(encoding="utf-8"))


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (hours + minutes > 0) + [f"{rest} s"]
    return " ".join(parts)


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


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split("\n")) for cell in cells) + " |"

    lines = [line(header), "|" + " --- |" * len(header), *map(line, rows)]
    return "\n".join(lines) + "\n"


def _report(
    recipe: Recipe,
    results: dict[str, Any],
    evaluations: list[dict[str, Any]],
    tables: Sequence[Table],
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
    if memory := describe_memory(results):
        text += f"Memory: {memory}.\n\n"
    scored = results["rows"]["validation"]
    unscored = sum(one["rows"] for one in results["rows"]["dropped"] if one["from"] == "data.validation")
    rows = f"{scored:,} of {scored + unscored:,}" if unscored else f"{scored:,}"
    text += _table([*metrics, "rows"], [[*(f"{results['scores'][name]:.4f}" for name in metrics), rows]])
    if dropped := describe_dropped(results):
        text += "\nRows that were left out: " + "; ".join(dropped) + ".\n"
    for table in tables:
        text += f"\n## {table.title}\n\n" + (f"{table.text}\n\n" if table.text else "")
        text += _table(table.header, table.rows)
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
