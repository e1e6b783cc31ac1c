"""Measure accel_cls against transformers' Trainer on this machine.

    python -m benchmarks                        # every case that this machine can run; hours
    python -m benchmarks bert-16 e5 --rounds 5  # some of them
    python -m benchmarks tiny --quick           # does a case work? Its figures mean nothing

From the project's root, with ACCEL_CLS_REAL_DATA naming the folder with the real data. Writes all raw figures to
benchmarks/results/. A run of all cases also puts their tables and plot into docs/speed.md; figures of several runs go
there by `python -m benchmarks --publish benchmarks/results/A.json benchmarks/results/B.json`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, page
from benchmarks.cases import CASES
from benchmarks.data import NoRealData, real_folder
from benchmarks.processes import Failed
from benchmarks.workshop import Workshop


def command_line() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"cases: {', '.join(CASES)}; left out, all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant runs (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of little data, nothing published")
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
    unknown = [name for name in options.names if name not in CASES]
    if unknown or options.rounds < 1:
        parser.error(f"no such case: {', '.join(unknown)}" if unknown else "--rounds: expected 1 or more")
    try:
        real_folder()
    except NoRealData as error:
        print(error, file=sys.stderr)
        return 2
    on = machine.describe()
    path = page.new_file(on, options.quick)
    record = measure(options.names or list(CASES), 1 if options.quick else options.rounds, options.quick, on, path)
    print(page.tables([record]))
    print(f"all figures: {path}")
    if not options.quick and not options.names:
        page.publish([record])
    return 1 if record["failed"] else 0


def measure(names: Sequence[str], rounds: int, quick: bool, on: dict[str, Any], path: Path) -> dict[str, Any]:
    """Run cases, and write the figures after each; one that fails or can't run here does not stop the others.

    Args:
        names: of CASES.
        rounds: how often each contestant runs.
        quick: little data.
        on: the machine, as `machine.describe` has it.
        path: the JSON file.
    """
    cases: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="accel_cls_benchmarks_") as place:
        shop = Workshop(Path(place), rounds, quick, lambda line: print(line, flush=True), machine.has_fast_bf16(on))
        record = {
            "machine": on,
            "rounds": rounds,
            "quick": quick,
            "peaks": shop.peaks,
            "cases": cases,
            "skipped": skipped,
            "failed": failed,
        }
        for name in names:
            case = CASES[name]
            if case.device == "cuda" and on["gpu"] is None:
                skipped[name] = "needs a CUDA device, and there is none here"
                shop.say(f"{name} skipped: {skipped[name]}")
                continue
            try:
                cases.append(case.measure(shop))
            except (Failed, ValueError) as error:
                failed[name] = str(error)
                shop.say(f"{name} failed: {error}")
            page.save(record, path)
    return record


if __name__ == "__main__":
    sys.exit(main())
