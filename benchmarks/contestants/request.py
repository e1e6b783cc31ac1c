"""What a contestant is asked to do: one JSON file, the same for all, so that they differ in their settings alone."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """A piece of work, and where to write what it took."""

    model: str  # a folder with a classifier and its tokenizer
    texts: str  # a csv with the columns text and label
    result: str  # the JSON file to write
    batch: int = 32  # texts an update
    parts: int = 1  # in which the Trainer takes them, one after the other
    max_length: int = 512  # tokens
    warm: int = 0  # updates that are not counted, at the beginning
    updates: int = 0  # in all
    precision: str = "fp32"  # or bf16
    compiled: bool = False  # by torch.compile, where the contestant is a Trainer
    seed: int = 42
    device: str = "cpu"  # or cuda

    def write(self, path: Path) -> Path:
        """Put the request where a contestant finds it."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    def read_texts(self) -> tuple[list[str], list[int]]:
        """Texts and class ids."""
        with open(self.texts, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [row["text"] for row in rows], [int(row["label"]) for row in rows]

    def warm_up(self, texts: list[str]) -> list[str]:
        """Texts to be classified before the clock starts: on a GPU the longest batch, on a CPU none.

        A GPU's first kernels are loaded, and memory is allocated, where they are first needed. All
        reviews take a GPU a few seconds only.
        """
        return [] if self.device == "cpu" else sorted(texts, key=len)[-self.batch :]

    def answer(self, result: Mapping[str, Any]) -> None:
        """Write what it took."""
        Path(self.result).write_text(json.dumps(result), encoding="utf-8")


def from_command_line() -> Request:
    """The request whose file is the only argument."""
    return Request(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
