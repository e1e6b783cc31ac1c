"""What is read of texts that are too long: just the tokens that a naive construction keeps, and told as it is."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import command, train, write_recipe
from run_results import read_csv
from tiny import tokenizer_of, write_model, write_texts
from transformers import ByT5Tokenizer, PreTrainedTokenizerBase

from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.inference.loading import load_classifier
from accel_cls.tokenization import tokenizing as tokens
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.encode import are_cut, encode, encode_cached
from accel_cls.tokenization.encoded import Encoded
from accel_cls.tokenization.tokenizer import settle_special_tokens

WORDS = ["good", "bad", "food", "the", "a", "was", "meal", "lunch", "unknownword", "</s>", "[SEP]"]
TOKENIZERS = ("bert", "roberta", "xlnet", "causal", "python")


def tokenizer(kind: str) -> PreTrainedTokenizerBase:
    found = ByT5Tokenizer() if kind == "python" else tokenizer_of(kind)
    settle_special_tokens(found, kind)
    return found


def texts_of(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["", *(" ".join(draw.choices(WORDS, k=draw.choice([1, 3, 9, 30, 90]))) for _ in range(count - 1))]


def rows_of(encoded: Encoded) -> list[list[int]]:
    return [encoded.ids[a:b].tolist() for a, b in pairwise(encoded.offsets)]


def plain(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """The tokens of each text alone, without any that the tokenizer adds."""
    special = {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}
    rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[tokenizer.unk_token_id if one in special else one for one in row] for row in rows]


def frame(tokenizer: PreTrainedTokenizerBase, parts: int) -> list[list[int]]:
    """The special tokens before, between and after texts, which have one token each."""
    (bare,) = tokenizer(["a"], add_special_tokens=False)["input_ids"]
    (row,) = tokenizer(*[["a"]] * parts)["input_ids"]
    found: list[list[int]] = [[]]
    for one in row:
        if [one] == bare[:1] and len(bare) == 1:
            found.append([])
        else:
            found[-1].append(one)
    return found


def middle(row: list[int], most: int, head: int) -> list[int]:
    while len(row) > most:
        row = row[:head] + row[head + 1 :]
    return row


def longest_first(a: list[int], b: list[int], room: int) -> tuple[int, int]:
    """One token after the other, of the text that is longer at the time; of equal ones of the one that was shorter."""
    first, second, loses_last = len(a), len(b), len(a) > len(b)
    while first + second > room:
        if first > second or (first == second and not loses_last):
            first -= 1
        else:
            second -= 1
    return first, second


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize(("max_length", "head"), [(32, None), (32, 1), (33, 27), (8, None), (8, 3)])
def test_middle_keeps_the_start_and_the_end(
    kind: str, max_length: int, head: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_BATCH", 16)
    monkeypatch.setattr(tokens, "_CHARACTERS", 300)
    by, texts = tokenizer(kind), texts_of(60, 1)
    before, after = frame(by, 1)
    room, bare = max_length - len(before) - len(after), plain(by, texts)
    expected = [before + middle(row, room, head or max_length // 4) + after for row in bare]
    expected = [row or [by.pad_token_id] for row in expected]
    columns, cutting = Texts.of({"text": texts}), Cutting(max_length, "middle", head)
    for found in (encode(by, columns, cutting), encode_cached(by, columns, cutting, [])):
        assert rows_of(found) == expected
        assert found.truncated == sum(len(row) > room for row in bare) > 20
    assert are_cut(by, columns, cutting).tolist() == [len(row) > room for row in bare]


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize(("max_length", "head"), [(32, None), (31, 5), (8, None)])
def test_middle_of_pairs_is_cut_from_each_text_that_is_too_long(kind: str, max_length: int, head: int | None) -> None:
    by, texts = tokenizer(kind), texts_of(80, 2)
    pairs = random.Random(3).sample(texts, len(texts))
    before, between, after = frame(by, 2)
    room = max_length - len(before + between + after)
    expected = []
    for a, b in zip(plain(by, texts), plain(by, pairs), strict=True):
        kept = []
        for row, most in zip((a, b), longest_first(a, b, room), strict=True):
            kept.append(middle(row, most, max(1, most * (head or max_length // 4) // room)))
        expected.append(before + kept[0] + between + kept[1] + after or [by.pad_token_id])
    found = encode(by, Texts.of({"text": texts, "pair": pairs}), Cutting(max_length, "middle", head))
    assert rows_of(found) == expected
    if found.types is not None:
        assert {*found.types.tolist()} >= {0, 1}
        assert len(found.types) == len(found.ids)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_texts_of_a_pair_that_are_very_long_are_cut_in_a_moment(kind: str) -> None:
    """The tokenizer's own way would make a row of each two pieces: of these texts 250,000."""
    found = encode(tokenizer(kind), Texts.of({"text": ["good " * 4000], "pair": ["bad " * 4000]}), 16)
    assert found.lengths.tolist() == [16]
    assert found.truncated == 1


