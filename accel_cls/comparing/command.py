"""`accel-cls compare`: from folders to a comparison, shown, written, or as JSON."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accel_cls.atomic import check_writable
from accel_cls.comparing.changes import changes_as_json
from accel_cls.comparing.compare import Compared, Comparison, compare
from accel_cls.comparing.finished import AnsweredRun, read_run
from accel_cls.data.examples import Part
from accel_cls.errors import UserError
from accel_cls.evaluation.statistics.paired import PairedDifference


def compare_folders(folders: Sequence[str], part: Part) -> Comparison:
    """Compare the runs in some folders with that in the first one.

    Raises:
        UserError: for fewer than two folders, one that is named twice, one without a finished run, and runs that can't
            be compared.
    """
    places = [os.path.realpath(folder) for folder in folders]
    twice = next((folder for at, folder in enumerate(folders) if places[at] in places[:at]), None)
    if twice is not None:
        raise UserError(f"found {twice} twice; expected the folders of different runs")
    if len(folders) < 2:
        raise UserError("found one run; expected two or more to compare, such as: accel-cls compare runs/a runs/b")
    return compare([read_run(folder, part) for folder in folders], part)


def check_csv(path: Path) -> None:
    """Raise UserError where the changed rows can't be written to a file."""
    if path.suffix.lower() != ".csv":
        raise UserError(f"--out: found {path}; expected a csv file, such as changed.csv")
    check_writable(path)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """All of it for programs."""
    runs = zip(comparison.runs, comparison.scores, comparison.intervals, strict=True)
    return {
        "part": comparison.part,
        "rows": len(comparison.judged),
        "texts": int(comparison.groups.max()) + 1,
        "task": comparison.first.task.name,
        "metrics": list(comparison.metrics),
        "runs": [_run_as_json(run, scores, ends) for run, scores, ends in runs],
        "compared_with_first": [_compared_as_json(comparison, one) for one in comparison.others],
        "recipe": comparison.recipe_differences(),
    }


def _run_as_json(run: AnsweredRun, scores: dict[str, float], intervals: dict[str, Any]) -> dict[str, Any]:
    results = run.results
    return {
        "run": run.label,
        "scores": scores,
        "intervals": {name: None if ends is None else [*ends] for name, ends in intervals.items()},
        **{key: results[key] for key in ("decided_by", "epoch", "update", "updates", "seconds", "hardware")},
        "evaluations": results["evaluations"],
    }


def _compared_as_json(comparison: Comparison, one: Compared) -> dict[str, Any]:
    return {
        "run": one.run.label,
        "differences": {
            name: None if found is None else _difference_as_json(found, one.adjusted[name], one.verdict(name))
            for name, found in one.differences.items()
        },
        "resolution": {"metric": one.run.task.row_metric, **vars(one.resolution)},
        "changes": changes_as_json(comparison, one),
    }


def _difference_as_json(found: PairedDifference, adjusted: float, verdict: str) -> dict[str, Any]:
    interval = [found.low, found.high]
    return {"difference": found.difference, "interval": interval, "p": found.p, "p_holm": adjusted, "verdict": verdict}
