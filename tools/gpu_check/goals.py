"""What is wanted of a GPU's speed, against what the benchmarks' `gpu-*` cases found (docs/speed.md)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.gpu_check.findings import Finding

_OURS, _TRAINER, _PIPELINE = "accel_cls", "trainer_best", "pipeline"


@dataclass(frozen=True)
class Goal:
    """Of a case: how many times as fast as the better of the others, and which share of what the device could do."""

    times: float = 1.0  # never slower
    floor: float = 0.0  # of the floor's speed
    peak: float = 0.0  # of the measured peak FLOP/s


GOALS = {
    "gpu-base-reviews-16": Goal(8, floor=0.25),
    "gpu-base-reviews-64": Goal(4),
    "gpu-base-reviews-256": Goal(),
    "gpu-base-titles-16": Goal(),
    "gpu-base-mixed-16": Goal(),
    "gpu-tiny-reviews-32": Goal(8),
    "gpu-e5-reviews-16": Goal(8),
    "gpu-base-even-32": Goal(2.5, floor=0.5),
    "gpu-base-even-128": Goal(),
    "gpu-base-even-512": Goal(),
    "gpu-large-even-32": Goal(),
    "gpu-large-even-128": Goal(1.3, peak=0.45),
    "gpu-large-even-512": Goal(1.3, peak=0.45),
    "gpu-predict-base": Goal(5),
    "gpu-predict-e5": Goal(5),
    "gpu-predict-tiny": Goal(5),
}


def reached(record: Mapping[str, Any]) -> Iterator[Finding]:
    """Of each case that was measured, whether its goals are met: by the median over rounds."""
    for case in record["cases"]:
        goal = GOALS.get(case["name"])
        if goal is None:
            continue
        speeds = {
            who: statistics.median(speed_of(case, one) for one in rounds)
            for who, rounds in case["rounds"].items()
            if rounds
        }
        ours = [who for who in speeds if who.startswith(_OURS)]
        others = [speed for who, speed in speeds.items() if who.startswith((_TRAINER, _PIPELINE))]
        if not ours or not others:
            continue
        who = max(ours, key=lambda name: speeds[name])
        found = [("times as fast", speeds[who] / max(others), goal.times, "{:.2f}")]
        for share, wanted, name in (("floor_share", goal.floor, "of the floor"), ("flop_share", goal.peak, "of peak")):
            if wanted:
                reached_share = statistics.median(one[share] for one in case["rounds"][who])
                found.append((name, reached_share, wanted, "{:.0%}"))
        memory = [_memory(rounds) for rounds in (case["rounds"][who], *_of(case, (_TRAINER, _PIPELINE)))]
        if not any(math.isnan(peak) for peak in memory):
            found.append(("of its memory", memory[0] / max(memory[1:]), -1.0, "{:.2f}"))
        text = ", ".join(
            f"{form.format(value)} {name} ({'at most 1' if wanted < 0 else form.format(wanted)} wanted)"
            for name, value, wanted, form in found
        )
        yield Finding(f"goal of {case['name']}", text, all(_is_met(value, wanted) for _, value, wanted, _ in found))


def _is_met(value: float, wanted: float) -> bool:
    return value <= -wanted if wanted < 0 else value >= wanted


def _of(case: Mapping[str, Any], names: tuple[str, ...]) -> list[Any]:
    return [rounds for who, rounds in case["rounds"].items() if who.startswith(names) and rounds]


def speed_of(case: Mapping[str, Any], one: Mapping[str, Any]) -> float:
    """Texts a second of one round of a case: of updates, or of a classification."""
    return one.get("examples_per_second") or case["count"] / one["seconds"]


def _memory(rounds: list[dict[str, Any]]) -> float:
    """The device's peak bytes; nan where they are not known."""
    peaks = [one.get("device_peak_bytes") for one in rounds]
    return statistics.median(math.nan if peak is None else peak for peak in peaks)
