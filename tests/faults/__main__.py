"""The long mode: many faults of a kind, a table of what became of the runs, and a log of every case."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where conftest.py and warm.py are

from . import kinds
from .processes import HungError, Start, start_of
from .soak import soak
from .work import Case, Work

KINDS = ("kill", "rank", "disk", "clock", "twins", "data", "signals", "soak")


def cases_of(kind: str, work: Work, options: argparse.Namespace) -> Iterator[tuple[str, Start, Callable[[], Case]]]:
    """The cases of a kind: what it is called until it has run, how it is started, and what runs it."""
    ways = {"warm": ["warm"], "cold": ["cold"], "both": ["warm", "cold"]}[options.start]
    # The clock is replaced where an interpreter starts, and memory is looked at in one that has nothing else in it.
    ways = ["cold"] if kind in ("clock", "soak") else ways
    processes = [count for count in options.processes if count > 1 or kind != "rank"]
    for way, count in itertools.product(ways, processes):
        start = start_of(way, count)
        if kind == "kill":
            for number in range(options.times):
                yield kind, start, lambda s=start, n=number: kinds.kill(work, s, aims=n % 4 == 3)
        elif kind == "rank":
            for _ in range(options.times):
                yield kind, start, lambda s=start: kinds.rank(work, s)
        elif kind == "disk":
            yield kind, start, lambda s=start: kinds.useless_disk(work, s)
            for _ in range(options.times):
                yield kind, start, lambda s=start: kinds.full_disk(work, s)
        elif kind == "signals":
            all_starts = [start, Start("accelerate", count)] if way == "cold" else [start]
            whom = ["one", "all", "tree"] if way == "cold" else ["one", "all"] if count > 1 else ["one"]
            turns = itertools.islice(itertools.cycle(itertools.product(all_starts, kinds.STOPS, whom)), options.times)
            for one, how, who in turns:
                yield kind, one, lambda s=one, h=how, w=who: kinds.stop(work, s, h, w)
        elif kind == "twins":
            for number in range(options.times):
                fault = kinds.race if number % 2 else kinds.twins
                yield kind, start, lambda s=start, f=fault: f(work, s)
        elif kind == "soak":
            yield kind, start, lambda s=start: soak(work, s, options.minutes, say)
        else:
            for _ in range(options.times):
                yield kind, start, lambda s=start, k=kind: getattr(kinds, k)(work, s)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def main() -> int:
    """Returns 0 where every run has survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("kind", choices=[*KINDS, "all"])
    parser.add_argument("--times", type=int, default=100, help="cases of a kind, for each way and number of processes")
    parser.add_argument("--processes", default="1,2", help="numbers of processes, such as 1,2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a folder for the runs and log.json; default: a new one")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long `soak` runs")
    parser.add_argument("--keep", action="store_true", help="keep the folders of runs that have survived, too")
    parser.add_argument(
        "--start",
        choices=["cold", "warm", "both"],
        default="cold",
        help="by the commands that people give, or forked from a warm interpreter, which is quick",
    )
    options = parser.parse_args()
    options.processes = [int(text) for text in options.processes.split(",")]
    work = Work(options.out or Path(tempfile.mkdtemp(prefix="accel_cls_faults_")), options.seed)
    for kind in KINDS if options.kind == "all" else [options.kind]:
        for name, start, case in cases_of(kind, work, options):
            began = time.monotonic()
            try:
                done = case()
            except PermissionError as error:
                say(f"{name:8} {start.name:14} skipped: {error}")
                continue
            except (HungError, AssertionError) as error:
                done = work.record(Case(name, start.name, "", faults=[f"HUNG or failed: {error}"]), began)
            say(
                f"{len(work.cases):4} {done.kind:8} {done.start:14} {done.seconds:6.1f} s  {done.what}: {done.verdict}"
            )
            work.clear(keep=bool(done.faults) or options.keep)
    return summarize(work)


def summarize(work: Work) -> int:
    """Print what became of the runs."""
    say(f"\n{'kind':8}  {'start':14}  {'cases':>5}  {'survived':>8}  {'lost':>4}  {'other':>5}  phases at the fault")
    for kind, start in dict.fromkeys((case.kind, case.start) for case in work.cases):
        cases = [case for case in work.cases if (case.kind, case.start) == (kind, start)]
        lost = sum(any(fault.startswith(("LOST", "DIFFERENT", "HUNG")) for fault in case.faults) for case in cases)
        bad = sum(bool(case.faults) for case in cases)
        phases = Counter(event["phase"] for case in cases for event in case.events if "phase" in event)
        told = ", ".join(f"{phase} {count}" for phase, count in phases.most_common())
        say(f"{kind:8}  {start:14}  {len(cases):>5}  {len(cases) - bad:>8}  {lost:>4}  {bad - lost:>5}  {told}")
    for case in work.cases:
        for fault in case.faults:
            say(f"- {case.kind}, {case.start}, {case.what}: {fault}")
    say(f"log: {work.folder / 'log.json'}")
    return 1 if any(case.faults for case in work.cases) else 0


if __name__ == "__main__":
    sys.exit(main())
