"""The runs of a recipe with `repeat` for people: report.md, and what is said at the end."""

from __future__ import annotations

import os
import time
from typing import Any

from accel_cls.console import Console, duration
from accel_cls.repeating.results import RepeatedRun
from accel_cls.reporting.markdown import describe_score, table
from accel_cls.reporting.verdict import measure_of
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.results import read_repeats, read_results

_PARTS = ("validation", "test")


def sentences(results: dict[str, Any]) -> list[str]:
    """What the numbers of results.json say, a sentence each."""
    said = []
    for part in _PARTS:
        if results[part] is not None:
            said += _spread_in_words(results, part)
    if results["validation"] and "folds" in results["repeat"]:
        said.append(
            "folds share most of their training examples, so that the mean's interval is rather too narrow (Bengio "
            "and Grandvalet 2004); those of all rows together know of the rows alone"
        )
    wrong = [(one["run"], one["diverged"] or "; ".join(one["flaws"])) for one in results["runs"]]
    said += [f"{run} has gone wrong: {why}" for run, why in wrong if why]
    if any(why for _, why in wrong):
        said.append("the mean is over all runs that have scores, these included")
    return said


def _spread_in_words(results: dict[str, Any], part: str) -> list[str]:
    found, count = results[part], len([one for one in results["runs"] if one["scores"]])
    measure, spread, rows = measure_of(found), found["spread"], found["rows"]
    runs, of_rows = (measure.apart(spread[of], sign="") for of in ("runs", "rows"))
    kind = next(iter(results["repeat"]))
    differ = f"{part} {measure.words}: {kind} differ by ±{runs}{measure.unit}"
    if "seeds_alone" not in spread:
        return [f"{differ}, of which their rows alone, about {rows:,} each, make ±{of_rows} (standard deviations)"]
    whose = {"seeds": "seed", "folds": "training part"}[kind]
    return [
        f"{differ}, another sample of {rows:,} rows by ±{of_rows} (standard deviations, {count} runs on the same "
        f"rows). Of what a new {whose} on new rows would vary, the {whose} makes {spread['share_of_seeds']:.0%}"
    ]


def mean_in_words(results: dict[str, Any], part: str) -> str:
    """The mean of the score that decides, with its interval."""
    key, found = results["decided_by"], results[part]
    one = found["scores"][key]
    count = len([run for run in results["runs"] if run["scores"]])
    interval = f"95% interval of the mean {number(one['low'])} to {number(one['high'])}"
    return (
        f"{key} {number(one['mean'])} ± {number(one['sd'])} (mean and standard deviation of {count} runs; {interval})"
    )


def report(results: dict[str, Any]) -> str:
    """The summary as Markdown."""
    kind, count = next(iter(results["repeat"].items()))
    text = f"# {results['name']}: {count} {kind}\n\n"
    text += (
        f"Trained {len(results['runs'])} times, in {duration(results['seconds'])} together. Each run is complete in "
    )
    text += "a folder of its own beside this file; none is chosen.\n\n"
    text += "".join(f"- {sentence}\n" for sentence in results["sentences"])
    for part in _PARTS:
        if results[part] is not None:
            text += f"\n## {part.capitalize()} rows\n\n"
            header = ["", "mean", "standard deviation", "95% interval of the mean"]
            rows = [
                [name, *map(number, (one["mean"], one["sd"])), f"{number(one['low'])} to {number(one['high'])}"]
                for name, one in results[part]["scores"].items()
            ]
            text += table(header, rows)
    if pooled := results.get("pooled"):
        text += "\n## All rows, each answered by the model that has not seen it\n\n"
        text += f"{pooled['rows']:,} rows, in `predictions.csv`.\n\n"
        rows = [[name, describe_score(name, pooled)] for name in pooled["scores"]]
        text += table(["", "score (95% interval over rows)"], rows)
    header, rows = _run_table(results)
    return text + "\n## Runs\n\n" + table(header, rows)


def number(score: float | None) -> str:
    """A score with four digits; None is what JSON has for one that is no finite number."""
    return "nan" if score is None else f"{score:.4f}"


def _run_table(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """A line for each run: all scores, the deciding one on the test rows, what has gone wrong."""
    key, metrics = results["decided_by"], [*results["validation"]["scores"]]
    tested = results["test"] is not None
    header = ["run", *metrics, *([f"test {key}"] if tested else []), "best at epoch", ""]
    rows = []
    for one in results["runs"]:
        if one["scores"] is None:
            rows.append([one["run"], *[""] * (len(header) - 2), f"diverged: {one['diverged']}"])
            continue
        scores = [number(one["scores"][name]) for name in metrics]
        test = [number(one["test"][key])] if tested else []
        rows.append([one["run"], *scores, *test, f"{one['epoch']:.2f}", "; ".join(one["flaws"])])
    return header, rows


def run_line(run: RepeatedRun) -> str:
    """What is said when one run is over."""
    if run.diverged is not None:
        return f"  {run.name}: diverged, {run.diverged}"
    results = read_results(run.folder)
    key = results["decided_by"]
    test = f", on the test rows {number(results['test']['scores'][key])}" if results["test"] else ""
    return f"  {run.name}: {key} {number(results['scores'][key])}{test}, {duration(results['seconds'])}"


def show_repeats(folder: RunFolder, console: Console, began: float | None) -> None:
    """Tell what they have come to; without `began`, in monotonic seconds, they were finished before."""
    results = read_repeats(folder)
    assert results is not None
    where = min(os.path.relpath(folder.path), str(folder.path), key=len)
    lines = [("validation", mean_in_words(results, "validation"))]
    if results["test"] is not None:
        lines.append(("test", mean_in_words(results, "test")))
    if pooled := results.get("pooled"):
        key = results["decided_by"]
        of = f"{pooled['rows']:,} rows, each answered by the model that has not seen it"
        lines.append(("all rows", f"{key} {describe_score(key, pooled)} of {of}"))
        lines.append(("answers", os.path.join(where, folder.predictions().name)))
    lines += [("", sentence) for sentence in results["sentences"]]
    lines.append(("report", os.path.join(where, folder.page.name)))
    lines.append(("models", os.path.join(where, results["runs"][0]["run"], "model") + " and so on; none is chosen"))
    if began is not None:
        lines.append(("in all", duration(time.monotonic() - began)))
    state = "finished" if began is not None else "these runs are already finished; --fresh trains them again"
    header, rows = _run_table(results)
    console.section(state, [])
    console.table(header, rows)
    console.section("together", lines)
