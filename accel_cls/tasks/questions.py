"""What labels say of each example, as a choice among answers: what doubts of labels are about, whatever the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Question:
    """One choice that every label makes: which class it is; or, of several classes a text, whether it has one."""

    given: np.ndarray  # int64 [examples], the answers that the labels give
    probabilities: np.ndarray  # float64 [examples, answers], a model's
    answers: tuple[str, ...]  # in words
    relabel: Callable[[Any, int], Any]  # an entry of the encoded labels, with another answer in its place
