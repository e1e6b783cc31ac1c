"""What each process really did, update by update: the evidence that `accel-cls parity` compares.

A training writes it where the recipe says `train.trace: true`: `trace/process-K.jsonl` has a line for each update,
with the micro-batches that process K ran; `trace/weights.safetensors` has the last weights, whole. The training stays
what it is: nothing is drawn and nothing is sent for it, but each update waits for its losses.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from accel_cls.atomic import json_text
from accel_cls.batching.layout import MicroBatch
from accel_cls.devices.prepare import whole_weights


@dataclass(frozen=True)
class TracedPart:
    """A micro-batch as it was run."""

    index: int  # its place in the update
    width: int  # tokens in each row, padding included
    examples: list[int]  # positions in the training data
    loss: float  # its share of the update's loss
    process: int = 0  # which ran it


@dataclass(frozen=True)
class TracedUpdate:
    """An update as it was made by all processes together."""

    update: int  # counted from 1
    learning_rate: float
    grad_norm: float  # before it was clipped; nan where it is not known, or not finite
    parts: list[TracedPart]  # in the order of their index

    @property
    def loss(self) -> float:
        """The loss of the whole update."""
        return sum(part.loss for part in self.parts)


class Trace:
    """Records one process's part of a training; without a folder it does nothing."""

    def __init__(self, folder: Path | None, process: int):
        self._folder = folder
        self._process = process
        self._parts: list[tuple[int, MicroBatch, torch.Tensor]] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def micro_batch(self, index: int, part: MicroBatch, loss: torch.Tensor) -> None:
        """A micro-batch is done; `loss` is a float32 scalar on the device."""
        if self._folder is not None and part.examples:
            self._parts.append((index, part, loss))

    def update(self, update: int, rate: float, norm: torch.Tensor | float | None) -> None:
        """The `update`-th update is done; `norm` is its gradient's, the same on every process."""
        if self._folder is None:
            return
        parts = [
            TracedPart(index, part.width, list(part.examples), loss.item(), self._process)
            for index, part, loss in self._parts
        ]
        self._parts.clear()
        norm = float("nan") if norm is None else float(norm)
        with open(self._folder / f"process-{self._process}.jsonl", "a", encoding="utf-8") as file:
            file.write(json_text(asdict(TracedUpdate(update, rate, norm, parts))) + "\n")

    def weights(self, accelerator: Accelerator, model: torch.nn.Module) -> None:
        """Save the model's weights. Called by all processes, since they may be sharded."""
        if self._folder is None:
            return
        state = whole_weights(accelerator, model)
        if accelerator.is_main_process:
            whole = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}  # safetensors shares none
            beside = self._folder / ".weights.safetensors.partial"
            save_file(whole, beside)
            beside.replace(self._folder / "weights.safetensors")
        accelerator.wait_for_everyone()


def read_trace(folder: Path) -> list[TracedUpdate]:
    """A run's updates in order, each put together from all processes.

    Raises:
        ValueError: where an update is missing, or its micro-batches are not there just once.
    """
    lines: dict[int, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("process-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            lines.setdefault(record["update"], []).append(record)
    updates: list[TracedUpdate] = []
    for number, records in sorted(lines.items()):
        if number != len(updates) + 1:
            raise ValueError(f"{folder}: update {len(updates) + 1} is missing")
        first = records[0]
        parts = [_part(part) for record in records for part in record["parts"]]
        updates.append(
            TracedUpdate(
                number,
                first["learning_rate"],
                float("nan") if first["grad_norm"] is None else first["grad_norm"],
                sorted(parts, key=lambda part: part.index),
            )
        )
        if [part.index for part in updates[-1].parts] != list(range(len(parts))):
            raise ValueError(f"{folder}: update {number} has micro-batches {[p.index for p in updates[-1].parts]}")
    return updates


def _part(record: dict[str, Any]) -> TracedPart:
    loss = float("nan") if record["loss"] is None else record["loss"]
    return TracedPart(**(record | {"loss": loss}))
