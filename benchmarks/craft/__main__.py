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
import tempfile
from collections.abc import Sequence
from pathlib import Path

from accel_cls.errors import UserError
from benchmarks import machine
from benchmarks.craft.choices import CHOICES, PLAIN
from benchmarks.craft.page import PAGE, publish
from benchmarks.craft.settings import NAMES, Setting, by_name
from benchmarks.craft.trials import CraftJob, CraftTrials
from benchmarks.processes import ROOT, Failed
from benchmarks.quality.kept import Kept
from benchmarks.workshop import Workshop

_RESULTS = ROOT / "benchmarks" / "results" / "craft"
_LAST_LINES = 8  # that are told of a command that failed


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
    add("--publish", action="store_true", help="measure nothing; put all that is kept into the page")
    add("--page", type=Path, default=PAGE, metavar="FILE", help="with --publish; default: docs/craft.md")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status."""
    parser = command_line()
    options = parser.parse_args(arguments)
    kept = Kept(options.results)
    if options.publish:
        return _publish(kept, options.page)
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
        return 1 if measure([job for job in jobs if options.again or not kept.has(job.kept_as)], kept) else 0
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


def measure(jobs: Sequence[CraftJob], kept: Kept) -> int:
    """Do jobs, with a line for each as it ends; returns how many failed."""
    on = machine.describe()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="accel_cls_craft_", ignore_cleanup_errors=True) as place:
        device = "cuda" if on["gpu"] else "cpu"
        shop = Workshop(Path(place), 1, False, lambda line: print(line, flush=True), device=device)
        trials = CraftTrials(shop, kept, on)
        for number, job in enumerate(jobs, start=1):
            which = f"{number} of {len(jobs)}: {job.title}"
            try:
                facts = trials.do(job)
            except (Failed, UserError) as error:
                failed += 1
                first, *rest = str(error).splitlines()
                shop.say("\n    ".join([f"{which} failed: {first}", *[line for line in rest if line][-_LAST_LINES:]]))
            else:
                shop.say(f"{which}: accuracy {facts['scores']['accuracy']:.4f}, {facts['seconds']:,.0f} s")
    return failed


def _publish(kept: Kept, page: Path) -> int:
    results = [*kept.results()]
    if not results:
        print(f"--results {kept.folder}: nothing is kept there", file=sys.stderr)
        return 2
    try:
        publish(results, page)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
