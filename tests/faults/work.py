"""The training that faults befall, and what of its result has to be the same in the end."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from conftest import write_recipe, write_reviews

from accel_cls.checkpoints.checkpoint import find_fault, list_checkpoints, update_of

from .processes import Ended, Start

# What a training took is no result.
_TIMES = (
    "seconds",
    "examples_per_second",
    "save_seconds",
    "stall_seconds",
    "checkpoints",
    "hardware",
    "device_peak_bytes",
)
LAST = 48  # updates


@dataclass
class Case:
    """A fault, and what became of the run."""

    kind: str
    start: str  # how the run was started
    what: str  # what was done to it
    events: list[dict[str, Any]] = field(default_factory=list)
    outcome: dict[str, str] = field(default_factory=dict)  # digests of what the run left
    faults: list[str] = field(default_factory=list)  # what should not be; none is what is wanted
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        return "; ".join(self.faults) or "survived"


class Work:
    """A folder with the data and the recipe; each case has a run folder of its own in it."""

    def __init__(self, folder: Path, seed: int = 0):
        self.folder = folder
        self.draw = random.Random(seed)
        self.cases: list[Case] = []
        self._references: dict[str, tuple[dict[str, str], float]] = {}
        self.uninterrupted: dict[str, Path] = {}  # their run folders, by how they were started
        self._fresh: list[Path] = []  # run folders since `clear`
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True)
        write_reviews(folder / "reviews.csv")
        write_recipe(
            folder,
            train="{epochs: 8, batch_size: 32, micro_batch_tokens: 256, learning_rate: 3e-3, log_every: 1}",
            evaluate="{every: 4, best: loss, metrics: [accuracy]}",  # the loss falls: each evaluation keeps a model
            checkpoint="{every: 3, keep: 2}",
        )

    def new_output(self) -> Path:
        """A run folder that is not there yet."""
        self._count += 1
        self._fresh.append(self.folder / f"run-{self._count:04d}")
        return self._fresh[-1]

    def reference(self, start: Start) -> tuple[dict[str, str], float]:
        """What an uninterrupted run leaves, and how long it takes."""
        if start.name not in self._references:
            output = self.new_output()
            self.uninterrupted[start.name] = output
            ended = self.run(start, output)
            assert ended.status == 0, ended.err
            self._references[start.name] = outcome(output), ended.seconds
        return self._references[start.name]

    def was_quicker(self, start: Start, seconds: float) -> None:
        """A run took less time than the uninterrupted one did on a busy machine: instants are drawn before that."""
        expected, whole = self._references[start.name]
        self._references[start.name] = expected, min(whole, seconds)

    def run(self, start: Start, output: Path, *arguments: str, env: dict[str, str] | None = None) -> Ended:
        """Run the recipe into a folder, to its end."""
        with self.begin(start, output, *arguments, env=env) as running:
            return running.wait()

    def begin(self, start: Start, output: Path, *arguments: str, env: dict[str, str] | None = None):
        """Start the recipe into a folder; what tokens it keeps are that folder's own, so that this is faulty, too."""
        cache = str(self.folder / "caches" / output.name)
        arguments = (f"output={os.path.relpath(output, self.folder)}", *arguments)
        return start.begin(
            self.folder, list(arguments), {"XDG_CACHE_HOME": cache, "OMP_NUM_THREADS": "1", **(env or {})}
        )

    def finish(self, case: Case, start: Start, output: Path, *, env: dict[str, str] | None = None) -> None:
        """Give the same command again, and compare what it leaves with the uninterrupted run."""
        expected_from = newest(output)
        ended = self.run(start, output, env=env)
        resumed = resumed_from(ended)
        case.events.append({"event": "resumed", "from": resumed, "status": ended.status})
        if ended.status:
            case.faults.append(f"LOST: the same command ended with {ended.status}: {ended.err.strip()[-500:]}")
            return
        if resumed != expected_from:
            case.faults.append(f"went on from {resumed}, but its newest whole checkpoint was {expected_from}")
        self.compare(case, start, output)

    def compare(self, case: Case, start: Start, output: Path) -> None:
        """Hold what a finished run left to what an uninterrupted one leaves."""
        case.outcome = outcome(output)
        expected, _ = self.reference(start)
        case.faults += [f"DIFFERENT: {name}" for name in expected if case.outcome.get(name) != expected[name]]
        left = [
            str(p.relative_to(output)) for p in output.rglob("*") if p.name.endswith((".partial", ".old", ".lock"))
        ]
        case.faults += [f"left over: {name}" for name in sorted(left)]

    def clear(self, keep: bool) -> None:
        """Delete the run folder of the case that is done, unless it is to be kept."""
        while self._fresh:
            output = self._fresh.pop()
            if not keep and output not in self.uninterrupted.values():
                shutil.rmtree(output, ignore_errors=True)
                shutil.rmtree(self.folder / "caches" / output.name, ignore_errors=True)

    def record(self, case: Case, began: float) -> Case:
        """Keep a case; the log on the disk has all of them at any time."""
        case.seconds = round(time.monotonic() - began, 1)
        self.cases.append(case)
        lines = [asdict(one) | {"verdict": one.verdict} for one in self.cases]
        (self.folder / "log.json").write_text(json.dumps(lines, ensure_ascii=False, indent=1), encoding="utf-8")
        return case


