"""Judges data of many sizes by `predict_examples` on the processes that a launcher started; writes what each got.

Its model is a look-up: the logits of an example are numbers that only this example has.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from accelerate import Accelerator

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout
from accel_cls.evaluation.predictions import Predictions, predict_examples
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.packing import Packing
from accel_cls.tokenization.encoded import Encoded

SIZES = (1, 2, 3, 4, 5, 6, 7, 12, 13, 31, 60)
TOKENS, LONGEST = 64, 48
CLASSES = 3


class LookUp(torch.nn.Module):
    """The first token of an example is its number; the logits are its multiples."""

    def forward(self, input_ids: torch.Tensor, packing: Packing | None = None, **_: torch.Tensor) -> SimpleNamespace:
        first = input_ids[:, 0] if packing is None else input_ids[0, packing.first]
        return SimpleNamespace(logits=first[:, None] * torch.tensor([1.0, 10.0, 100.0]))


def expected(count: int) -> list[list[float]]:
    return [[i, 10.0 * i, 100.0 * i] for i in range(count)]


def batches_of(count: int, fixed_tokens: int | None = None) -> Batches:
    """Examples of very different lengths, up to LONGEST: few of the longest fit into a micro-batch."""
    lengths = 1 + np.random.default_rng(count).integers(LONGEST, size=count)
    ids = np.concatenate([[i] + [0] * (int(length) - 1) for i, length in enumerate(lengths)]).astype(np.int32)
    encoded = Encoded(ids, None, np.concatenate([[0], np.cumsum(lengths)]), 0)
    return Batches(encoded, np.arange(count) % CLASSES, Padding(0), torch.device("cpu"), fixed_tokens)


def judge(accelerator: Accelerator, batches: Batches, packed: bool = False) -> Predictions:
    return predict_examples(accelerator, LookUp(), batches, Layout(TOKENS, LONGEST, packed=packed), CLASSES)


def main(folder: Path) -> None:
    accelerator = Accelerator(cpu=True)
    found = {
        f"{size} {packed}": judge(accelerator, batches_of(size), packed).logits.tolist()
        for size in SIZES
        for packed in (False, True)
    }
    (folder / f"process-{accelerator.process_index}.json").write_text(json.dumps(found))
    accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
