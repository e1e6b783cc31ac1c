"""Micro-batches as tensors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import MicroBatch
from accel_cls.models.capabilities.padding import Padding
from accel_cls.tokenization.encoded import Encoded

TEXTS = [[2, 11, 3], [2, 12, 13, 14, 3], [2, 3], [2, 15, 3, 16, 17, 3]]
TYPES = [[0, 0, 0], [0, 0, 0, 0, 0], [0, 0], [0, 0, 0, 1, 1, 1]]


def make_batches(fixed_tokens=None, types=TYPES, pad_id=9):
    encoded = Encoded(
        ids=np.array([i for text in TEXTS for i in text], np.int32),
        types=None if types is None else np.array([t for row in types for t in row], np.int8),
        offsets=np.cumsum([0, *map(len, TEXTS)]),
        truncated=0,
    )
    return Batches(encoded, np.array([0, 1, 2, 1]), Padding(pad_id), torch.device("cpu"), fixed_tokens)


def test_packed_texts_lie_one_after_the_other():
    batch = replace(make_batches(), first_position=2).make(MicroBatch((3, 1, 0), 32, packed=True))
    assert batch.inputs["input_ids"].tolist() == [[*TEXTS[3], *TEXTS[1], *TEXTS[0], *[9] * 18]]
    assert batch.inputs["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1, *[0] * 26]]
    assert batch.inputs["position_ids"].tolist() == [[*range(2, 8), *range(2, 7), *range(2, 5), *[2] * 18]]
    assert batch.inputs["packing"].first.tolist() == [0, 6, 11]
    assert batch.labels.tolist() == [1, 1, 0]
    assert batch.mask.tolist() == [1.0, 1.0, 1.0]
    assert batch.examples == (3, 1, 0)


def test_process_that_only_keeps_step_has_a_row_too():
    batch = make_batches().make(MicroBatch((), 64, packed=True))
    assert batch.inputs["input_ids"].shape == (1, 64)
    assert batch.inputs["packing"].first.tolist() == [0]
    assert batch.mask.tolist() == [0.0]
    assert batch.examples == ()


def test_ids_are_padded_and_masked():
    batch = make_batches().make(MicroBatch((1, 0), 8))
    assert batch.inputs["input_ids"].tolist() == [[2, 12, 13, 14, 3, 9, 9, 9], [2, 11, 3, 9, 9, 9, 9, 9]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]]


def test_labels_and_examples_stand_beside_their_rows():
    batch = make_batches().make(MicroBatch((2, 3, 0), 8))
    assert batch.labels.tolist() == [2, 1, 0]
    assert batch.mask.tolist() == [1.0, 1.0, 1.0]
    assert batch.examples == (2, 3, 0)


def test_kinds_of_numbers():
    batch = make_batches().make(MicroBatch((0,), 8))
    assert {tensor.dtype for tensor in batch.inputs.values()} == {torch.int64}
    assert batch.labels.dtype == torch.int64
    assert batch.mask.dtype == torch.float32


def test_token_types_of_pairs():
    assert make_batches().make(MicroBatch((3,), 8)).inputs["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1, 0, 0]]


def test_model_without_token_types_gets_none():
    assert set(make_batches(types=None).make(MicroBatch((3,), 8)).inputs) == {"input_ids", "attention_mask"}


def test_text_as_wide_as_the_row_has_no_padding():
    batch = make_batches().make(MicroBatch((3,), 6))
    assert batch.inputs["input_ids"].tolist() == [TEXTS[3]]
    assert batch.inputs["attention_mask"].tolist() == [[1] * 6]


@pytest.mark.parametrize("fixed_tokens", [None, 32])
def test_empty_micro_batch_weighs_nothing_but_runs(fixed_tokens):
    batch = make_batches(fixed_tokens).make(MicroBatch((), 16))
    assert batch.inputs["input_ids"].shape == (1 if fixed_tokens is None else 2, 16)
    assert batch.mask.sum() == 0
    assert (batch.inputs["attention_mask"].sum(1) > 0).all()


def test_fixed_shape_is_filled_up_with_rows_that_weigh_nothing():
    batches = make_batches(fixed_tokens=40)
    few, many = batches.make(MicroBatch((1,), 8)), batches.make(MicroBatch((3, 1, 0, 2), 8))
    assert few.inputs["input_ids"].shape == many.inputs["input_ids"].shape == (5, 8)
    assert few.mask.tolist() == [1, 0, 0, 0, 0]
    assert few.labels.tolist() == [1, 0, 0, 0, 0]
    assert few.inputs["input_ids"][1:].tolist() == [[9] * 8] * 4
    assert few.inputs["attention_mask"].sum(1).tolist() == [5, 1, 1, 1, 1]


def test_fixed_shape_has_no_more_rows_than_an_update_has_examples():
    batches = replace(make_batches(fixed_tokens=400), fixed_rows=3)
    assert batches.make(MicroBatch((1,), 8)).inputs["input_ids"].shape == (3, 8)
    assert batches.make(MicroBatch((1, 0), 200)).inputs["input_ids"].shape == (2, 200)


def test_labels_of_many_columns_keep_their_kind_and_fillers_have_none():
    labels = np.array([[1, 0], [0, 0], [1, 1], [0, 1]], np.float32)
    batch = replace(make_batches(fixed_tokens=24), labels=labels).make(MicroBatch((2, 3), 8))
    assert batch.labels.dtype == torch.float32
    assert batch.labels.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert batch.mask.tolist() == [1, 1, 0]
