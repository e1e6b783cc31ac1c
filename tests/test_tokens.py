"""Texts as token ids: the same as transformers gives, made once, and what becomes of a cache that fails."""

import hashlib
import os
import random
import re
import threading
import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from conftest import train
from transformers import BertConfig, BertModel, BertTokenizer, ByT5Tokenizer

from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.tokenization import cache, vocabulary
from accel_cls.tokenization import tokenizing as tokens
from accel_cls.tokenization.cache import find_or_make
from accel_cls.tokenization.encode import encode, encode_cached
from accel_cls.tokenization.vocabulary import learn_tokenizer

# Letters, Chinese, combining marks (some of which are no accents), Hangul, emoji, and what may be a space or not.
ALPHABETS = [(32, 127), (0x4E00, 0x4F00), (0x300, 0x370), (0xAC00, 0xAD00), (0x1F600, 0x1F640), (0x302A, 0x3030)]
ODD = "\t\n\r\x1c\x1f\x85\xa0\u2028\u200b\u3000\ufffd\0İıΣςẞ"


def some_texts(count: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)

    def character() -> str:
        return draw.choice(ODD) if draw.random() < 0.1 else chr(draw.randrange(*draw.choice(ALPHABETS)))

    return ["", " ", *("".join(character() for _ in range(draw.choice([1, 5, 30, 90]))) for _ in range(count - 2))]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCEL_CLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ACCEL_CLS_CACHE_GB", raising=False)


@pytest.fixture(scope="module")
def learned():
    return learn_tokenizer(Texts.of({"text": some_texts(400)}), 600)


def as_transformers_does(tokenizer, columns, max_length):
    rows = tokenizer(*columns.values(), truncation=True, max_length=max_length, return_token_type_ids=True)
    whole = tokenizer(*columns.values())["input_ids"]
    return rows["input_ids"], rows["token_type_ids"], sum(len(row) > max_length for row in whole)


def rows_of(flat, offsets):
    return [flat[a:b].tolist() for a, b in pairwise(offsets)]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("names", [("text",), ("text", "pair")])
def test_ids_are_those_of_transformers(learned, side, names, monkeypatch):
    monkeypatch.setattr(tokens, "_BATCH", 64)
    learned.truncation_side = side
    texts = [*some_texts(150, seed=1), "好" * 5000]
    columns = dict(zip(names, (texts, texts[::-1]), strict=False))
    expected = as_transformers_does(learned, columns, 32)
    for encoded in (encode(learned, Texts.of(columns), 32), encode_cached(learned, Texts.of(columns), 32, [])):
        assert (encoded.ids.dtype, encoded.types.dtype, encoded.offsets.dtype) == (np.int32, np.int8, np.int64)
        found = [rows_of(flat, encoded.offsets) for flat in (encoded.ids, encoded.types)]
        assert (*found, encoded.truncated) == expected
        assert encoded.lengths.tolist() == list(map(len, expected[0]))


def test_tokenizer_with_python_code_of_its_own(learned):
    class Shouting(BertTokenizer):
        def _encode_plus(self, text, **options):
            return super()._encode_plus([f"{one}!" for one in text], **options)

    tokenizer = Shouting(tokenizer_object=learned.backend_tokenizer, truncation_side=learned.truncation_side)
    texts = some_texts(50)
    notes: list[str] = []
    found = encode_cached(tokenizer, Texts.of({"text": texts}), 32, notes)
    expected = encode(learned, Texts.of({"text": [f"{text}!" for text in texts]}), 32)
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.truncated == expected.truncated
    assert not (cache.cache_folder() / "tokens").exists()


def test_nothing_to_tokenize(learned):
    nothing = Texts.of({"text": []})
    for encoded in (encode(learned, nothing, 32), encode_cached(learned, nothing, 32, [])):
        assert (len(encoded.ids), encoded.offsets.tolist()) == (0, [0])


def test_words_are_those_of_the_tokenizer():
    texts = some_texts(3000, seed=2)
    expected = Counter(word for text in texts for word in vocabulary._words(text))
    assert vocabulary.count_words(Texts.of({"text": texts})) == expected


