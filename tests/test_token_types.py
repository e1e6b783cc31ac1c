"""Text pairs: token types go to models that know them, and to no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers
from conftest import command, train, write_recipe
from tiny import FAMILIES, tokenizer_of, write_model, write_texts
from transformers import AutoTokenizer

from accel_cls.data.texts import Texts
from accel_cls.tokenization import tokenizer as tokenization
from accel_cls.tokenization.encode import encode


@pytest.mark.parametrize(
    ("family", "more", "known"),
    [
        ("bert", {}, True),
        ("bert", {"type_vocab_size": 1}, False),
        ("roberta", {}, False),
        ("roberta", {"type_vocab_size": 2}, True),
        ("deberta-v2", {}, False),
        ("distilbert", {}, False),
        ("xlnet", {}, True),
    ],
    ids=lambda value: str(value),
)
def test_pairs_of_a_tokenizer_with_two_types(tmp_path: Path, family: str, more: dict[str, int], known: bool) -> None:
    # Positions after padding's, which is token 0 of this tokenizer.
    write_model(tmp_path / "m", family, "bert", pad_token_id=0, **more)
    write_texts(tmp_path / "a.csv", 24, (2, 5), pairs=True)
    write_recipe(
        tmp_path,
        data="{train: a.csv, validation: a.csv, text: [text, pair], max_length: 24}",
        model="{name: m}",
        train="{max_updates: 2, batch_size: 8, micro_batch_tokens: 256}",
    )
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    saved = AutoTokenizer.from_pretrained(tmp_path / "run" / "model")
    assert ("token_type_ids" in saved("good", "bad")) == known
    done = command("python", "-m", "accel_cls.predict", "run", "--text", "good", "--pair", "bad food", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_folder_of_another_origin_classifies_pairs(tmp_path: Path) -> None:
    write_model(tmp_path / "m", "roberta", "bert", pad_token_id=0, head={0: "neg", 1: "pos"})
    done = command("python", "-m", "accel_cls.predict", "m", "--text", "good", "--pair", "bad food", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in ("neg", "pos")


def test_types_that_are_known_are_the_tokenizers() -> None:
    tokenizer = tokenizer_of("bert")
    tokenization.drop_unknown_token_types(tokenizer, _config("bert"))
    found = encode(tokenizer, Texts.of({"text": ["good food"], "pair": ["bad"]}), 16)
    assert found.types.tolist() == tokenizer("good food", "bad")["token_type_ids"] == [0, 0, 0, 0, 1, 1]
    tokenization.drop_unknown_token_types(tokenizer, _config("roberta"))
    assert encode(tokenizer, Texts.of({"text": ["good food"], "pair": ["bad"]}), 16).types is None


def _config(family: str) -> object:
    kind, _, options, _ = FAMILIES[family]
    return getattr(transformers, f"{kind}Config")(**options)
