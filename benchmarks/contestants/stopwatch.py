"""When each update of a Trainer ended, and what was in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from benchmarks.contestants import device
from benchmarks.contestants.request import Request


class Stopwatch(TrainerCallback):
    """Notes the end of every update; costs a microsecond.

    On a GPU an update ends when Python has given the device all of it, and Python goes on to the next one meanwhile.
    So it waits for the device only twice: after the last warm update and after the last of all. Between these updates
    are counted.

    Args:
        parts: batches of an update.
        warm: updates that are not counted.
        updates: in all.
    """

    def __init__(self, parts: int = 1, warm: int = 0, updates: int = 0) -> None:
        self._parts = parts
        self._marks = (warm, updates)
        self.programs: list[int] = []  # torch.compile's, at each of the two marks
        self.allocations: list[int] = []  # of the GPU's memory, likewise
        self.begins: list[float] = []  # seconds since the epoch, one for each update
        self.ends: list[float] = []  # seconds since the epoch, one for each update
        self.examples: list[int] = []  # of each batch, in the order of the updates
        self.tokens: list[int] = []  # without padding
        self.squares: list[int] = []  # sum of the squared lengths: what attention grows with

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the Trainer when a batch is there."""
        self.begins.append(time.time())

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the Trainer when an update is done."""
        if len(self.ends) + 1 in self._marks:
            device.wait()
            self.programs.append(device.programs())
            self.allocations.append(device.allocations())
        self.ends.append(time.time())

    def counting(self, collate: Callable[[list[dict[str, Any]]], Any]) -> Callable[[list[dict[str, Any]]], Any]:
        """The same collator, which also counts; batches are made in this process, in the order of the updates."""

        def collate_and_count(features: list[dict[str, Any]]) -> Any:
            lengths = [int(sum(feature["attention_mask"])) for feature in features]
            self.examples.append(len(lengths))
            self.tokens.append(sum(lengths))
            self.squares.append(sum(length * length for length in lengths))
            return collate(features)

        return collate_and_count

    def result(self) -> dict[str, Any]:
        """What the harness reads. A batch that was made ahead and never trained on is left out."""
        return {
            "begins": self.begins,
            "ends": self.ends,
            "examples": self._by_update(self.examples),
            "tokens": self._by_update(self.tokens),
            "squares": self._by_update(self.squares),
            "programs": self.programs,
            "allocations": self.allocations,
            "device_peak_bytes": device.peak_bytes(),
        }

    def _by_update(self, counts: list[int]) -> list[int]:
        return [sum(counts[self._parts * at :][: self._parts]) for at in range(len(self.ends))]


def train_on_the_clock(
    request: Request,
    model: torch.nn.Module,
    arguments: TrainingArguments,
    data: Dataset,
    collate: Callable[[Any], Any],
) -> None:
    """Let a Trainer train, and answer the request with what the stopwatch saw."""
    stopwatch = Stopwatch(request.parts, request.warm, request.updates)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=stopwatch.counting(collate),
        callbacks=[stopwatch],
    )
    trainer.train()
    request.answer(stopwatch.result())
