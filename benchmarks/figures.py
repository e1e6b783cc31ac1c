"""Medians, spreads and ratios over rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


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


def _number(value: float, digits: str) -> str:
    if digits == ".3g" and abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:{digits}}"
