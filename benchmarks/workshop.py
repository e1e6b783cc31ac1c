"""What all cases share: a folder to work in, models made once, peaks measured once, and how much is wanted."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.processes import Ended, OutOfTime, accelerate_launch, python, run, usual_precision


@dataclass
class Workshop:
    """Where the cases work."""

    place: Path  # a folder that is thrown away in the end
    rounds: int
    quick: bool  # little data, to see that a case works: its figures mean nothing
    tell: Callable[[str], None]
    fast_bf16: bool = True  # whether the CPU has instructions for products in bf16
    deadline: float | None = None  # in monotonic seconds, when all has to be over
    device: str = "cpu"  # of the case that works here
    threads: int | None = None  # of each command, where several run at a time; None: as the user has it
    precision: str | None = None  # fp32 or bf16; None: as the profile of the device has it
    peaks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def for_device(self, device: str) -> Workshop:
        """The same for a case on this device; what has been made and measured is shared."""
        return replace(self, device=device)

    def run(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, watch: Callable[[], None] | None = None
    ) -> Ended:
        """Run a command as `processes.run` does, before the deadline, and let it see the case's device alone.

        accel_cls.predict takes a GPU where there is one, and the Trainer takes all there are.
        """
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        seen = {"CUDA_VISIBLE_DEVICES": "" if self.device == "cpu" else first}
        seen |= {} if self.threads is None else {"OMP_NUM_THREADS": str(self.threads)}
        return run(command, {**seen, **(env or {})}, watch, self.deadline)

    def launch(self, told: str | None = None) -> list[str]:
        """`accelerate launch` for the case's device.

        Args:
            told: the precision of the command that a user would have been told; what is wanted here comes before it.
        """
        return accelerate_launch(self.precision_of(told), self.device)

    def precision_of(self, told: str | None = None) -> str:
        """The precision of that command: fp32 or bf16."""
        return self.precision or told or usual_precision(self.device)

    def all_rounds(self, one_round: Callable[[int], Mapping[str, Any]]) -> dict[str, list[Any]]:
        """What each contestant took, round by round. Rounds that were whole when the time was over are kept.

        Args:
            one_round: runs all contestants in turn, given the number of the round; returns by name what each took.

        Raises:
            OutOfTime: where not even the first round was whole.
        """
        found: dict[str, list[Any]] = {}
        for number in range(self.rounds):
            try:
                measured = one_round(number)
            except OutOfTime:
                if number == 0:
                    raise OutOfTime("the time was over before each contestant had run once") from None
                self.say(f"the time is over: {number} of {self.rounds} rounds are kept")
                break
            for name, one in measured.items():
                found.setdefault(name, []).append(one)
        return found

    @property
    def caches(self) -> dict[str, str]:
        """Variables that keep what a training remembers in a folder of the harness."""
        return {"XDG_CACHE_HOME": str(self.place / "cache"), "HF_HOME": str(self.place / "hub")}

    def say(self, line: str) -> None:
        """Tell how far it is."""
        self.tell(f"{time.strftime('%H:%M:%S')}  {line}")

    def fresh(self, name: str) -> Path:
        """An empty folder of this name."""
        folder = self.place / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def another(self, name: str) -> Path:
        """An empty folder of a name that begins so: several may be worked in at a time."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.place))

    def model(self, name: str, classes: int) -> Path:
        """The folder of a model, made when it is first asked for."""
        folder = self.place / "models" / f"{name}-{classes}"
        if not folder.is_dir():
            self.say(f"making the model {name} for {classes} classes")
            self.run(python("-m", "benchmarks.models", str(folder), name, str(classes)))
        return folder

    def peak(self, model: str, classes: int, precision: str, device: str) -> dict[str, Any]:
        """What `peak.py` measures, once for each model and precision."""
        key = f"{model} {precision} {device}"
        if key not in self.peaks:
            result = self.place / "peak.json"
            self.run(python("-m", "benchmarks.peak", str(self.model(model, classes)), precision, device, str(result)))
            self.peaks[key] = json.loads(result.read_text(encoding="utf-8"))
            rate, step = self.peaks[key]["flop_per_second"], self.peaks[key]["optimizer_seconds"]
            self.say(f"peak of {key}: {rate / 1e9:,.0f} GFLOP/s, AdamW over its weights {step * 1e3:.1f} ms")
        return self.peaks[key]
