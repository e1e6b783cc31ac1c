"""Which cases fit into the time that there is, and how long a case is expected to take.

Estimates are for one NVIDIA H200 (cases that need a GPU) and for two cores of a server CPU (the others). They are
rough, and on the safe side; what the first cases really took scales them (`Budget.learn`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.models import SHAPES

# Seconds of a contestant beside its updates: imports, model, tokenizing the texts; on a GPU also its context, and
# libraries that a fresh machine has not read yet.
START = {"cpu": 8.0, "cuda": 15.0}
COUNTING = 6.0  # until it is known what was in accel_cls' updates: imports, and the plan once more
MODEL = 8.0  # to make a model's folder
PEAK = 12.0  # to measure how fast a precision's products are
COMPILING = 4.0  # for each layer: two programs, for the first width and then for all, forward and backward
RECOMPILING = 0.3  # of that in later rounds, which find the programs in a cache, but still have to trace the model
# For each text in Python, whoever classifies: tokenizing and softmax of pipeline's batches.
CLASSIFYING = 0.0005

# With padding. A BERT-base was seen to train 6,506 texts of 32 tokens a second on an H200, 256 at a time in bf16, and
# 10 to 20 of 28 tokens a second on two cores.
_TOKENS_PER_SECOND = {"cpu": 300.0, "cuda": 200_000.0}
_LEAST_UPDATE = 0.06  # seconds: however small it is, some thousand operations have to be started
_TOKENS = {"reviews": 28, "titles": 21, "mixed": 64}  # of a text, on average

# Of the whole time, for what comes after the last command: the files of the models are deleted, figures are written.
_REST = 5.0


def tokens_of(texts: str) -> int:
    """How many tokens a text has on average, by the name of its texts."""
    return int(texts.removeprefix("even")) if texts.startswith("even") else _TOKENS[texts]


def training_seconds(model: str, tokens: float, device: str) -> float:
    """Seconds in which a model trains so many tokens, in proportion to a BERT-base."""
    weight = SHAPES[model].layer_weights / SHAPES["bert-base"].layer_weights
    return tokens * weight / _TOKENS_PER_SECOND[device]


def update_seconds(model: str, tokens: float, device: str) -> float:
    """The same for an update of so many tokens, which takes some time however few they are."""
    return max(_LEAST_UPDATE, training_seconds(model, tokens, device))


class Budget:
    """So many seconds from now on, for all cases together.

    Args:
        seconds: until all has to be over.
        clock: what tells the time; the deadline is one of its times.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self.deadline = clock() + seconds - _REST
        self._expected = self._took = 0.0

    def refusal(self, expected: float) -> str | None:
        """Why a case that is expected to take so many seconds is not begun; None where it fits."""
        scaled = expected * self._took / self._expected if self._expected else expected
        left = max(0.0, self.deadline - self._clock())
        if scaled <= left:
            return None
        return f"expected to take {scaled:.0f} s, and {left:.0f} of {self.seconds:g} s are left"

    def learn(self, expected: float, took: float) -> None:
        """What a case really took: all later estimates are scaled by all cases so far."""
        self._expected += expected
        self._took += took
