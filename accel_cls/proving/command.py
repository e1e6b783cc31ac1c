"""What `accel-cls resume --prove` does with its options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accel_cls.console import Console
from accel_cls.errors import UserError
from accel_cls.parity.training import numbers_of, place_for, to_stderr
from accel_cls.proving.proof import Asked, Proof, Proven
from accel_cls.proving.report import heading, show
from accel_cls.recipe import Recipe

_DEFAULTS = Asked()


def prove(
    path: str, recipe: Recipe, overrides: Sequence[str], asked: Asked, keep: Path | None, console: Console | None
) -> list[Proven]:
    """Train and compare; show it on a console, or without one nothing but progress, on standard error.

    Raises:
        UserError: for a mistake in what is asked for, and where a training fails.
    """
    with place_for(keep, "prove-") as folder:
        proof = Proof(path, recipe, overrides, asked, folder, to_stderr if console is None else console.print)
        if console is not None:
            console.section(f"accel-cls resume --prove · {path}", heading(proof))
        proven = proof.run()
    if console is not None:
        show(proven, asked.kills, console)
    return proven


def asked_of(
    is_proof: bool, processes: str, kills: int | None, updates: int | None, seed: int | None, keep: Path | None
) -> Asked:
    """What the options ask for.

    Raises:
        UserError: for an option that is no such list, or that says nothing without --prove.
    """
    if not is_proof:
        given = {"--processes": processes, "--kills": kills, "--updates": updates, "--seed": seed, "--keep": keep}
        for option, value in given.items():
            if value not in (None, ""):
                raise UserError(
                    f"{option}: found {value} without --prove; expected it with --prove only, since else "
                    "nothing is trained. Add --prove, or leave it out"
                )
    numbers = numbers_of("--processes", processes)
    return Asked(
        processes=numbers,
        kills=_DEFAULTS.kills if kills is None else kills,
        updates=_DEFAULTS.updates if updates is None else updates,
        seed=_DEFAULTS.seed if seed is None else seed,
    )
