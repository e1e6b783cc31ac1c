"""What `accel-cls resume --prove` does with its options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accel_cls.console import Console
from accel_cls.errors import UserError
from accel_cls.parity.comparison_runs import folder_of_runs, print_to_stderr
from accel_cls.parity.options import parse_numbers
from accel_cls.proving.proof import Proof, ProofOptions, ProofRun
from accel_cls.proving.report import heading, show
from accel_cls.recipe import Recipe

_DEFAULT = ProofOptions()


def prove(
    path: str,
    recipe: Recipe,
    overrides: Sequence[str],
    options: ProofOptions,
    keep: Path | None,
    console: Console | None,
) -> list[ProofRun]:
    """Train and compare; show it on a console, or without one nothing but progress, on standard error.

    Raises:
        UserError: for a mistake in the options, and where a training fails.
    """
    with folder_of_runs(keep, "prove-") as folder:
        proof = Proof(path, recipe, overrides, options, folder, print_to_stderr if console is None else console.print)
        if console is not None:
            console.section(f"accel-cls resume --prove · {path}", heading(proof))
        runs = proof.run()
    if console is not None:
        show(runs, options.kills, console)
    return runs


def parse_options(
    is_proof: bool, processes: str, kills: int | None, updates: int | None, seed: int | None, keep: Path | None
) -> ProofOptions:
    """Parse the command line's options.

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
    numbers = parse_numbers("--processes", processes)
    return ProofOptions(
        processes=numbers,
        kills=_DEFAULT.kills if kills is None else kills,
        updates=_DEFAULT.updates if updates is None else updates,
        seed=_DEFAULT.seed if seed is None else seed,
    )
