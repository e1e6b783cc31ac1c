"""Compare what two trainings of one recipe really did: examples, micro-batches, losses, gradients, weights, scores."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from accel_cls.runs.folder import RunFolder
from accel_cls.training.trace import TracedUpdate, read_trace


@dataclass(frozen=True)
class TrainedRun:
    """What one run recorded."""

    updates: list[TracedUpdate]
    weights: dict[str, np.ndarray]
    rows: list[str]  # of the validation data, in the order of its predictions
    probabilities: (
        np.ndarray
    )  # float64 [rows, classes]; of regression the answers [rows, 1], in the labels' deviations

    @classmethod
    def of(cls, folder: Path) -> TrainedRun:
        """Read a run folder. Raises ValueError where its trace is not that of one whole training."""
        run = RunFolder(folder)
        with open(run.predictions(), encoding="utf-8-sig", newline="") as file:
            predictions = list(csv.DictReader(file))
        columns, unit = [name for name in predictions[0] if name.startswith("p(")], 1.0
        if not columns:
            columns, unit = ["predicted"], float(np.std([float(row["label"]) for row in predictions]))
        return cls(
            read_trace(run.trace),
            load_file(run.trace / "weights.safetensors"),
            [row["row"] for row in predictions],
            np.array([[float(row[name]) for name in columns] for row in predictions]) / unit,
        )


@dataclass(frozen=True)
class Comparison:
    """How two trainings differ. Updates are counted from 1; None is none."""

    updates: int
    examples: int | None  # the first update that is made of other examples
    cut: int | None  # the first update that is cut otherwise
    rate: int | None  # the first update at another learning rate
    loss: np.ndarray  # float64 [updates]: relative difference
    gradient: np.ndarray  # float64 [updates]: relative difference of the norm
    weights: float  # |a - b| / |a| over all weights at the end
    weight: float  # the largest difference of a single one
    rows: bool  # whether the same validation rows were evaluated, each once
    probability: float  # the largest difference of a probability; nan for other rows

    def first_beyond(self, tolerance: float | np.ndarray) -> int | None:
        """The first update whose loss or gradient norm differs by more."""
        beyond = np.flatnonzero(~((self.loss <= tolerance) & (self.gradient <= tolerance)))
        return int(beyond[0]) + 1 if len(beyond) else None


def compare(reference: TrainedRun, other: TrainedRun) -> Comparison:
    """Compare two trainings.

    Raises:
        ValueError: where they differ in their number of updates or in the names of their weights.
    """
    a, b = reference.updates, other.updates
    if len(a) != len(b):
        raise ValueError(f"one training made {len(a)} updates, the other {len(b)}")
    if reference.weights.keys() != other.weights.keys():
        raise ValueError(f"weights differ by name: {sorted(reference.weights.keys() ^ other.weights.keys())[:3]}")
    weights = [(reference.weights[name].astype(np.float64), other.weights[name]) for name in reference.weights]
    squares = sum(((x - y) ** 2).sum() for x, y in weights) / sum((x**2).sum() for x, _ in weights)
    rows = reference.rows == other.rows and len(set(other.rows)) == len(other.rows)
    return Comparison(
        updates=len(a),
        examples=_first(a, b, lambda update: sorted(i for part in update.parts for i in part.examples)),
        cut=_first(a, b, lambda update: [(part.width, part.examples) for part in update.parts]),
        rate=_first(a, b, lambda update: update.learning_rate),
        loss=_relative([update.loss for update in a], [update.loss for update in b]),
        gradient=_relative([update.grad_norm for update in a], [update.grad_norm for update in b]),
        weights=float(np.sqrt(squares)),
        weight=float(max(np.abs(x - y).max() for x, y in weights)),
        rows=rows,
        probability=float(np.abs(reference.probabilities - other.probabilities).max()) if rows else float("nan"),
    )


def _first(a: Sequence[TracedUpdate], b: Sequence[TracedUpdate], what: Callable[[TracedUpdate], Any]) -> int | None:
    return next((left.update for left, right in zip(a, b, strict=True) if what(left) != what(right)), None)


def _relative(a: Sequence[float], b: Sequence[float]) -> np.ndarray:
    """|a - b| / |a|; 0 where both are equal, also where both are 0."""
    left, right = np.array(a, np.float64), np.array(b, np.float64)
    return np.abs(left - right) / np.maximum(np.abs(left), np.finfo(np.float64).tiny)
