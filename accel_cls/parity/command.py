"""What `accel-cls parity` does with its options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accel_cls.console import Console
from accel_cls.errors import UserError
from accel_cls.parity.cases import PRECISIONS, Wanted
from accel_cls.parity.report import heading, show
from accel_cls.parity.run import Parity
from accel_cls.parity.training import names_of, numbers_of, place_for, to_stderr
from accel_cls.parity.verdict import Verdict
from accel_cls.recipe import Recipe


def compare_trainings(
    path: str, recipe: Recipe, overrides: Sequence[str], wanted: Wanted, keep: Path | None, console: Console | None
) -> list[Verdict]:
    """Train and compare; show it on a console, or without one nothing but progress, on standard error.

    Raises:
        UserError: for a mistake in what is asked for, and where a training fails.
    """
    with place_for(keep, "parity-") as folder:
        parity = Parity(path, recipe, overrides, wanted, folder, to_stderr if console is None else console.print)
        if console is not None:
            console.section(f"accel-cls parity · {path}", heading(parity))
        verdicts = list(parity.verdicts())
    if console is not None:
        show(verdicts, console)
    return verdicts


def wanted_of(processes: str, hardware: str, precision: str, micro_batches: str, resume: bool, updates: int) -> Wanted:
    """What the options ask for.

    Raises:
        UserError: for an option that is not such a list.
    """
    names = names_of("--precision", precision)
    for name in names:
        if name not in PRECISIONS:
            raise UserError(f"--precision: found {name!r}; expected a list of {', '.join(PRECISIONS)}")
    if resume and updates < 2:
        raise UserError("--resume: found --updates 1; expected 2 or more, to stop half-way")
    alone = not (hardware or len(names) > 1 or micro_batches or resume)
    return Wanted(
        processes=numbers_of("--processes", processes or ("1,2" if alone else "1")),
        hardware=names_of("--hardware", hardware),
        precisions=names,
        micro_batches=numbers_of("--micro-batches", micro_batches),
        resume=resume,
        updates=updates,
    )
