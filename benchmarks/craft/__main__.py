"""Measure what each choice of a recipe adds to the plain recipe, on the same rows and with the same seeds.

    python -m benchmarks.craft                                   # all; days on two cores, and may be stopped
    python -m benchmarks.craft reviews-bert news-bert --choices focal r_drop --seeds 0 1
    python -m benchmarks.craft --publish                         # what is kept, into docs/craft.md

From the project's root, with ACCEL_CLS_REAL_DATA naming the folder with the real data. Each result is kept in
benchmarks/results/craft, or the folder of --results, and not computed again: the same command goes on where it was
stopped. The plain recipe comes first, and each seed for all choices before the next one.

Ends with 0 where nothing failed, though something may have been skipped; with 1 where a training failed; with 2
where the command line is wrong or the data are not there, and nothing was measured; with 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.craft.choices import CHOICES, PLAIN
from benchmarks.craft.page import BEGIN, END, PAGE, tables
from benchmarks.craft.settings import NAMES, Setting, by_name
from benchmarks.craft.trials import CraftJob, CraftTrials
from benchmarks.processes import ROOT
from benchmarks.quality.command import Limits, add_limits, do_all, publish_kept
from benchmarks.quality.kept import Kept

_RESULTS = ROOT / "benchmarks" / "results" / "craft"


def command_line() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.craft", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("settings", nargs="*", metavar="setting", help=f"{', '.join(NAMES)}; left out, all of them")
    add("--choices", nargs="+", default=[*CHOICES], choices=[*CHOICES], metavar="NAME", help=", ".join(CHOICES))
    add("--seeds", nargs="+", type=int, default=range(5), metavar="N", help="default: 0 1 2 3 4")
    add("--results", type=Path, default=_RESULTS, metavar="FOLDER", help="default: benchmarks/results/craft")
    add("--again", action="store_true", help="compute also what is kept already, and replace it")
    add_limits(parser)
    add("--publish", action="store_true", help="measure nothing; put all that is kept into the page")
    add("--page", type=Path, default=PAGE, metavar="FILE", help="with --publish; default: docs/craft.md")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status."""
    parser = command_line()
    options = parser.parse_args(arguments)
    kept = Kept(options.results)
    if options.publish:
        return publish_kept(kept, options.page, tables, BEGIN, END)
    try:
        settings, missing = by_name(options.settings or NAMES)
    except ValueError as error:
        parser.error(str(error))
    for line in missing:
        print(line, file=sys.stderr)
    jobs = all_jobs(settings, options.choices, options.seeds)
    if not jobs:
        print("nothing is left to measure", file=sys.stderr)
        return 2
    try:
        wanted = [job for job in jobs if options.again or not kept.has(job.kept_as)]
        return 1 if measure(wanted, kept, Limits.of(options)) else 0
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130


def all_jobs(settings: Sequence[Setting], choices: Sequence[str], seeds: Sequence[int]) -> list[CraftJob]:
    """Each choice where it can be had, the plain recipe always and first; seed by seed."""
    named = [PLAIN, *(CHOICES[name] for name in choices if name != PLAIN.name)]
    return [
        CraftJob(setting, choice, seed)
        for seed in seeds
        for setting in settings
        for choice in named
        if setting.start in choice.starts
    ]


def measure(jobs: Sequence[CraftJob], kept: Kept, limits: Limits) -> int:
    """Do jobs; returns how many failed."""

    def said(facts: dict[str, Any]) -> str:
        return f"accuracy {facts['scores']['accuracy']:.4f}, {facts['seconds']:,.0f} s"

    return do_all(jobs, "craft", lambda shop, on: CraftTrials(shop, kept, on).do, said, limits)


if __name__ == "__main__":
    sys.exit(main())
