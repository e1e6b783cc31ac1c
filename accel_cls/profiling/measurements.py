"""What each process has measured, and what follows for all of them together. Imports no torch."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

PARTS = ("data", "forward", "backward", "waiting", "optimizer")  # "other" is what is left of an update
WARM_UP_UPDATES = 5  # updates: memory is taken for the first time, kernels are chosen, DDP forms its buckets
BETWEEN = "between operators: Python, waiting"  # the kind of what is none
PROFILED_UPDATES = 3  # updates: enough to see, few enough for a file of some MB


@dataclass(frozen=True)
class Request:
    """What a training is to measure instead of going to its end."""

    folder: Path  # where the measurements and traces of all processes go
    updates: int  # to measure, after some to warm up


@dataclass(frozen=True)
class Update:
    """One process's share of an update; seconds."""

    seconds: float  # from the end of the update before to its own
    parts: dict[str, float]  # of PARTS
    ready: float | None  # when this process had its last gradient, on a clock that all processes share
    examples: int
    real: int  # tokens
    padded: int  # tokens, padding included
    micro_batches: int


@dataclass(frozen=True)
class Operator:
    """All calls of one operator; its own time, without that of operators it calls."""

    name: str
    kind: str
    calls: float  # an update
    seconds: float  # an update


@dataclass(frozen=True)
class Cut:
    """How updates would be cut with other settings, by arithmetic."""

    key: str  # the recipe's key
    value: int
    padding: float  # share of the padded tokens
    micro_batches: float  # an update
    busy: float  # share of the processes' time in which they have something to do


@dataclass(frozen=True)
class ProcessMeasurements:
    """What one process measured."""

    process: int
    hardware: str
    device: str
    precision: str
    updates: list[Update]
    passes: list[tuple[int, float]]  # of each micro-batch: padded tokens, seconds forward and backward
    flops: float | None  # of all measured updates, for real tokens; None: not known for this family of models
    peaks: dict[str, float]  # by precision: FLOP/s of a matrix product, measured here, on all processes at a time
    products: dict[str, float]  # by precision: seconds of the model's own products; only where another might pay
    memory: int | None  # bytes, at most
    traced: int  # updates under torch's profiler
    operators: list[Operator]
    trace: str  # the trace file's name
    tokens: int  # train.micro_batch_tokens
    cuts: list[Cut]  # the plan's own first

    def write(self, folder: Path) -> None:
        """Put it beside the other processes' measurements."""
        path = folder / f"process-{self.process}.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> list[ProcessMeasurements]:
        """The measurements of all processes."""
        found = []
        for path in folder.glob("process-*.json"):
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            content |= {
                "updates": [Update(**update) for update in content["updates"]],
                "passes": [(tokens, seconds) for tokens, seconds in content["passes"]],
                "operators": [Operator(**operator) for operator in content["operators"]],
                "cuts": [Cut(**cut) for cut in content["cuts"]],
            }
            found.append(cls(**content))
        return sorted(found, key=lambda measured: measured.process)


@dataclass(frozen=True)
class Part:
    """A part of an update, over all processes; seconds."""

    name: str
    mean: float
    median: float
    share: float  # of the update, by the means: they add up


