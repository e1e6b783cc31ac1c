"""Micro-batches as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from accel_cls.batching.layout import MicroBatch
from accel_cls.errors import UserError
from accel_cls.models.packing import move, pack
from accel_cls.tokenization.encode import Encoded


@dataclass(frozen=True)
class Batch:
    """A micro-batch, ready for the model: R texts, in a row of W tokens each, or all in one. Some may be fillers."""

    # input_ids, attention_mask, token_type_ids: int64 [R, W]; packed, int64 [1, W], with position_ids and a Packing
    inputs: dict[str, Any]
    labels: torch.Tensor  # int64 [R]; 0 where there is no example
    weights: torch.Tensor  # float32 [R]; 0 where there is no example


@dataclass(frozen=True)
class Batches:
    """Makes tensors of micro-batches over one set of tokenized examples."""

    encoded: Encoded
    labels: np.ndarray  # int64: class ids
    class_weights: np.ndarray  # float32 [classes]
    pad_id: int
    device: torch.device
    fixed_tokens: int | None  # where shapes must not vary (XLA): rows are filled up to this many tokens,
    fixed_rows: int | None = None  # or to this many rows, if that is less
    first_position: int = 0  # for packed texts: the position id of a text's first token
    rows: tuple[str, ...] = ()  # where each example stands, as people find it

    def weight(self, examples: np.ndarray) -> float:
        """The global weight of an update: the sum of its examples' class weights."""
        return float(self.class_weights[self.labels[examples]].sum(dtype=np.float64))

    def make(self, micro_batch: MicroBatch) -> Batch:
        """A micro-batch's tensors, on the device."""
        inputs = self._packed(micro_batch) if micro_batch.packed else self._padded(micro_batch)
        examples = list(micro_batch.examples)
        texts = len(inputs["packing"].first) if micro_batch.packed else len(inputs["input_ids"])
        labels = np.zeros(texts, np.int64)
        weights = np.zeros(texts, np.float32)
        labels[: len(examples)] = self.labels[examples]
        weights[: len(examples)] = self.class_weights[self.labels[examples]]
        return Batch(inputs, move(labels, self.device), move(weights, self.device))

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
            "input_ids": in_a_row(encoded.ids, self.pad_id),
            "position_ids": positions + self.first_position,
            "packing": packing,
        }
        if encoded.types is not None:
            inputs["token_type_ids"] = in_a_row(encoded.types, 0)
        return inputs

    def _padded(self, micro_batch: MicroBatch) -> dict[str, Any]:
        examples, width = micro_batch.examples, micro_batch.width
        rows = max(1, self._rows(width) if self.fixed_tokens else len(examples))
        ids = np.full((rows, width), self.pad_id, np.int64)
        types = np.zeros((rows, width), np.int64)
        mask = np.zeros((rows, width), np.int64)
        for row, example in enumerate(examples):
            start, end = self.encoded.offsets[example], self.encoded.offsets[example + 1]
            ids[row, : end - start] = self.encoded.ids[start:end]
            if self.encoded.types is not None:
                types[row, : end - start] = self.encoded.types[start:end]
            mask[row, : end - start] = 1
        mask[len(examples) :, 0] = 1  # a row that attends to nothing would give NaN
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self.encoded.types is not None:
            inputs["token_type_ids"] = types
        return {name: move(array, self.device) for name, array in inputs.items()}

    def _rows(self, width: int) -> int:
        assert self.fixed_tokens is not None
        rows = self.fixed_tokens // width
        return rows if self.fixed_rows is None else min(rows, self.fixed_rows)


def class_weights(rule: str | dict[str | int, float] | None, labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The weight of each class in the loss, float32 [classes].

    "balanced" gives class c of C with n_c of n examples the weight n / (C n_c), as scikit-learn does; a
    class without examples gets 0. Raises UserError where a mapping does not name just the classes.
    """
    if rule is None:
        return np.ones(len(names), np.float32)
    if isinstance(rule, dict):
        weights = {str(name): weight for name, weight in rule.items()}
        if set(weights) != set(names):
            raise UserError(
                f"train.class_weights: found weights for {', '.join(weights)}; expected one for each class: "
                f"{', '.join(names)}"
            )
        return np.array([weights[name] for name in names], np.float32)
    counts = np.bincount(labels, minlength=len(names))
    balanced = np.where(counts, len(labels) / (len(names) * np.maximum(counts, 1)), 0.0)
    return balanced.astype(np.float32)
