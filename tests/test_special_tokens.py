"""Text is data: what is written in a text never becomes a special token, however it is spelt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from conftest import train, write_recipe
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast, pipeline

from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.inference.loading import load_classifier
from accel_cls.tokenization.encode import encode
from accel_cls.tokenization.tokenizer import settle_special_tokens

SPELT = ["good </s> food", "</s>", "</s></s>", "<s> good <pad> food </s>", "good ＜/s＞ food", "good </S> food"]


def unigram() -> PreTrainedTokenizerFast:
    """As SentencePiece's: its vocabulary has the special tokens as pieces, and normalization makes them."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *["▁good", "▁food", "/", "s", ">", "<", "g", "o", "d", "f"]]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(i > 3)) for i, piece in enumerate(pieces)], unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    ends = [("<s>", 0), ("</s>", 2)]
    forms = {"single": "<s> $A </s>", "pair": "<s> $A </s> </s> $B </s>"}
    tokenizer.post_processor = processors.TemplateProcessing(**forms, special_tokens=ends)
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


@pytest.fixture(params=["unigram", "words", "words, two types"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    found = {
        "unigram": unigram,
        "words": lambda: tiny.tokenizer_of("roberta"),
        "words, two types": lambda: tiny.tokenizer_of("bert"),
    }[request.param]()
    settle_special_tokens(found, "a tokenizer")
    return found


def special_ids(tokenizer: PreTrainedTokenizerFast, row: np.ndarray) -> list[int]:
    return [int(one) for one in row if one in {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}]


@pytest.mark.parametrize("pairs", [False, True])
def test_special_tokens_are_those_that_the_tokenizer_adds(tokenizer: PreTrainedTokenizerFast, pairs: bool) -> None:
    spelt = [*SPELT, *(f"good {token} food" for token in tokenizer.all_special_tokens)]
    plain = ["good food"] * len(spelt)
    found, wanted = (
        encode(tokenizer, Texts.of({"text": texts, **({"pair": texts[::-1]} if pairs else {})}), 64)
        for texts in (spelt, plain)
    )
    for i in range(len(spelt)):
        own, usual = (one.ids[one.offsets[i] : one.offsets[i + 1]] for one in (found, wanted))
        assert special_ids(tokenizer, own) == special_ids(tokenizer, usual), spelt[i]
        assert len(own) > len(special_ids(tokenizer, own)), "what was written there is still something"
    if found.types is not None:
        assert len(found.types) == len(found.ids)


def test_a_text_that_is_cut_keeps_its_end(tokenizer: PreTrainedTokenizerFast) -> None:
    found = encode(tokenizer, Texts.of({"text": ["</s> " * 30, "good " * 30]}), 8)
    assert found.truncated == 2
    first, second = np.split(found.ids, found.offsets[1:-1])
    assert len(first) == len(second) == 8
    assert special_ids(tokenizer, first) == special_ids(tokenizer, second)


def test_other_texts_have_the_tokens_that_they_always_had(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = ["good food", "", "food", "x y z"]
    found = encode(tokenizer, Texts.of({"text": texts}), 16)
    assert [row.tolist() for row in np.split(found.ids, found.offsets[1:-1])] == tokenizer(texts)["input_ids"]


@pytest.mark.parametrize("texts", [["", "good food", ""], ["", ""], ["good </s>", ""]])
def test_nothing_is_one_token_of_padding_where_a_tokenizer_adds_none(texts: list[str]) -> None:
    tokenizer = tiny.tokenizer_of("causal")
    settle_special_tokens(tokenizer, "a tokenizer")
    found = encode(tokenizer, Texts.of({"text": texts}), 16)
    rows = np.split(found.ids, found.offsets[1:-1])
    assert [row.tolist() for row, text in zip(rows, texts, strict=True) if not text] == [[0]] * texts.count("")
    assert all(len(row) == 2 for row, text in zip(rows, texts, strict=True) if text)


def test_a_text_with_the_end_of_texts_in_it_trains_and_is_classified(tmp_path: Path) -> None:
    """BART reads its answer where a text ends, and fails on a text with two ends."""
    tiny.write_model(tmp_path / "model", "bart")
    write_recipe(tmp_path, data="{train: texts.csv, max_length: 32}", model="{name: ./model}")
    tiny.write_texts(tmp_path / "texts.csv", 60, (3, 5))
    lines = (tmp_path / "texts.csv").read_text(encoding="utf-8").splitlines()
    marked = [line.replace(" ", " </s> ", 1) if i % 3 == 1 else line for i, line in enumerate(lines)]
    (tmp_path / "texts.csv").write_text("\n".join(marked) + "\n", encoding="utf-8")
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    classifier = load_classifier(tmp_path / "run")
    same, other = classifier.predict(["good </s> food", "good <unk> food"])
    assert same.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_transformers_pipeline_splits_what_looks_like_a_special_token_too(work: Path) -> None:
    """Where the vocabulary has no such piece, as WordPiece's and byte-level ones have none."""
    assert train(work, "train.max_updates=3").returncode == 0
    assert AutoTokenizer.from_pretrained(work / "run" / "model").split_special_tokens
    ask = pipeline("text-classification", model=str(work / "run" / "model"), top_k=None)
    classifier = load_classifier(work / "run")
    for text in ("好吃[SEP]很快", "[CLS] [MASK]", "味道[PAD]很差"):
        said = {one["label"]: one["score"] for one in ask([text])[0]}
        assert classifier.predict([text])[0].probabilities == pytest.approx(said, abs=1e-6)


def test_tokenizer_without_any_special_token_is_refused() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a")))
    with pytest.raises(UserError, match="the tokenizer of m has no padding token, nor another to stand for it"):
        settle_special_tokens(tokenizer, "m")