@dataclass(frozen=True)
class ProfileResult:
    """What all processes measured together."""

    processes: list[ProcessMeasurements]

    @property
    def first(self) -> ProcessMeasurements:
        """Process 0."""
        return self.processes[0]

    @property
    def seconds(self) -> float:
        """Of an update, on average."""
        return fmean(self._of_updates(lambda update: update.seconds))

    @property
    def measures_waiting(self) -> bool:
        """Whether processes wait for one another in a way that can be separated from their work."""
        return any(update.parts["waiting"] for measured in self.processes for update in measured.updates)

    def parts(self) -> list[Part]:
        """The parts of an update, then "other", then "all"."""
        every = {name: self._of_updates(lambda update, name=name: update.parts[name]) for name in PARTS}
        whole = self._of_updates(lambda update: update.seconds)
        every["other"] = [total - sum(parts) for total, *parts in zip(whole, *every.values(), strict=True)]
        if not self.measures_waiting:
            del every["waiting"]
        every["all"] = whole
        return [Part(name, fmean(s), median(s), fmean(s) / fmean(whole)) for name, s in every.items()]

    def share(self, part: str) -> float:
        """A part's share of an update; 0 for one that is not there."""
        return sum(found.share for found in self.parts() if found.name == part)

    def each(self, what: str) -> float:
        """Examples, real, padded (tokens) or micro_batches of an update, over all processes, on average."""
        return fmean(
            sum(getattr(update, what) for update in updates)
            for updates in zip(*(measured.updates for measured in self.processes), strict=True)
        )

    @property
    def padding(self) -> float:
        """The share of padded tokens that are padding."""
        return 1 - self.each("real") / self.each("padded")

    @property
    def micro_batch_cost(self) -> tuple[float, float]:
        """Seconds that a micro-batch costs by itself, and for each padded token: a line through all that ran.

        Theil and Sen's line, the median of all slopes: one micro-batch that was disturbed does not turn it. Where
        micro-batches are too much alike for a line, all is put down to the tokens.
        """
        passes = [one for measured in self.processes for one in measured.passes]
        some = passes[:: -(-len(passes) // 300)]  # 45,000 pairs at most
        slopes = [(t - s) / (b - a) for (a, s), (b, t) in itertools.combinations(some, 2) if abs(b - a) > 0.1 * a]
        if slopes and (slope := median(slopes)) > 0:
            alone = median(seconds - slope * tokens for tokens, seconds in passes)
            if alone > 0:
                return alone, slope
        return 0.0, sum(seconds for _, seconds in passes) / sum(tokens for tokens, _ in passes)

    @property
    def padding_seconds(self) -> float:
        """What padding costs a process in an update: an estimate, by its tokens."""
        return (self.each("padded") - self.each("real")) / len(self.processes) * self.micro_batch_cost[1]

    def waiting_times(self) -> list[tuple[float, float]]:
        """Of each process, seconds of an update in which it waits for slower ones, and in which gradients travel."""
        found = []
        for measured in self.processes:
            late = [
                min(mine.parts["waiting"], max(other.ready or 0.0 for other in all_of_it) - (mine.ready or 0.0))
                for mine, *all_of_it in zip(measured.updates, *(f.updates for f in self.processes), strict=True)
            ]
            found.append((fmean(late), fmean(u.parts["waiting"] for u in measured.updates) - fmean(late)))
        return found

    @property
    def flops(self) -> float | None:
        """FLOP/s for real tokens, over all processes."""
        counted = [measured.flops for measured in self.processes if measured.flops is not None]
        if len(counted) < len(self.processes):
            return None
        return sum(counted) / len(self.first.updates) / self.seconds

    @property
    def peaks(self) -> dict[str, float]:
        """By precision, the FLOP/s of a matrix product, over all processes."""
        return {name: sum(measured.peaks[name] for measured in self.processes) for name in self.first.peaks}

    def kinds(self) -> list[tuple[str, float]]:
        """Kinds of operators and their share of an update of process 0, the largest first."""
        whole = sum(operator.seconds for operator in self.first.operators)
        shares: dict[str, float] = {}
        for operator in self.first.operators:
            shares[operator.kind] = shares.get(operator.kind, 0.0) + operator.seconds / whole
        return sorted(shares.items(), key=lambda kind: -kind[1])

    def _of_updates(self, what: Any) -> list[float]:
        """Of each update, a number of seconds, the processes' mean."""
        rows: Sequence[tuple[Update, ...]] = list(zip(*(f.updates for f in self.processes), strict=True))
        return [fmean(what(update) for update in row) for row in rows]
