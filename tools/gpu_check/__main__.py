"""Show how things stand on a GPU: does it train right, twice the same, as the CPU does, and how fast.

    python -m tools.gpu_check --data food_reviews_10k.csv     # about eight minutes on a CUDA device
    python -m tools.gpu_check --device cpu                    # do the steps themselves work? A minute
    python -m tools.gpu_check --publish runs/gpu_check/record.json

From the project's root, in an environment with torch. No network is used and nothing is installed; steps whose
libraries are missing are left out, by name. Prints a table last, and writes record.json, anew after each step, and
log.txt. Exit status: 0 where no step failed, 1 where one did, 2 for a mistake in the command.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import commit
from benchmarks.processes import environment
from tools.gpu_check import libraries, report
from tools.gpu_check.steps import STEPS, Step, run_steps
from tools.gpu_check.trainings import Trainings

_SHOWN = ("torch", "transformers", "accelerate")  # versions in the table's heading


def command_line() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.gpu_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of recipes/food.yaml, for every training")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="default: %(default)s")
    parser.add_argument(
        "--data", type=Path, metavar="CSV", help="reviews with the columns review and label; else the sample"
    )
    parser.add_argument("--seconds", type=int, default=480, help="for all steps together (default: %(default)s)")
    parser.add_argument("--steps", metavar="NAME,...", help=f"of: {', '.join(step.name for step in STEPS)}")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu_check"), help="a folder (default: %(default)s)")
    parser.add_argument("--publish", type=Path, metavar="FILE", help="check nothing; put a record.json into the docs")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status."""
    parser = command_line()
    options = parser.parse_args(arguments)
    if options.publish:
        changed = report.publish(json.loads(options.publish.read_text(encoding="utf-8")))
        print("\n".join(map(str, changed)))
        return 0
    names = [STEPS[0].name, *(options.steps.split(",") if options.steps else [step.name for step in STEPS])]
    unknown = sorted({*names} - {step.name for step in STEPS})
    if unknown:
        parser.error(f"--steps: no step is called {', '.join(unknown)}")
    if options.data is not None and not options.data.is_file():
        parser.error(f"--data: there is no file {options.data}")
    if options.seconds < 1:
        parser.error("--seconds: expected 1 or more")
    path = options.out / "record.json"
    record: dict[str, Any] = {}
    for record in check(options, [step for step in STEPS if step.name in names]):
        path.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"\nrecord: {path}, output of each command: {options.out / 'log.txt'}\n{report.table(record)}")
    return 1 if report.failed(record["steps"]) else 0


def check(options: argparse.Namespace, steps: Sequence[Step]) -> Iterator[dict[str, Any]]:
    """Make the steps, and give what they have found so far after each: whoever lends the device may take it back."""
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "log.txt"
    log.write_text("", encoding="utf-8")
    # What processes inherit. With NVML torch counts devices without touching them: who forks must not have.
    os.environ.update(environment() | {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"})
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gpu_check_") as place:
        data = None if options.data is None else options.data.resolve()
        t = Trainings(options.device, data, Path(place), log, options.overrides)
        versions, of, done = libraries.installed(libraries.COMMANDS), commit(), list[dict[str, Any]]()
        for step in run_steps(steps, t, options.seconds, lambda line: print(line, flush=True)):
            done.append(step)
            yield {
                "date": datetime.date.today().isoformat(),
                "device": t.facts.get("device", options.device),
                "versions": {name: versions[name] or "missing" for name in _SHOWN},
                "libraries": versions,
                "facts": t.facts,
                "commit": of,
                "limit": options.seconds,
                "seconds": time.monotonic() - began,
                "steps": done,
                "benchmarks": t.benchmarks,
            }


if __name__ == "__main__":
    sys.exit(main())
