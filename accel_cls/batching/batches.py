"""Micro-batches as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from accel_cls.batching.layout import MicroBatch
from accel_cls.models.capabilities.padding import Padding, columns_of_text
from accel_cls.models.packing import move, pack
from accel_cls.models.windows import Windows
from accel_cls.tokenization.encoded import Encoded


@dataclass(frozen=True)
class Batch:
    """A micro-batch, ready for the model, which gives R rows of logits; the last of them may be fillers."""

    # input_ids, attention_mask, token_type_ids: int64 [R, W], a text in each row of W tokens; packed, int64 [1, W],
    # all texts in one, with position_ids and a Packing; where texts have windows, these in place of texts, and Windows
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

    def text_lengths(self, examples: Sequence[int]) -> np.ndarray:
        """Tokens of each text of some examples, int32."""
        return self.encoded.lengths[list(examples)]

    def make(self, micro_batch: MicroBatch, update: int = 0) -> Batch:
        """A micro-batch's tensors, on the device; where numbers are drawn for them, that is by the update."""
        examples, starts = np.array(micro_batch.examples, np.int64), self.encoded.starts
        # The rows of token ids: the examples' own, or all of their windows, one example's after the other's.
        counts = np.ones(len(examples), np.int64) if starts is None else starts[examples + 1] - starts[examples]
        rows = examples if starts is None else _stretches(starts[examples], counts)
        lengths = self.encoded.offsets[rows + 1] - self.encoded.offsets[rows]
        # Packed, the longest come first.
        order = np.argsort(-lengths, kind="stable") if micro_batch.packed and starts is not None else slice(None)
        make = self._packed if micro_batch.packed else self._padded
        # A window may have lost a token that stands for nothing, and its neighbour be longer than the mean.
        width = micro_batch.width if starts is None else max(micro_batch.width, int(lengths.max(initial=0)))
        inputs = make(rows[order], lengths[order], width)
        texts = max(1, self._rows(micro_batch.width) if self.fixed_tokens else len(examples))
        if starts is not None:
            inputs["windows"] = self._windows(order, counts)
        labels, mask = self.labels_and_mask(examples, texts)
        return Batch(inputs, move(labels, self.device), move(mask, self.device), micro_batch.examples)

    def labels_and_mask(self, examples: np.ndarray, texts: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch's labels and mask, as `Batch` has them, of so many texts: the examples' and fillers after them."""
        labels = np.zeros((texts, *self.labels.shape[1:]), self.labels.dtype)
        mask = np.zeros(texts, np.float32)
        labels[: len(examples)] = self.labels[examples]
        mask[: len(examples)] = 1
        return labels, mask

    def _windows(self, order: np.ndarray | slice, counts: np.ndarray) -> Windows:
        """Which row, of those in `order`, is of which example; a process without examples has one of padding."""
        counts = counts if len(counts) else np.ones(1, np.int64)
        places = np.arange(counts.sum())
        if not isinstance(order, slice) and len(order):
            places[order] = places.copy()  # where each row has come to
        return Windows.of(places, counts, self.device)

    def _packed(self, rows: np.ndarray, lengths: np.ndarray, width: int) -> dict[str, Any]:
        # A process without examples keeps step with one token of padding.
        packing, positions = pack(lengths if len(rows) else np.ones(1, np.int64), width, self.device)
        inputs = self.rows_of_tokens(rows, lengths, width)
        return {
            **{name: move(array, self.device) for name, array in inputs.items()},
            "position_ids": positions + self.first_position,
            "packing": packing,
        }

    def rows_of_tokens(self, texts: np.ndarray, lengths: np.ndarray, width: int) -> dict[str, np.ndarray]:
        """The inputs that are given for each token of packed texts, int64 [1, width], padding after the texts."""
        tokens = _stretches(self.encoded.offsets[texts], lengths)
        inputs = {"input_ids": np.full((1, width), self.padding.token, np.int64)}
        inputs["input_ids"][0, : len(tokens)] = self.encoded.ids[tokens]
        if self.encoded.types is not None:
            inputs["token_type_ids"] = np.zeros((1, width), np.int64)
            inputs["token_type_ids"][0, : len(tokens)] = self.encoded.types[tokens]
        return inputs

    def _padded(self, texts: np.ndarray, lengths: np.ndarray, width: int) -> dict[str, Any]:
        rows = max(1, self._rows(width) if self.fixed_tokens else len(texts))
        ids = np.full((rows, width), self.padding.token, np.int64)
        types = np.zeros((rows, width), np.int64)
        mask = np.zeros((rows, width), np.int64)
        for row, (start, length) in enumerate(zip(self.encoded.offsets[texts], lengths, strict=True)):
            where = columns_of_text(int(length), width, self.padding.side)
            ids[row, where] = self.encoded.ids[start : start + length]
            if self.encoded.types is not None:
                types[row, where] = self.encoded.types[start : start + length]
            mask[row, where] = 1
        # A row that attends to nothing would give NaN, and BART's line looks for the end of each text.
        filler = self.padding.filler[:width] or (self.padding.token,)
        where = columns_of_text(len(filler), width, self.padding.side)
        ids[len(texts) :, where] = filler
        mask[len(texts) :, where] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self.encoded.types is not None:
            inputs["token_type_ids"] = types
        return {name: move(array, self.device) for name, array in inputs.items()}

    def _rows(self, width: int) -> int:
        assert self.fixed_tokens is not None
        rows = self.fixed_tokens // width
        return rows if self.fixed_rows is None else min(rows, self.fixed_rows)


def _stretches(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers from each start on, as many as its length, one stretch after the other, int64."""
    return np.arange(lengths.sum()) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
