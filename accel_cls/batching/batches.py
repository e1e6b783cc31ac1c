"""Micro-batches as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from accel_cls.batching.layout import MicroBatch
from accel_cls.models.capabilities.padding import Padding, columns_of_text
from accel_cls.models.packing import move, pack
from accel_cls.tokenization.encode import Encoded


@dataclass(frozen=True)
class Batch:
    """A micro-batch, ready for the model, which gives R rows of logits; the last of them may be fillers."""

    # input_ids, attention_mask, token_type_ids: int64 [R, W], a text in each row of W tokens; packed, int64 [1, W],
    # all texts in one, with position_ids and a Packing
    inputs: dict[str, Any]
    labels: torch.Tensor  # [R, ...]: the task's encoded labels; 0 for fillers
    mask: torch.Tensor  # float32 [R]: 1 for an example, 0 for a filler
    examples: tuple[int, ...]  # of each row of logits but the fillers', its example's position in the data set


@dataclass(frozen=True)
class Batches:
    """Makes tensors of micro-batches over one set of tokenized examples."""

    encoded: Encoded
    labels: np.ndarray  # [examples, ...]: the task's encoded labels
    padding: Padding
    device: torch.device
    fixed_tokens: int | None = None  # where shapes must not vary (XLA): rows are filled up to this many tokens,
    fixed_rows: int | None = None  # or to this many rows, if that is less
    first_position: int = 0  # for packed texts: the position id of a text's first token

    def __len__(self) -> int:
        return len(self.labels)

    def make(self, micro_batch: MicroBatch, update: int = 0) -> Batch:
        """A micro-batch's tensors, on the device; where numbers are drawn for them, that is by the update."""
        inputs = self._packed(micro_batch) if micro_batch.packed else self._padded(micro_batch)
        examples = list(micro_batch.examples)
        rows = len(inputs["packing"].first) if micro_batch.packed else len(inputs["input_ids"])
        labels = np.zeros((rows, *self.labels.shape[1:]), self.labels.dtype)
        mask = np.zeros(rows, np.float32)
        labels[: len(examples)] = self.labels[examples]
        mask[: len(examples)] = 1
        return Batch(inputs, move(labels, self.device), move(mask, self.device), micro_batch.examples)

    def _packed(self, micro_batch: MicroBatch) -> dict[str, Any]:
        examples, encoded = np.array(micro_batch.examples, np.int64), self.encoded
        starts = encoded.offsets[examples]
        # A process without examples keeps step with one token of padding.
        lengths = encoded.offsets[examples + 1] - starts if len(examples) else np.ones(1, np.int64)
        packing, positions = pack(lengths, micro_batch.width, self.device)
        # The tokens of text k lie at starts[k], ... in the data, and one after the other in the row.
        tokens = np.empty(0, np.int64)
        if len(examples):
            tokens = np.arange(lengths.sum()) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)

        def in_a_row(values: np.ndarray, filler: int) -> torch.Tensor:
            row = np.full((1, micro_batch.width), filler, np.int64)
            row[0, : len(tokens)] = values[tokens]
            return move(row, self.device)

        inputs: dict[str, Any] = {
            "input_ids": in_a_row(encoded.ids, self.padding.token),
            "position_ids": positions + self.first_position,
            "packing": packing,
        }
        if encoded.types is not None:
            inputs["token_type_ids"] = in_a_row(encoded.types, 0)
        return inputs

    def _padded(self, micro_batch: MicroBatch) -> dict[str, Any]:
        examples, width = micro_batch.examples, micro_batch.width
        rows = max(1, self._rows(width) if self.fixed_tokens else len(examples))
        ids = np.full((rows, width), self.padding.token, np.int64)
        types = np.zeros((rows, width), np.int64)
        mask = np.zeros((rows, width), np.int64)
        for row, example in enumerate(examples):
            start, end = self.encoded.offsets[example], self.encoded.offsets[example + 1]
            where = columns_of_text(int(end - start), width, self.padding.side)
            ids[row, where] = self.encoded.ids[start:end]
            if self.encoded.types is not None:
                types[row, where] = self.encoded.types[start:end]
            mask[row, where] = 1
        # A row that attends to nothing would give NaN, and BART's line looks for the end of each text.
        filler = self.padding.filler[:width] or (self.padding.token,)
        where = columns_of_text(len(filler), width, self.padding.side)
        ids[len(examples) :, where] = filler
        mask[len(examples) :, where] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self.encoded.types is not None:
            inputs["token_type_ids"] = types
        return {name: move(array, self.device) for name, array in inputs.items()}

    def _rows(self, width: int) -> int:
        assert self.fixed_tokens is not None
        rows = self.fixed_tokens // width
        return rows if self.fixed_rows is None else min(rows, self.fixed_rows)
