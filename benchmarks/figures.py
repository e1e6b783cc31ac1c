"""Medians, spreads and ratios over rounds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A quantity over all rounds."""

    median: float
    least: float
    most: float
    rounds: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Summarize one value a round."""
        return cls(statistics.median(values), min(values), max(values), tuple(values))

    def record(self) -> dict[str, object]:
        """As it stands in the JSON file."""
        return asdict(self)

    def show(self, digits: str = ".3g", factor: float = 1.0, unit: str = "") -> str:
        """Median, and least to most where they are seen to differ, such as "12.3 (12.1–12.5)"."""
        middle, least, most = (_number(value * factor, digits) for value in (self.median, self.least, self.most))
        spread = f" ({least}–{most})" if least != most else ""
        return f"{middle}{unit}{spread}"


def ratio(mine: Sequence[float], other: Sequence[float]) -> Figure:
    """Mine over the other's, round by round: what slows the machine for a minute slows both of a round."""
    return Figure.of([a / b for a, b in zip(mine, other, strict=True)])


def show_memory(rounds: Sequence[Mapping[str, Any]], device: str) -> str:
    """The peak memory of a contestant: of its process in a case on a CPU, else of the GPU, where it is known."""
    if device == "cpu":
        return Figure.of([one["peak_bytes"] for one in rounds]).show(".2f", 1e-9, " GB")
    peaks = [one["device_peak_bytes"] for one in rounds]
    return "–" if None in peaks else f"{Figure.of(peaks).show('.2f', 1e-9, ' GB')} of the GPU's"


def _number(value: float, digits: str) -> str:
    if digits == ".3g" and abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:{digits}}"
