"""The cache of tokens and vocabularies: whoever can write there can write its checksums, too, and harms nothing."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harm import Payload
from hostile_models import WORDS
from hostile_models import model as model
from hostile_models import sound as sound

from accel_cls.data.texts import Texts
from accel_cls.tokenization import cache
from accel_cls.tokenization.encode import encode, encode_cached
from accel_cls.tokenization.vocabulary import learn_tokenizer


def _manifest(entry: Path) -> None:
    (entry / "manifest.json").write_text(json.dumps(cache._digests(entry)), encoding="utf-8")


def tokens_file(name: str, content: np.ndarray | bytes) -> Callable[[Path], None]:
    def apply(entry: Path) -> None:
        (entry / name).write_bytes(content if isinstance(content, bytes) else content.tobytes())
        _manifest(entry)

    return apply


def _linked(entry: Path) -> None:
    (entry / "ids").unlink()
    (entry / "ids").symlink_to("/dev/zero")


def _piped(entry: Path) -> None:
    (entry / "ids").unlink()
    os.mkfifo(entry / "ids")


def _lacking(entry: Path) -> None:
    (entry / "offsets").unlink()
    _manifest(entry)


ENTRIES: list[tuple[str, Callable[[Path], Any]]] = [
    ("ids that do not exist", tokens_file("ids", np.full(1000, 2**31 - 1, np.int32))),
    ("ids below 0", lambda e: tokens_file("ids", -np.fromfile(e / "ids", np.int32))(e)),
    (
        "offsets that fall",
        lambda e: tokens_file("offsets", np.fromfile(e / "offsets", np.int64)[[0, 2, 1, 3, 4, 5, 6, 7, 8]])(e),
    ),
    ("offsets beyond the end", lambda e: tokens_file("offsets", np.fromfile(e / "offsets", np.int64) * 10**12)(e)),
    ("too few offsets", lambda e: tokens_file("offsets", np.fromfile(e / "offsets", np.int64)[:-1])(e)),
    ("half a number", tokens_file("ids", b"abc")),
    ("types for other tokens", tokens_file("types", b"\0")),
    ("pickle", tokens_file("ids", pickle.dumps(Payload()))),
    ("count that is none", tokens_file("truncated", b"-x")),
    ("file that is missing", _lacking),
    ("link to a device", _linked),
    ("pipe", _piped),
    ("manifest nested deeply", lambda e: (e / "manifest.json").write_text("[" * 100_000, encoding="utf-8")),
    ("manifest that is no UTF-8", lambda e: (e / "manifest.json").write_bytes(b"\xff")),
    ("folder more", lambda e: (e / "more").mkdir()),
]


@pytest.mark.parametrize("tamper", [case[1] for case in ENTRIES], ids=[case[0] for case in ENTRIES])
def test_entry_of_tokens_is_made_anew(model, tamper):
    tokenizer = learn_tokenizer(Texts.of({"text": WORDS}), 100)
    texts = Texts.of({"text": WORDS})
    first = encode_cached(tokenizer, texts, 16, [])
    expected = first.ids.tolist()
    (entry,) = Path("cache/tokens").glob("[0-9a-f]*")
    tamper(entry)
    notes: list[str] = []
    for from_cache in (False, True):
        again = encode_cached(tokenizer, texts, 16, notes)
        assert (again.ids.tolist(), again.from_cache, notes) == (expected, from_cache, [])
    assert expected == encode(tokenizer, texts, 16).ids.tolist()


@pytest.mark.parametrize("content", ["[", "{}", "[1, 2]", "[" * 100_000, '["[PAD]"]', json.dumps(["a"] * 50)])
def test_entry_of_a_vocabulary_is_made_anew(model, content):
    texts = Texts.of({"text": WORDS})
    expected = learn_tokenizer(texts, 100, []).get_vocab()
    (entry,) = Path("cache/vocabularies").glob("[0-9a-f]*")
    (entry / "entries.json").write_text(content, encoding="utf-8")
    _manifest(entry)
    assert learn_tokenizer(texts, 100, []).get_vocab() == expected