def test_vocabulary_of_texts_never_changes():
    """By frequency, ties by code point: another order would belong to other weights."""
    learned = learn_tokenizer(Texts.of({"text": ["ab b", "b c", "好吃 好", "a!"]}), 40)
    vocabulary = sorted(learned.get_vocab(), key=learned.get_vocab().__getitem__)
    assert vocabulary == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "好"]
    assert learned("好吃 ab!")["input_ids"] == [2, 7, 1, 1, 1, 3]


def test_columns_of_texts():
    texts = Texts.of({"a": ["x", None, "", "好😀"], "b": ["1", "2", "3", "4"]})
    assert texts["a"] == ["x", None, "", "好😀"]
    assert texts.named({"text": "b"})["text"] == ["1", "2", "3", "4"]
    assert texts.named({"text": "a"})["text"] == ["x", "", "", "好😀"]
    assert texts.select(np.array([3, 0]))["a"] == ["好😀", "x"]
    assert texts.select(np.array([3, 0], np.int32))["b"] == ["4", "1"]
    assert Texts.of({"a": []})["a"] == Texts.of({"a": [None] * 9})["a"][9:] == []
    assert Texts.of({"a": ["x", None] * 9})["a"] == ["x", None] * 9


def test_texts_are_known_by_content_alone():
    texts = Texts.of({"text": ["ab", "c", ""], "pair": ["", "d", "好"]})
    parts = Texts.joined([texts.select(np.array([0])), texts.select(np.array([1, 2]))])
    assert parts.digest() == texts.digest()
    others = [{"text": ["a", "bc", ""]}, {"text": ["c", "ab", ""]}, {"text": ["ab", "c"]}]
    others += [{"text": ["ab", "c", ""], "pair": ["", "d", "坏"]}, {"text": ["ab", "c", ""], "other": ["", "d", "好"]}]
    assert len({texts.digest(), *(Texts.of(other).digest() for other in others)}) == 6


def test_second_start_tokenizes_nothing(learned, monkeypatch):
    texts = Texts.of({"text": some_texts(50)})
    first = encode_cached(learned, texts, 32, [])
    monkeypatch.setattr(tokens, "_fast", None)
    again = encode_cached(learned, texts, 32, [])
    assert (first.from_cache, again.from_cache) == (False, True)
    assert again.ids.tolist() == first.ids.tolist()
    assert again.digest == first.digest == hashlib.sha256(first.ids.tobytes()).hexdigest()
    assert first.describe(32)[1] + "; tokenized before" == again.describe(32)[1]


def test_what_differs_is_tokenized_anew(learned):
    texts = some_texts(50)
    assert not encode_cached(learned, Texts.of({"text": texts}), 32, []).from_cache
    assert not encode_cached(learned, Texts.of({"text": texts[::-1]}), 32, []).from_cache
    assert not encode_cached(learned, Texts.of({"text": texts}), 31, []).from_cache
    learned.truncation_side = "left" if learned.truncation_side == "right" else "right"
    assert not encode_cached(learned, Texts.of({"text": texts}), 32, []).from_cache
    other = learn_tokenizer(Texts.of({"text": texts}), 300)
    assert not encode_cached(other, Texts.of({"text": texts}), 32, []).from_cache


@pytest.mark.parametrize("damage", [b"", b"\0\0\0\0", None])
def test_damaged_entry_is_made_anew(learned, damage):
    texts = Texts.of({"text": some_texts(50)})
    first = encode_cached(learned, texts, 32, [])
    expected = first.ids.tolist()
    (path,) = (cache.cache_folder() / "tokens").glob("*/ids")
    content = path.read_bytes()
    path.unlink()
    if damage is not None:
        path.write_bytes(damage + content[4:])
    notes: list[str] = []
    again = encode_cached(learned, texts, 32, notes)
    assert (again.from_cache, again.ids.tolist(), notes) == (False, expected, [])
    assert encode_cached(learned, texts, 32, []).from_cache


