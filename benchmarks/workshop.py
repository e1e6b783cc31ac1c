"""What all cases share: a folder to work in, models made once, peaks measured once, and how much is wanted."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import python, run


@dataclass
class Workshop:
    """Where the cases work."""

    place: Path  # a folder that is thrown away in the end
    rounds: int
    quick: bool  # little data, to see that a case works: its figures mean nothing
    tell: Callable[[str], None]
    fast_bf16: bool = True  # whether the CPU has instructions for products in bf16
    peaks: dict[str, dict[str, Any]] = field(default_factory=dict)

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

    def model(self, name: str, classes: int) -> Path:
        """The folder of a model, made when it is first asked for."""
        folder = self.place / "models" / f"{name}-{classes}"
        if not folder.is_dir():
            self.say(f"making the model {name} for {classes} classes")
            run(python("-m", "benchmarks.models", str(folder), name, str(classes)))
        return folder

    def peak(self, model: str, classes: int, precision: str, device: str) -> dict[str, Any]:
        """What `peak.py` measures, once for each model and precision."""
        key = f"{model} {precision} {device}"
        if key not in self.peaks:
            result = self.place / "peak.json"
            run(python("-m", "benchmarks.peak", str(self.model(model, classes)), precision, device, str(result)))
            self.peaks[key] = json.loads(result.read_text(encoding="utf-8"))
            rate, step = self.peaks[key]["flop_per_second"], self.peaks[key]["optimizer_seconds"]
            self.say(f"peak of {key}: {rate / 1e9:,.0f} GFLOP/s, AdamW over its weights {step * 1e3:.1f} ms")
        return self.peaks[key]
