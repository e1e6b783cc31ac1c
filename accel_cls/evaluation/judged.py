"""What is judged: rows whose labels are known, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accel_cls.tasks import Task


@dataclass(frozen=True)
class Judged:
    """Rows with what is true and what a model says, each row once; all that a metric may look at."""

    labels: np.ndarray  # the task's encoded labels: int64 class ids [rows], 0 and 1 [rows, classes], float64 [rows]
    predicted: np.ndarray  # likewise
    probabilities: np.ndarray  # float64 [rows, classes]; [rows, 0] of a task without classes
    logits: np.ndarray  # float32 [rows, outputs]
    classes: int  # how many there are, those included that are neither there nor predicted
    task: Task | None = None  # whose losses these are; None where nobody asks for them

    @classmethod
    def of(cls, task: Task, labels: np.ndarray, logits: np.ndarray) -> Judged:
        """What logits, float32 [rows, outputs], say of rows with these labels."""
        decoded = task.decode(logits)
        return cls(labels, decoded.predicted, decoded.probabilities, logits, logits.shape[1], task)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def losses(self) -> np.ndarray:
        """What each row adds to the mean loss, float64 [rows]."""
        assert self.task is not None
        return self.task.row_losses(self.logits, self.labels)

    def select(self, rows: np.ndarray) -> Judged:
        """Some of the rows, each as often as its index is in `rows`, int [any]: a resample, or a slice."""
        labels, predicted, probabilities, logits = self.labels, self.predicted, self.probabilities, self.logits
        return Judged(labels[rows], predicted[rows], probabilities[rows], logits[rows], self.classes, self.task)
