"""A finished run's results.json."""

from __future__ import annotations

import json
from typing import Any

from accel_cls.errors import UserError
from accel_cls.runs.folder import RunFolder


def read_results(folder: RunFolder) -> dict[str, Any]:
    """What a finished run has come to.

    Raises:
        UserError: where the folder holds no finished run.
    """
    if not folder.is_finished:
        what = "a run that is not finished" if folder.is_run else "no run"
        raise UserError(f"{folder.path}: found {what}; expected the folder of a finished one, such as runs/food")
    try:
        return json.loads(folder.results.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{folder.results} is damaged ({error}); train the run again with --fresh") from error