def test_cache_that_cannot_be_written_is_a_note(learned, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ACCEL_CLS_CACHE", str(tmp_path / "file" / "cache"))
    texts = Texts.of({"text": some_texts(50)})
    notes: list[str] = []
    for _ in range(2):
        assert encode_cached(learned, texts, 32, notes).ids.tolist() == encode(learned, texts, 32).ids.tolist()
    learn_tokenizer(texts, 100, notes)
    said = " can't be kept for the next start: "
    assert [note.partition(said)[0] for note in notes] == ["token ids", "the vocabulary"]
    assert all(str(tmp_path / "file") in note for note in notes)


def test_switched_off(learned, monkeypatch):
    monkeypatch.setenv("ACCEL_CLS_CACHE_GB", "0")
    notes: list[str] = []
    assert not encode_cached(learned, Texts.of({"text": ["a"]}), 32, notes).from_cache
    assert notes == []
    assert not cache.cache_folder().exists()
    monkeypatch.setenv("ACCEL_CLS_CACHE_GB", "much")
    with pytest.raises(UserError, match="ACCEL_CLS_CACHE_GB is 'much'; expected the GB"):
        encode_cached(learned, Texts.of({"text": ["a"]}), 32, notes)


def _find_or_make(key, make):
    return find_or_make("tokens", "token ids", key, make, [])


def test_what_was_not_used_for_long_goes_first(monkeypatch):
    monkeypatch.setenv("ACCEL_CLS_CACHE_GB", "0.0000025")  # 2,500 bytes
    for age, name in enumerate("abcd"):  # two have room; those after the first are older than it
        entry = _find_or_make(name * 32, lambda folder: (folder / "x").write_bytes(bytes(900)) and None)
        os.utime(entry.folder, (time.time() - 10_000 * (age + 1),) * 2)
    kept = cache.cache_folder() / "tokens"
    (kept / "mine").mkdir()
    left = kept / f".{'d' * 32}.killed.partial"
    left.mkdir()
    for path in (left, kept / "mine"):
        os.utime(path, (0, 0))
    _find_or_make("e" * 32, lambda folder: (folder / "x").write_bytes(b"x") and None)
    names = [path.name for path in kept.iterdir() if not path.name.endswith(".lock")]
    assert sorted(names) == ["a" * 32, "d" * 32, "e" * 32, "mine"]


def test_two_at_once_make_it_once():
    made = []

    def make(folder):
        made.append(folder)
        time.sleep(0.2)
        (folder / "x").write_text("x")

    found = []
    threads = [threading.Thread(target=lambda: found.append(_find_or_make("f" * 32, make))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert sorted(entry.from_cache for entry in found) == [False, True, True]


def test_command_line_says_that_it_has_tokenized_before(work):
    first, again = (train(work, "train.max_updates=1", f"output={name}") for name in "ab")
    assert "cut to data.max_length 32\n" in first.stdout, first.stderr
    assert "cut to data.max_length 32; tokenized before\n" in again.stdout, again.stderr


# Tokenizers that are written in Python


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("names", [("text",), ("text", "pair")])
def test_what_a_python_tokenizer_cuts_is_counted(side, names, monkeypatch):
    monkeypatch.setattr(tokens, "_BATCH", 64)
    tokenizer = ByT5Tokenizer(truncation_side=side)
    texts = [*some_texts(150, seed=3), "好" * 500]
    columns = dict(zip(names, (texts, texts[::-1]), strict=False))
    expected = tokenizer(*columns.values(), truncation=True, max_length=40)["input_ids"]
    whole = tokenizer(*columns.values())["input_ids"]
    for encoded in (encode(tokenizer, Texts.of(columns), 40), encode_cached(tokenizer, Texts.of(columns), 40, [])):
        assert rows_of(encoded.ids, encoded.offsets) == expected
        assert encoded.truncated == sum(len(row) > 40 for row in whole) > 50


def test_command_line_tells_what_a_python_tokenizer_cuts(work):
    ByT5Tokenizer().save_pretrained(work / "m")
    config = BertConfig(
        vocab_size=384, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(work / "m")
    done = train(work, "model.name=m", "train.max_updates=1", "data.max_length=16")
    cut = re.search(r"tokens .* within 16, ([\d.]+)% cut to data.max_length 16\n", done.stdout)
    assert cut is not None, done.stdout + done.stderr
    assert float(cut[1]) > 70
