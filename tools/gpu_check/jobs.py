"""What a person runs: the main job and a prediction, the profile; what the machine is; and the benchmarks."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contestants import ours
from benchmarks.processes import ROOT
from tools.gpu_check import goals, libraries
from tools.gpu_check.findings import Finding, StepFailed
from tools.gpu_check.trainings import RECIPE, OutOfTime, Trainings

_LEAST_ACCURACY = 0.8  # of two classes, one of which has two thirds of the reviews; five seeds gave 0.85 to 0.90
_TEXT = "送餐很快，味道也好"
_FORKED = "forked from a warm Python"
_BENCHMARKS_ON_CPU = 60  # seconds; there is nothing to be learned from them
_FIRST_UPDATE = 15  # seconds from the command on
_MARGIN = 5  # seconds that the harness is given to end


def environment(t: Trainings) -> Iterator[Finding]:
    """What is installed, what the device is, and whether processes can be forked from one that imported everything."""
    missing, untested = libraries.missing(libraries.COMMANDS), libraries.untested(libraries.COMMANDS)
    yield Finding("libraries missing", ", ".join(missing) or "none", None if missing else True)
    yield Finding("in other versions than the tested ones", ", ".join(untested) or "none")
    result = t.place / "device.json"
    command = ("tools.gpu_check.children.device", t.device, str(result))
    t.warm = False
    t.run(*command)
    facts = json.loads(result.read_text(encoding="utf-8"))
    t.facts.update(facts)
    memory = f", {facts['memory_bytes'] / 2**30:.0f} GiB" if facts["memory_bytes"] else ""
    cuda = f", CUDA {facts['cuda']}" if facts["cuda"] and t.is_gpu else ""
    yield Finding("device", f"{facts['device']}{memory}; torch {facts['torch']}{cuda}, Python {facts['python']}", True)
    if not missing:
        t.warm = True
        try:
            done = t.run(*command, may_fail=True)
        except (OSError, json.JSONDecodeError) as error:  # the one that forks did not come up
            t.warm, why = False, str(error)
        else:
            t.warm, why = done.status == 0, (done.text.strip().splitlines() or [""])[-1]
        yield Finding("processes are", _FORKED if t.warm else f"started anew, which takes longer: {why[:80]}")


def main_job(t: Trainings) -> Iterator[Finding]:
    """The recipe as a user starts it, by accelerate launch, and a prediction by the model that comes of it."""
    profile = "gpu" if t.is_gpu else "cpu"
    short = [] if t.is_gpu else ["train.max_updates=20"]
    output = t.place / "main"
    launch = ("accelerate.commands.launch", "--config_file", f"accelerate_configs/{profile}.yaml")
    command = ("-m", "accel_cls.train", RECIPE, *t.data_overrides(), f"output={output}", *short)
    done = t.run(*launch, *command, cold=True)
    accuracy = ours.results(output)["scores"]["accuracy"]
    yield Finding(
        "accelerate launch, food.yaml: accuracy",
        f"{accuracy:.4f} in {done.seconds:.0f} s",
        accuracy > _LEAST_ACCURACY if t.is_gpu else None,
    )
    speeds = ours.speeds(output)
    yield Finding("texts/s, least and most of ten updates", f"{min(speeds):,.0f} to {max(speeds):,.0f}")
    said = t.run("accel_cls.predict", str(output), "--text", _TEXT, cold=t.is_gpu).text.strip().splitlines()[-1]
    answer = " ".join(said.split()[:2])
    yield Finding("predict a text that praises", answer, answer.startswith("POSITIVE") if t.is_gpu else None)


def first_update(t: Trainings) -> Iterator[Finding]:
    """How long a user waits until the first update has been made, its graph recorded; and for the whole command."""
    output = t.place / "first"
    launch = ("accelerate.commands.launch", "--config_file", "accelerate_configs/gpu.yaml")
    short = ("train.trace=true", "train.max_updates=1", "evaluate.every=end")
    began = time.time()
    done = t.run(*launch, "-m", "accel_cls.train", RECIPE, *t.data_overrides(), f"output={output}", *short, cold=True)
    seconds = (output / "trace" / "process-0.jsonl").stat().st_mtime - began  # its only line
    value = f"{seconds:.1f} s ({_FIRST_UPDATE} wanted), the command {done.seconds:.1f} s"
    yield Finding("until the first update", value, seconds <= _FIRST_UPDATE)


def profile(t: Trainings) -> Iterator[Finding]:
    """`accel-cls profile` on the recipe."""
    updates = 30 if t.is_gpu else 3
    out = t.place / "profile"
    hardware = "hardware=gpu" if t.is_gpu else "hardware=cpu"
    options = (hardware, f"--updates={updates}", f"--out={out}", "--json")
    t.run("accel_cls", "profile", RECIPE, *t.data_overrides(), *options, cold=True)
    found = json.loads((out / "profile.json").read_text(encoding="utf-8"))
    parts = ", ".join(f"{part['name']} {part['share']:.0%}" for part in found["parts"])
    yield Finding("an update's time", parts)
    memory = max(found["peak_memory_bytes"]) / 1e9
    yield Finding("texts/s, memory", f"{found['examples_per_second']:,.0f}, {memory:.2f} GB")


def benchmarks(t: Trainings) -> Iterator[Finding]:
    """The `gpu-*` cases that there is time for, shortest first; on a CPU one little one, to see that they run."""
    record = t.place / "benchmarks.json"
    seconds = int(min(t.seconds_left, _BENCHMARKS_ON_CPU if not t.is_gpu else math.inf)) - _MARGIN
    if seconds < 1:
        raise OutOfTime
    cases = ("gpu-*",) if t.is_gpu else ("tiny", "--quick")
    options = (*cases, f"--seconds={seconds}", "--rounds=1", f"--out={record}")
    done = t.run("benchmarks", *options, cold=True, may_fail=True, env={"ACCEL_CLS_REAL_DATA": str(_real_data(t))})
    if not record.is_file():
        raise StepFailed(f"benchmarks ended with status {done.status}: {done.text.strip()[-200:]}")
    found = json.loads(record.read_text(encoding="utf-8"))
    t.benchmarks = found
    for case in found["cases"]:
        for name, rounds in case["rounds"].items():
            yield Finding(f"{case['name']}, {name}", f"{goals.speed_of(case, rounds[0]):,.0f} texts/s")
        for name, why in case.get("failed", {}).items():
            yield Finding(f"{case['name']}, {name}", why.strip().splitlines()[0], ok=False)
    for name, why in found["failed"].items():
        yield Finding(name, why.strip().splitlines()[0], ok=False)
    yield from goals.reached(found)
    if found["skipped"]:
        yield Finding("skipped", ", ".join(found["skipped"]))


def _real_data(t: Trainings) -> Path:
    """The folder with the real data, as the benchmarks want it; made of the one csv where none is named."""
    named = os.environ.get("ACCEL_CLS_REAL_DATA")
    if named and t.data is None:
        return Path(named).resolve()
    folder = t.place / "real"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    shutil.copy(t.data or ROOT / "recipes" / "data" / "food_reviews.csv", folder / "data" / "food_reviews_10k.csv")
    return folder
