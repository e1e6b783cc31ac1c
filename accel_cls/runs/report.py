"""What a finished run says of itself to people: report.md, and the lines at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accel_cls.console import duration
from accel_cls.memory.forecast import format_bytes
from accel_cls.recipe import Recipe
from accel_cls.tasks import Table


def report(
    recipe: Recipe,
    results: dict[str, Any],
    tables: Sequence[Table],
    starts: list[dict[str, Any]],
) -> str:
    """A finished run for people, as Markdown.

    Args:
        recipe: the run's.
        results: its results.json.
        tables: its task's sections.
        starts: its starts, from origin.json.
    """
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
    text += _beside_baselines(results)
    if results["advice"]:
        text += "\n## Worth a look\n\n" + "".join(f"- {sentence}\n" for sentence in results["advice"])
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
            for record in results["evaluations"]
        ],
    )
    if len(starts) > 1:
        text += "\n## Starts\n\nThis run was interrupted, and went on from its checkpoints.\n\n"
        text += _table(
            ["time", "from update", "hardware", "changed"],
            [[one["time"], one["update"], one["hardware"], "; ".join(one["changes"]) or "–"] for one in starts],
        )
    return text


def _beside_baselines(results: dict[str, Any]) -> str:
    """The section on what something simple makes of the same rows."""
    metrics = [name for name in results["scores"] if name != "loss"]
    rows = []
    for one in results["baselines"]:
        points, low, high = (100 * value for value in (one["difference"], *one["interval"]))
        scores = (f"{one['scores'][name]:.4f}" for name in metrics)
        apart = f"{points:+.1f} points ({low:+.1f} to {high:+.1f})"
        rows.append([f"{one['name']}: {one['about']}", *scores, apart, f"{one['p']:.3g}"])
    text = f"\n## Beside something simple\n\nThis model: {results['verdict']}.\n\n"
    return text + _table(["", *metrics, "this model's accuracy (95% interval)", "p (McNemar)"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split("\n")) for cell in cells) + " |"

    lines = [line(header), "|" + " --- |" * len(header), *map(line, rows)]
    return "\n".join(lines) + "\n"


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
