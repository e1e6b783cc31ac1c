"""A finished run's results.json."""

from __future__ import annotations

import json
import os
from typing import Any

from accel_cls.errors import UserError
from accel_cls.runs.folder import RunFolder

LANGUAGE_MODEL = "masked_language"  # the `task` of a pre-training


def read_results(folder: RunFolder) -> dict[str, Any]:
    """What a finished run has come to.

    Raises:
        UserError: where the folder holds no finished run, or several of one recipe.
    """
    results = _read(folder)
    if "runs" in results:
        raise UserError(one_run_expected(folder))
    if results.get("task") == LANGUAGE_MODEL:
        raise UserError(
            f"{folder.path}: found a pre-training, which classifies nothing; expected a classifier's run, such as one "
            f"that has {folder.model} as its model.name"
        )
    if "trials" in results:
        best = os.path.join(str(folder.path), results["best"])
        raise UserError(f"{folder.path}: found the trials of a search; expected one run, such as their best, {best}")
    return results


def read_pretraining(folder: RunFolder) -> dict[str, Any]:
    """What a finished pre-training has come to. Raises UserError where the folder holds none."""
    return _read(folder)


def read_repeats(folder: RunFolder) -> dict[str, Any] | None:
    """What the finished runs of a recipe with `repeat` have come to together; None where the folder is no such one.

    Raises:
        UserError: where it holds nothing that is finished.
    """
    results = _read(folder)
    return results if "runs" in results else None


def read_search(folder: RunFolder) -> dict[str, Any] | None:
    """What a finished search has come to; None where the folder holds none.

    Raises:
        UserError: where it holds nothing that is finished.
    """
    results = _read(folder)
    return results if "trials" in results else None


def one_run_expected(folder: RunFolder) -> str:
    """The message where one run was expected, and the folder of several was named."""
    runs = [os.path.join(str(folder.path), run.path.name) for run in folder.repetitions]
    return (
        f"{folder.path}: found {len(runs)} runs of one recipe (repeat), of which none is chosen; expected one of "
        f"them, such as {runs[0]}{_best_of(folder)}"
    )


def _best_of(folder: RunFolder) -> str:
    """Which of several finished runs has the best validation score, for a message."""
    if not folder.is_finished:
        return ""
    best, key = (found := _read(folder)).get("best"), found.get("decided_by")
    return "" if best is None else f"; by {key} on its validation rows {best} is the best, which may be chance"


def _read(folder: RunFolder) -> dict[str, Any]:
    if not folder.is_finished:
        what = "a run that is not finished" if folder.is_run else "no run"
        raise UserError(f"{folder.path}: found {what}; expected the folder of a finished one, such as runs/food")
    try:
        return json.loads(folder.results.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{folder.results} is damaged ({error}); train the run again with --fresh") from error
