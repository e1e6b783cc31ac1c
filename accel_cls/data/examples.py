"""Labelled texts, and rows that can't be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from accel_cls.data.texts import Texts

Part = Literal["validation", "test"]  # of a corpus, whose labels a model is judged by


@dataclass(frozen=True)
class Examples:
    """Labelled texts. All sequences have one entry for each example."""

    texts: Texts  # column "text", and "pair" for text pairs; take columns with [:], rows one by one are slow
    labels: np.ndarray  # [examples, ...]: what the task has encoded, such as int64 class ids
    rows: tuple[str, ...]  # where each stands: "file.csv:17" is the 17th row after the header
    columns: Texts | None = None  # others that data.slices names, of those that are judged; nothing is learned of them

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: np.ndarray) -> Examples:
        """The examples at these positions, in this order."""
        columns = None if self.columns is None else self.columns.select(indices)
        rows = tuple(self.rows[int(i)] for i in indices)
        return Examples(self.texts.select(indices), self.labels[indices], rows, columns)

    def followed_by(self, others: Examples) -> Examples:
        """These, and then others, without the columns that data.slices names."""
        texts = Texts.joined([self.texts, others.texts])
        return Examples(texts, np.concatenate([self.labels, others.labels]), (*self.rows, *others.rows))


@dataclass(frozen=True)
class InvalidRows:
    """Rows that can't be used, and why."""

    key: str  # "data.train", "data.validation" or "data.test"
    reason: str
    rows: tuple[str, ...]

    def __str__(self) -> str:
        count = len(self.rows)
        more = f" and {count - 5} more" if count > 5 else ""
        return f"{self.reason} in {count} row{'s' if count > 1 else ''}: {', '.join(self.rows[:5])}{more}"
