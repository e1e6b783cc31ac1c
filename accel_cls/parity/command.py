"""What `accel-cls parity` does with its options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accel_cls.console import Console
from accel_cls.parity.comparison_runs import folder_of_runs, print_to_stderr
from accel_cls.parity.options import ParityOptions
from accel_cls.parity.report import heading, show
from accel_cls.parity.run import Parity
from accel_cls.parity.verdict import Verdict
from accel_cls.recipe import Recipe


def compare_trainings(
    path: str,
    recipe: Recipe,
    overrides: Sequence[str],
    options: ParityOptions,
    keep: Path | None,
    console: Console | None,
) -> list[Verdict]:
    """Train and compare; show it on a console, or without one nothing but progress, on standard error.

    Raises:
        UserError: for a mistake in the options, and where a training fails.
    """
    with folder_of_runs(keep, "parity-") as folder:
        parity = Parity(
            path, recipe, overrides, options, folder, print_to_stderr if console is None else console.print
        )
        if console is not None:
            console.section(f"accel-cls parity · {path}", heading(parity))
        verdicts = list(parity.verdicts())
    if console is not None:
        show(verdicts, console)
    return verdicts
