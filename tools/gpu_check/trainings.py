"""Trainings, predictions and other commands of a step: started, waited for, and ended when its time is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT
from tools.gpu_check.findings import StepFailed
from tools.warm import Warm, free_port

RECIPE = "recipes/food.yaml"
_POLL = 0.01  # seconds
_KEPT = 4_000  # characters of each command's output that the log keeps
_LINES = 12  # of a failed command's output that are told
# accelerate's words, as its launcher would put them into the environment.
_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class OutOfTime(Exception):
    """The time of a step is over."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    text: str  # all that it printed
    seconds: float


@dataclass
class Trainings:
    """What all steps start things with."""

    device: str  # cuda, or cpu to try the steps themselves
    data: Path | None  # a csv of reviews; None for the sample that comes along
    place: Path  # a folder that is thrown away in the end
    log: Path
    overrides: Sequence[str] = ()  # of the user, for every training
    warm: bool = True  # whether processes are forked from one that has imported everything
    deadline: float = float("inf")  # of the step that runs, in monotonic seconds
    facts: dict[str, Any] = field(default_factory=dict)  # what the environment step has found
    benchmarks: dict[str, Any] | None = None  # the record of the benchmarks
    _count: int = 0

    @property
    def is_gpu(self) -> bool:
        """Whether this is the real thing; on a CPU sizes are small, and nothing is proven but the steps themselves."""
        return self.device == "cuda"

    @property
    def where(self) -> str:
        """The device as people call it."""
        return "GPU" if self.is_gpu else "CPU"

    @property
    def updates(self) -> int:
        """Of a training that is compared with another."""
        return 60 if self.is_gpu else 8

    @property
    def few_updates(self) -> int:
        """Of a training of a large model."""
        return 20 if self.is_gpu else 8

    @property
    def seconds_left(self) -> float:
        """Until the step's time is over."""
        return self.deadline - time.monotonic()

    def data_overrides(self) -> list[str]:
        """The user's data and values."""
        return [*([] if self.data is None else [f"data.train={self.data}"]), *self.overrides]

    def train(
        self,
        name: str,
        *overrides: str,
        device: str | None = None,
        precision: str = "fp32",
        env: Mapping[str, str] | None = None,
        module: Sequence[str] = ("accel_cls.train",),
    ) -> Path:
        """Train the recipe for some updates by one process, traced; returns the run folder.

        Args:
            name: of the run folder; the same one again goes on with its run.
            overrides: of the recipe, after those that all such trainings share.
            device: cuda or cpu; None for the device that is checked.
            precision: fp32, bf16 or fp16.
            env: more variables.
            module: what `python -m` runs, with what stands before the recipe.
        """
        self.run(
            *module,
            *self._arguments(name, overrides),
            env={**self._environment(device or self.device, precision), **(env or {})},
        )
        return self.place / name

    def try_to_train(self, name: str, *overrides: str, precision: str = "fp32", module: Sequence[str]) -> Done:
        """The same, of a training that may fail."""
        env = self._environment(self.device, precision)
        return self.run(*module, *self._arguments(name, overrides), env=env, may_fail=True)

    def train_killed(self, name: str, *overrides: str, precision: str) -> tuple[Path, int]:
        """The same, ended by kill -9 half-way and begun again; returns also the update that it was seen to reach."""
        env = self._environment(self.device, precision)
        arguments = self._arguments(name, overrides)
        trace = self.place / name / "trace" / "process-0.jsonl"
        process, _ = self._start("accel_cls.train", arguments, env, cold=False)
        while (reached := _lines(trace)) < self.updates // 2:
            if process.poll() is not None:
                raise StepFailed(f"{name}: the training had ended before it could be killed")
            self._pause(process)
        _kill(process)
        self.run("accel_cls.train", *arguments, env=env)
        return self.place / name, reached

    def train_ddp(self, name: str, *overrides: str, precision: str = "fp32") -> Path:
        """The same by DDP: one process over NCCL on a GPU, two over gloo on a CPU."""
        processes = 1 if self.is_gpu else 2
        env = self._environment(self.device, precision) | {
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
        }
        arguments = self._arguments(name, overrides)
        ranks = [env | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
        started = [self._start("accel_cls.train", arguments, rank, cold=False) for rank in ranks]
        for process, log in started:
            self._wait(process)
            self._check(["accel_cls.train", *arguments], process, log, time.monotonic(), may_fail=False)
        return self.place / name

    def run(
        self,
        module: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cold: bool = False,
        may_fail: bool = False,
    ) -> Done:
        """Run `python -m module arguments` from the project's root to its end.

        Args:
            module: what to run.
            arguments: of its command line.
            env: more variables.
            cold: as a user would, with all imports.
            may_fail: whether another exit status than 0 is no failure of the step.

        Raises:
            StepFailed: for another status than 0.
            OutOfTime: where the step's time is over; the process has been killed then.
        """
        began = time.monotonic()
        process, log = self._start(module, arguments, env or {}, cold)
        self._wait(process)
        return self._check([module, *arguments], process, log, began, may_fail)

    def _arguments(self, name: str, overrides: Sequence[str]) -> list[str]:
        shared = (
            f"output={self.place / name}",
            "hardware=auto",
            "train.trace=true",
            f"train.max_updates={self.updates}",
            # As in tools/parity_matrix.py: at the recipe's own rate rounding grows too fast; several micro-batches an
            # update, and as many on two processes.
            *("train.learning_rate=2e-4", "train.micro_batch_tokens=512", "train.min_micro_batches=2"),
            *("evaluate.every=1000000", "checkpoint.every=1000000"),
        )
        return [RECIPE, *self.data_overrides(), *shared, *overrides]

    def _environment(self, device: str, precision: str) -> dict[str, str]:
        """What accelerate's launcher would set for a profile of this device and precision."""
        place = {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        return {"ACCELERATE_MIXED_PRECISION": _PRECISION[precision], **place}

    def _start(
        self, module: str, arguments: Sequence[str], env: Mapping[str, str], cold: bool
    ) -> tuple[Warm | subprocess.Popen[bytes], Path]:
        self._count += 1
        log = self.place / f"{self._count:03d}.log"
        if self.warm and not cold:
            return Warm(module, arguments, ROOT, env=env, log=log), log
        with open(log, "wb") as out:
            command = [sys.executable, "-m", module, *arguments]
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **env}, stdout=out, stderr=out, start_new_session=True
            )
        return process, log

    def _wait(self, process: Warm | subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            self._pause(process)

    def _pause(self, process: Warm | subprocess.Popen[bytes]) -> None:
        if self.seconds_left < 0:
            _kill(process)
            raise OutOfTime
        time.sleep(_POLL)

    def _check(
        self,
        command: Sequence[str],
        process: Warm | subprocess.Popen[bytes],
        log: Path,
        began: float,
        may_fail: bool,
    ) -> Done:
        status = process.poll()
        assert status is not None
        text = log.read_text(encoding="utf-8", errors="replace")
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"$ python -m {' '.join(command)}\n{text[-_KEPT:]}\n[exit status {status}]\n\n")
        if status and not may_fail:
            last = "\n".join(text.rstrip().splitlines()[-_LINES:])
            raise StepFailed(f"{command[0]} ended with status {status}:\n{last}")
        return Done(status, text, time.monotonic() - began)


def _kill(process: Warm | subprocess.Popen[bytes]) -> None:
    """kill -9, with all that a cold process has started."""
    with suppress(ProcessLookupError):
        if isinstance(process, Warm):
            os.kill(process.pid, signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0
