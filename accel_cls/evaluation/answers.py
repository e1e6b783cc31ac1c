"""What a model says of rows whose labels are known: all that is judged after a training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from accel_cls.data.examples import Examples


@dataclass(frozen=True)
class Answers:
    """The logits of labelled examples, each exactly once and in the examples' order."""

    examples: Examples
    logits: np.ndarray  # float32 [examples, outputs]

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def labels(self) -> np.ndarray:
        """What is true, [examples, ...], as the task has encoded it."""
        return self.examples.labels

    @cached_property
    def groups(self) -> np.ndarray:
        """A number for each example, int64 [examples], from 0 on: those of identical texts share one.

        Copies are no independent evidence. What is resampled, or permuted, are therefore groups.
        """
        return np.unique(self.examples.texts.firsts(), return_inverse=True)[1]
