"""Threads that share one model or one tokenizer each get what a single thread gets."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import text_of, write_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
)

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout
from accel_cls.data.texts import Texts
from accel_cls.inference.loading import load_classifier
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.packing import make_packable
from accel_cls.tokenization.encode import encode
from accel_cls.tokenization.encoded import Encoded
from accel_cls.tokenization.vocabulary import learn_tokenizer

_SMALL = {"vocab_size": 90, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_labels": 3}
_MODERN = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}


@pytest.fixture(autouse=True)
def _many_switches() -> Iterator[None]:
    """Python changes the thread as often as it can, so that what can go wrong between two lines does."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def _in_threads(work: Callable[[int], None], count: int) -> None:
    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(work, range(count)):
            pass


@pytest.mark.parametrize(
    "model",
    [
        lambda: BertForSequenceClassification(BertConfig(**_SMALL, intermediate_size=32)),
        lambda: ModernBertForSequenceClassification(ModernBertConfig(**_SMALL, **_MODERN, intermediate_size=32)),
    ],
    ids=["bert", "modernbert"],
)
def test_threads_share_a_packed_model(model: Callable[[], torch.nn.Module]) -> None:
    torch.manual_seed(1)
    classifier = model().eval()
    first = make_packable(classifier)
    draw = np.random.default_rng(3)
    asked = []
    for lengths in ([70, 3, 16], [15, 17, 44, 2], [1], [33, 20, 8, 64, 5, 6]):
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        encoded = Encoded(draw.integers(5, 90, offsets[-1]).astype(np.int32), None, offsets, 0)
        labels = np.zeros(len(lengths), np.int64)
        batches = Batches(encoded, labels, Padding(0), torch.device("cpu"), None, first_position=first)
        (micro_batch,) = Layout(512, 128, packed=True).to_micro_batches(np.arange(len(lengths)), encoded.lengths)
        asked.append(batches.make(micro_batch).inputs)
    with torch.inference_mode():
        expected = [classifier(**inputs).logits for inputs in asked]

    def work(i: int) -> None:
        with torch.inference_mode():
            logits = classifier(**asked[i % 4]).logits
        assert logits.shape == expected[i % 4].shape
        assert torch.allclose(logits, expected[i % 4], atol=1e-5), i

    _in_threads(work, 400)


def test_a_failed_pass_leaves_nothing_behind() -> None:
    model = BertForSequenceClassification(BertConfig(**_SMALL, intermediate_size=32)).eval()
    make_packable(model)
    ids = torch.tensor([[5, 6, 7]])
    expected = model(ids).logits
    encoded = Encoded(np.arange(5, 15, dtype=np.int32), None, np.array([0, 6, 10]), 0)
    batches = Batches(encoded, np.zeros(2, np.int64), Padding(0), torch.device("cpu"), None)
    (micro_batch,) = Layout(64, 64, packed=True).to_micro_batches(np.arange(2), encoded.lengths)
    inputs = batches.make(micro_batch).inputs

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    handle = model.bert.encoder.layer[-1].intermediate.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        model(**inputs)
    handle.remove()
    # The last layer by itself, as no pass has told it of packed texts.
    hidden = torch.randn(1, 3, 16)
    assert model.bert.encoder.layer[-1](hidden).shape == hidden.shape
    assert torch.equal(model(ids).logits, expected)


def test_threads_share_a_tokenizer_each_with_its_own_length() -> None:
    texts = [f"good food number {i} " * (1 + i % 7) for i in range(40)]
    tokenizer = learn_tokenizer(Texts.of({"text": texts}), 200)
    asked = [(Texts.of({"text": texts[k:]}), 8 + 3 * k) for k in range(6)]
    asked.append((Texts.of({"text": texts, "pair": texts[::-1]}), 11))
    expected = [encode(tokenizer, *one) for one in asked]

    def work(i: int) -> None:
        found, wanted = encode(tokenizer, *asked[i % len(asked)]), expected[i % len(asked)]
        assert np.array_equal(found.offsets, wanted.offsets)
        assert np.array_equal(found.ids, wanted.ids)
        assert found.truncated == wanted.truncated

    _in_threads(work, 400)


def test_threads_share_a_classifier(tmp_path: Path) -> None:
    write_model(tmp_path / "m", head={0: "neg", 1: "pos"}, initializer_range=0.5)
    classifier = load_classifier(tmp_path / "m")
    draw = random.Random(1)
    asked = [[text_of(draw.randrange(1, 30), True, draw) for _ in range(k)] for k in (1, 3, 2, 5)]
    expected = [[p.probability for p in classifier.predict(texts)] for texts in asked]

    def work(i: int) -> None:
        assert [p.probability for p in classifier.predict(asked[i % 4])] == pytest.approx(expected[i % 4], abs=1e-5)

    _in_threads(work, 200)
