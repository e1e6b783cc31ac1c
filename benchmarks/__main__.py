"""Measure accel_cls against transformers' Trainer on this machine.

    python -m benchmarks                        # every case that this machine can run; hours
    python -m benchmarks bert-16 e5 --rounds 5  # some of them
    python -m benchmarks tiny --quick           # does a case work? Its figures mean nothing
    python -m benchmarks 'gpu-*' --rounds 3 --seconds 600 --out gpu.json    # what ten minutes suffice for

From the project's root, with ACCEL_CLS_REAL_DATA naming the folder with the real data. Writes all raw figures to
benchmarks/results/, or to the file of --out. A run of all cases also puts their tables and plot into docs/speed.md;
figures of several runs go there by `python -m benchmarks --publish A.json B.json`.

Ends with 0 where nothing failed, though cases may have been skipped; with 1 where a case or a contestant failed; with
2 where the command line is wrong or the data are not there, and nothing was measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, page
from benchmarks.budget import Budget
from benchmarks.cases import CASES, Case, named, obstacle
from benchmarks.data import NoRealData, real_folder
from benchmarks.processes import Failed, OutOfTime
from benchmarks.workshop import Workshop


def command_line() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"cases, or patterns of them: {', '.join(CASES)}; left out, all"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant runs (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of little data, nothing published")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help="end within so many seconds: the shortest cases first, and only those expected to end in time",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the JSON file, written over (default: a new one in benchmarks/results)",
    )
    parser.add_argument(
        "--publish",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="measure nothing; put earlier runs' figures into the docs",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status."""
    parser = command_line()
    options = parser.parse_args(arguments)
    if options.publish:
        page.publish([page.read(path) for path in options.publish])
        return 0
    try:
        names = named(options.names or list(CASES))
    except ValueError as error:
        parser.error(str(error))
    if options.rounds < 1 or (options.seconds is not None and options.seconds <= 0):
        parser.error("--rounds: expected 1 or more" if options.rounds < 1 else "--seconds: expected more than 0")
    if options.out and not options.out.resolve().parent.is_dir():
        parser.error(f"--out {options.out}: there is no folder {options.out.parent}")
    budget = None if options.seconds is None else Budget(options.seconds)
    try:
        real_folder()
    except NoRealData as error:
        print(error, file=sys.stderr)
        return 2
    on = machine.describe()
    path = options.out or page.new_file(on, options.quick)
    record = measure(names, 1 if options.quick else options.rounds, options.quick, on, path, budget)
    print(page.tables([record]))
    print(f"all figures: {path}")
    if not options.quick and not options.names and budget is None:
        page.publish([record])
    return 1 if record["failed"] or any(case.get("failed") for case in record["cases"]) else 0


def measure(
    names: Sequence[str], rounds: int, quick: bool, on: dict[str, Any], path: Path, budget: Budget | None = None
) -> dict[str, Any]:
    """Run cases, and write the figures after each; one that fails or can't run here does not stop the others.

    Args:
        names: of CASES.
        rounds: how often each contestant runs.
        quick: little data.
        on: the machine, as `machine.describe` has it.
        path: the JSON file.
        budget: the time there is, for the shortest cases first; None: as long as it takes, in the order of the names.
    """
    cases: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="accel_cls_benchmarks_", ignore_cleanup_errors=True) as place:
        shop = Workshop(Path(place), rounds, quick, lambda line: print(line, flush=True), machine.has_fast_bf16(on))
        shop.deadline = budget.deadline if budget else None
        limit = budget.seconds if budget else None
        record = {"machine": on, "rounds": rounds, "quick": quick, "seconds": limit, "peaks": shop.peaks}
        record |= {"cases": cases, "skipped": skipped, "failed": failed}
        obstacles = {name: obstacle(CASES[name], on["gpu"]) for name in names}
        expected = {name: 0.0 if obstacles[name] else _expected_seconds(CASES[name], rounds, quick) for name in names}
        for name in sorted(names, key=lambda name: expected[name]) if budget else names:
            try:
                if why := obstacles[name] or (budget and budget.refusal(expected[name])):
                    raise _Skipped(why)
                cases.append(_measure_one(CASES[name], expected[name], shop, budget))
            except (_Skipped, OutOfTime) as error:
                skipped[name] = str(error)
                shop.say(f"{name} skipped: {error}")
            except (Failed, ValueError) as error:
                failed[name] = str(error)
                shop.say(f"{name} failed: {error}")
            page.save(record, path)
    return record


class _Skipped(Exception):
    """Why a case is not begun."""


def _expected_seconds(case: Case, rounds: int, quick: bool) -> float:
    try:
        return case.expected_seconds(rounds, quick)
    except ValueError:  # too few texts: that is told when the case begins, at once
        return 0.0


def _measure_one(case: Case, expected: float, shop: Workshop, budget: Budget | None) -> dict[str, Any]:
    """A case's figures, with how long it was expected to take, and took."""
    began = time.monotonic()
    found = case.measure(shop.for_device(case.device))
    took = time.monotonic() - began
    whole = min(map(len, found["rounds"].values()))
    is_whole = whole == shop.rounds
    if budget and is_whole:
        budget.learn(expected, took)
    cut_short = None if is_whole else f"there was time for {whole} of {shop.rounds} rounds"
    return {**found, "expected_seconds": expected, "took_seconds": took, "cut_short": cut_short}


if __name__ == "__main__":
    sys.exit(main())