def test_head_leaves_room_for_the_end() -> None:
    Cutting(32, "middle", 29).check(2)
    with pytest.raises(UserError, match=r"head_tokens: found 30; expected 29 at most: of data\.max_length 32, 2 are"):
        Cutting(32, "middle", 30).check(2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny BERT encoder in `encoder`, with long texts and a recipe that keeps their start and end."""
    write_model(tmp_path / "encoder")
    write_texts(tmp_path / "texts.csv", 80, range(1, 70))
    write_recipe(
        tmp_path,
        data="{train: texts.csv, text: text, label: label, max_length: 16, truncate: middle, head_tokens: 5}",
        model="{name: ./encoder, dropout: 0}",
        train="{epochs: 1, batch_size: 16, micro_batch_tokens: 128, learning_rate: 5e-3, log_every: 1}",
    )
    return tmp_path


def answers_as_judged(folder: Path) -> None:
    """What predict says of the validation rows is what the run's evaluation said."""
    rows = read_csv(folder / "run" / "predictions.csv")
    stdin = "".join(f"{row['text']}\n" for row in rows)
    said = command("python", "-m", "accel_cls.predict", "run", cwd=folder, stdin=stdin)
    assert said.returncode == 0, said.stderr
    for row, line in zip(rows, said.stdout.splitlines(), strict=True):
        for name, probability in json.loads(line)["probabilities"].items():
            assert probability == pytest.approx(float(row[f"p({name})"]), abs=2e-6)


def test_predict_reads_what_training_read(folder: Path) -> None:
    done = train(folder)
    assert done.returncode == 0, done.stderr
    path = folder / "run" / "model" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    assert config["accel_cls"]["long_texts"] == {"truncate": "middle", "head_tokens": 5}
    answers_as_judged(folder)
    text = "good " * 5 + "bad " * 50 + "good " * 9
    classifier = load_classifier(folder / "run")
    logits = classifier.logits(Texts.of({"text": [text, "good " * 14]}))
    assert np.allclose(logits[0], logits[1], atol=1e-5), "the bad ones are in the middle"
    card = (folder / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "Of texts longer than 16 tokens only the beginning and end are read." in card
    assert "`truncation=True` cuts texts at 16 tokens, but keeps their beginning alone" in card
    for broken in ("x", {"truncate": "end of it"}, {"truncate": "middle", "head_tokens": 0}):
        config["accel_cls"]["long_texts"] = broken
        path.write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(UserError, match=r"in its config.json, accel_cls.long_texts is not as a run writes it"):
            load_classifier(folder / "run")


def test_head_that_is_too_long_is_refused_before_training(folder: Path) -> None:
    done = train(folder, "data.head_tokens=14")
    assert done.returncode == 2
    assert "data.head_tokens: found 14; expected 13 at most" in done.stderr
