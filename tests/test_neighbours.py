"""The training texts that are most like a text: what a report shows beside a mistake."""

from __future__ import annotations

import numpy as np
import pytest

from accel_cls.data.examples import Examples
from accel_cls.data.texts import Texts
from accel_cls.evaluation import neighbours
from accel_cls.evaluation.neighbours import nearest


def examples(**columns: list[str]) -> Examples:
    count = len(columns["text"])
    return Examples(Texts.of(columns), np.arange(count), tuple(f"a.csv:{i + 1}" for i in range(count)))


ENGLISH = ["the card is lost", "the card was stolen", "my was lost", "my card is stolen", "hello the", "hello my"]
CHINESE = ["送餐很快味道好", "送餐太慢了", "味道很差", "很好吃味道不错", "骑手态度很好"]


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE])
def test_twin_comes_first_and_its_likeness_is_one(texts: list[str]) -> None:
    found = nearest(examples(text=texts), Texts.of({"text": texts}))
    first = found.at[:, 0]
    assert [found.examples.texts["text"][:][at] for at in first] == texts
    assert found.likeness[:, 0] == pytest.approx(1, abs=1e-5)
    assert (np.diff(found.likeness, axis=1) <= 0).all()
    assert [found.examples.labels[at] for at in first] == [*range(len(texts))]


def test_what_shares_words_is_nearer_than_what_shares_none() -> None:
    found = nearest(examples(text=ENGLISH), Texts.of({"text": ["my card was stolen"]}), 2)
    assert [found.examples.rows[at] for at in found.at[0]] == ["a.csv:2", "a.csv:4"]


def test_both_texts_of_pairs_count() -> None:
    train = examples(text=["the card"] * 4, pair=["a dog", "my money"] * 2)
    found = nearest(train, Texts.of({"text": ["the card"], "pair": ["money"]}), 1)
    assert found.examples.rows == ("a.csv:2",)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nearest(examples(text=ENGLISH * 3), Texts.of({"text": ENGLISH}))
    monkeypatch.setattr(neighbours, "_CHUNK", 4)
    parts = nearest(examples(text=ENGLISH * 3), Texts.of({"text": ENGLISH}))
    assert whole.examples.rows == parts.examples.rows
    assert np.array_equal(whole.at, parts.at)


def test_fewer_training_texts_than_asked_for() -> None:
    assert nearest(examples(text=["one two", "two three"]), Texts.of({"text": ["one"]}), 3).at.shape == (1, 2)
