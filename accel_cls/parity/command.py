"""What `accel-cls parity` does with its options."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from accel_cls.console import Console
from accel_cls.errors import UserError
from accel_cls.parity.cases import PRECISIONS, Wanted
from accel_cls.parity.report import heading, show
from accel_cls.parity.run import Parity
from accel_cls.parity.verdict import Verdict
from accel_cls.recipe import Recipe


def compare_trainings(
    path: str, recipe: Recipe, overrides: Sequence[str], wanted: Wanted, keep: Path | None, console: Console | None
) -> list[Verdict]:
    """Train and compare; show it on a console, or without one nothing but progress, on standard error.

    Raises:
        UserError: for a mistake in what is asked for, and where a training fails.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UserError(f"--keep: {keep} is there already; name a new folder, or an empty one")
    with nullcontext(keep) if keep is not None else tempfile.TemporaryDirectory(prefix="parity-") as place:
        folder = Path(place).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        parity = Parity(path, recipe, overrides, wanted, folder, _to_stderr if console is None else console.print)
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
    names = _names("--precision", precision)
    for name in names:
        if name not in PRECISIONS:
            raise UserError(f"--precision: found {name!r}; expected a list of {', '.join(PRECISIONS)}")
    if resume and updates < 2:
        raise UserError("--resume: found --updates 1; expected 2 or more, to stop half-way")
    alone = not (hardware or len(names) > 1 or micro_batches or resume)
    return Wanted(
        processes=_numbers("--processes", processes or ("1,2" if alone else "1")),
        hardware=_names("--hardware", hardware),
        precisions=names,
        micro_batches=_numbers("--micro-batches", micro_batches),
        resume=resume,
        updates=updates,
    )


def _names(option: str, text: str) -> list[str]:
    """The parts of a list; each once, since a training that is compared with itself proves nothing."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    twice = [part for part in parts if parts.count(part) > 1]
    if twice:
        raise UserError(f"{option}: {twice[0]} stands twice in {text!r}; expected each once")
    return parts


def _numbers(option: str, text: str) -> list[int]:
    parts = _names(option, text)
    if not all(part.isdecimal() and int(part) for part in parts):
        raise UserError(f"{option}: found {text!r}; expected whole numbers, 1 or more, such as 1,2")
    return [int(part) for part in parts]


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
