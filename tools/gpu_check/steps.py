"""All steps, in the order of their worth: where time runs out, the first ones have been made."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tools.gpu_check import comparing, graphs, jobs, libraries, limits, repeating
from tools.gpu_check.findings import Finding, StepFailed
from tools.gpu_check.trainings import OutOfTime, Trainings


@dataclass(frozen=True)
class Step:
    """One thing that is looked at."""

    name: str
    check: Callable[[Trainings], Iterator[Finding]]
    limit: int  # seconds that it may take on a GPU
    needs: tuple[str, ...] = libraries.TRAINING
    only_gpu: bool = False


STEPS = (
    Step("environment", jobs.environment, 60, needs=("torch",)),
    Step("main job", jobs.main_job, 120),
    Step("same bits", repeating.same_bits, 120),
    Step("same bits in BERT-base", repeating.same_bits_large, 80),
    Step("passes of static shape", graphs.passes, 40),
    Step("updates as graphs", graphs.updates, 120),
    Step("no wait in an update", graphs.no_wait, 30, only_gpu=True),
    Step("parity", comparing.parity, 100),
    Step("fp16", limits.scaler_skips, 30, only_gpu=True),
    Step("out of memory", limits.out_of_memory, 60),
    Step("answers", comparing.answers, 40),
    Step("to the CPU and back", comparing.crossing, 40),
    Step("saving", limits.saving, 40),
    Step("compiled layers", graphs.compiling, 120, only_gpu=True),
    Step("cost of the same bits", repeating.cost_of_determinism, 90, only_gpu=True),
    Step("first update", jobs.first_update, 40, only_gpu=True),
    Step("profile", jobs.profile, 60, needs=libraries.COMMANDS),
    Step("benchmarks", jobs.benchmarks, 600),
)

_ON_CPU = 4  # times the limit: there nothing is measured, and others may want the cores
PASSED, FAILED, LEFT_OUT, OUT_OF_TIME = "passed", "failed", "left out", "out of time"


def run_steps(
    steps: Sequence[Step], t: Trainings, seconds: float, tell: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Make one step after the other, none of which stops the others; gives the record of each as it ends.

    Args:
        steps: in the order of their worth; the environment comes first.
        t: what they start things with.
        seconds: for all of them together.
        tell: takes a line for each.
    """
    end = time.monotonic() + seconds
    for step in steps:
        began = time.monotonic()
        record: dict[str, Any] = {"name": step.name, "status": PASSED, "why": "", "findings": []}
        missing = libraries.missing(step.needs)
        limit = step.limit * (1 if t.is_gpu else _ON_CPU)
        t.deadline = min(began + limit, end)
        if step.check is not jobs.environment and not t.facts:
            record |= {"status": LEFT_OUT, "why": "there is no such device, or it does not compute"}
        elif step.only_gpu and not t.is_gpu:
            record |= {"status": LEFT_OUT, "why": "needs a CUDA device"}
        elif missing:
            record |= {"status": LEFT_OUT, "why": f"needs {', '.join(missing)}, not installed here"}
        elif began >= end:
            record |= {"status": OUT_OF_TIME, "why": "the time was over before it began"}
        else:
            _make(step, t, record)
        record["seconds"] = time.monotonic() - began
        why = f"; {record['why']}" if record["why"] else ""
        tell(f"{record['seconds']:6.1f} s  {step.name}: {record['status']}{why}")
        yield record


def _make(step: Step, t: Trainings, record: dict[str, Any]) -> None:
    """Make a step; what it found before something went wrong is kept."""
    try:
        for finding in step.check(t):
            record["findings"].append(vars(finding))
            if finding.ok is False:
                record["status"] = FAILED
    except OutOfTime:
        record |= {"status": OUT_OF_TIME, "why": "its time, or all time, was over before it was done"}
    except StepFailed as error:
        record |= {"status": FAILED, "why": str(error)}
    except Exception as error:  # a defect of the step, or a run folder that is not what it has to be
        record |= {"status": FAILED, "why": f"{type(error).__name__}: {error}"}
        with open(t.log, "a", encoding="utf-8") as file:
            file.write(f"step {step.name}\n{traceback.format_exc()}\n")