# What is there -----------------------------------------------------------------------------------------


def outcome(run: Path) -> dict[str, str]:
    """SHA-256 of each thing that has to be the same: of weights tensor by tensor, of logs without times."""
    found = {
        "last weights": "none",
        "best weights": "none",
        "metrics": "none",
        "predictions": "none",
        "results": "none",
    }
    checkpoints = list_checkpoints(run / "checkpoints")
    if checkpoints:
        found["last weights"] = f"{update_of(checkpoints[0])}:{_tensors(checkpoints[0] / 'model.safetensors')}"
    if (run / "model").is_dir():
        found["best weights"] = _tensors(run / "model" / "model.safetensors")
    if (run / "metrics.jsonl").is_file():
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        found["metrics"] = _digest(json.dumps([_timeless(json.loads(line)) for line in lines]).encode())
    if (run / "predictions.csv").is_file():
        found["predictions"] = _digest((run / "predictions.csv").read_bytes())
    if (run / "results.json").is_file():
        results = json.loads((run / "results.json").read_text(encoding="utf-8"))
        found["results"] = _digest(json.dumps(_timeless(results)).encode())
    return found


def reached(run: Path) -> int:
    """The last update that was logged."""
    try:
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
        return max((json.loads(line)["update"] for line in lines if line.endswith("}")), default=0)
    except (OSError, ValueError):
        return 0


def newest(run: Path) -> int | None:
    """The update of the newest checkpoint that verifies; None where there is none."""
    if (run / "results.json").is_file():
        return None
    return next((update_of(one) for one in list_checkpoints(run / "checkpoints") if find_fault(one) is None), None)


def state_of(run: Path) -> dict[str, Any]:
    """What a run that was ended has left: the evidence of when that was."""
    # os.walk, which leaves out a folder that is renamed just now: the run goes on while it is looked at.
    names = (
        os.path.relpath(os.path.join(at, name), run) for at, folders, files in os.walk(run) for name in folders + files
    )
    writing = sorted(name for name in names if name.endswith((".partial", ".old")))
    if (run / "results.json").is_file():
        phase = "finished"
    elif any("update-" in name for name in writing):
        phase = "saving"
    elif any("model" in name or "predictions" in name for name in writing):
        phase = "keeping the best model"
    elif not (run / "recipe.yaml").is_file():
        phase = "start-up"
    elif not reached(run):
        phase = "before update 1"
    else:
        phase = "evaluating" if reached(run) % 4 == 0 and not _is_evaluated(run) else "training"
    return {"phase": phase, "update": reached(run), "newest checkpoint": newest(run), "writing": writing}


def damaged(run: Path) -> list[str]:
    """A fault where the newest checkpoint is not whole: it is renamed into place only when it is."""
    for checkpoint in list_checkpoints(run / "checkpoints")[:1]:
        if fault := find_fault(checkpoint):
            return [f"the newest checkpoint {checkpoint.name} is damaged: {fault}"]
    return []


def resumed_from(ended: Ended) -> int | None:
    """The update from which a run says that it goes on; None where it begins, or is finished."""
    _, found, rest = ended.out.partition("continues an unfinished run from update ")
    return int(rest.split(",")[0]) if found else None


def _is_evaluated(run: Path) -> bool:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    return '"evaluation"' in lines[-1]


def _timeless(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _TIMES}


def _tensors(path: Path) -> str:
    from safetensors.torch import load_file

    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(path).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
