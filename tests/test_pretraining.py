"""Masked language modelling on a recipe's own texts: `python -m accel_cls.pretrain`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import cli, command, train, write_recipe, write_reviews
from run_results import interrupt, metrics, numbers
from safetensors.torch import load_file
from tiny import write_model, write_texts
from transformers import AutoModelForMaskedLM, AutoTokenizer

from accel_cls.batching.layout import MicroBatch
from accel_cls.batching.masking import MaskedBatches, Masking
from accel_cls.data.texts import Texts
from accel_cls.models.capabilities.padding import right_padding
from accel_cls.models.masked_language import load_language_model
from accel_cls.models.packing import pack_attention
from accel_cls.recipe import load_recipe
from accel_cls.recipe.pretraining import pretraining_of
from accel_cls.tokenization.encode import encode
from accel_cls.tokenization.encoded import Encoded
from accel_cls.tokenization.words import NO_WORD, words_of
from tools import warm
from tools.model_matrix.tokenizers import tokenizer_of

TEXTS = [f"good food {word}" * count for count, word in ((1, "lovely"), (3, "bad"), (2, "nasty"), (5, "nice"))]


def pretrain(folder: Path, *overrides: str):
    return command("python", "-m", "accel_cls.pretrain", "recipe.yaml", *overrides, cwd=folder)


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny BERT in `encoder`, texts, and a recipe for them."""
    tokenizer = tokenizer_of("bert")
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    write_model(tmp_path / "encoder", vocab_size=len(tokenizer))
    tokenizer.save_pretrained(tmp_path / "encoder")
    write_texts(tmp_path / "texts.csv", 120, range(2, 9))
    write_recipe(
        tmp_path,
        data="{train: texts.csv, text: text, label: label, max_length: 32}",
        model="{name: ./encoder, dropout: 0.0}",
        train="{epochs: 1, batch_size: 16, micro_batch_tokens: 256, learning_rate: 1e-3, log_every: 1}",
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def encoded_texts(folder: Path) -> tuple[Encoded, AutoTokenizer]:
    tokenizer = AutoTokenizer.from_pretrained(folder / "encoder")
    return encode(tokenizer, Texts.of({"text": TEXTS}), 32), tokenizer


def masking_of(encoded: Encoded, tokenizer, share: float = 0.15, **more) -> Masking:
    words = words_of(tokenizer, encoded, whole=False)
    others = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
    values = {"words": words, "share": share, "mask_token": tokenizer.mask_token_id, "others": others, "seed": 7}
    return Masking(**(values | {"is_training": True} | more))


def test_what_is_hidden_follows_from_seed_update_and_example() -> None:
    ids, words = np.arange(10, 1010, dtype=np.int32), np.arange(1000, dtype=np.int32)
    others = np.arange(5000, 6000)
    masking = Masking(words, 0.15, 4, others, 1, is_training=True)
    at, shown = masking.draw(ids, words, example=3, update=5)
    again = masking.draw(ids, words, example=3, update=5)
    assert (at == again[0]).all()
    assert (shown == again[1]).all()
    assert len(at) == 150 == masking.counts(np.array([0, 1000]))[0]
    hidden, kept, replaced = shown == 4, shown == ids[at], np.isin(shown, others)
    assert hidden.sum() + kept.sum() + replaced.sum() == 150
    assert hidden.mean() == pytest.approx(0.8, abs=0.1)
    assert 0 < kept.mean() < 0.2
    assert 0 < replaced.mean() < 0.2
    for example, update in ((4, 5), (3, 6)):
        assert {*masking.draw(ids, words, example, update)[0]} != {*at}
    judged = Masking(words, 0.15, 4, others, 1, is_training=False)
    assert (judged.draw(ids, words, 3, 0)[0] == judged.draw(ids, words, 3, 9)[0]).all(), "scores can be compared"


def test_special_tokens_are_no_words_and_a_text_without_words_has_no_guesses() -> None:
    words = np.array([NO_WORD, 0, 1, NO_WORD, NO_WORD, NO_WORD], np.int32)
    masking = Masking(words, 0.15, 4, np.array([9]), 1, is_training=True)
    assert masking.counts(np.array([0, 4, 6])).tolist() == [1, 0]
    at, _ = masking.draw(np.arange(4), words[:4], 0, 0)
    assert len(at) == 1
    assert at[0] in (1, 2)
    assert len(masking.draw(np.arange(2), words[4:], 1, 0)[0]) == 0


def test_whole_words_are_hidden_together() -> None:
    words = np.repeat(np.arange(40, dtype=np.int32), 3)
    masking = Masking(words, 0.15, 4, np.array([9]), 1, is_training=True)
    at, _ = masking.draw(np.arange(120), words, 0, 0)
    assert len(at) == 18
    assert all((np.isin(np.flatnonzero(words == word), at)).all() for word in {*words[at]})


class _Tokens:
    """As much of a tokenizer as is asked which tokens belong together."""

    def __init__(self, *tokens: str):
        self._ids = {token: i for i, token in enumerate(["[CLS]", "[UNK]", *dict.fromkeys(tokens)])}
        self.all_special_ids, self.unk_token_id = [0, 1], 1

    def get_vocab(self) -> dict[str, int]:
        return self._ids

    def encoded(self, *texts: str) -> Encoded:
        ids = [[self._ids[token] for token in text.split()] for text in texts]
        flat = np.array([one for row in ids for one in row], np.int32)
        return Encoded(flat, None, np.cumsum([0, *map(len, ids)]), 0)


def test_pieces_of_a_word_belong_together() -> None:
    wordpiece = _Tokens("un", "##kind", "##ly", "food", "好", "吃")
    encoded = wordpiece.encoded("[CLS] un ##kind ##ly food", "food 好 吃 [UNK]")
    assert words_of(wordpiece, encoded, whole=True).tolist() == [-1, 0, 0, 0, 1, 0, 1, 2, 3]
    assert words_of(wordpiece, encoded, whole=False).tolist() == [-1, 0, 1, 2, 3, 0, 1, 2, 3]
    sentencepiece = _Tokens("▁un", "kind", "▁food", "好吃", "▁")
    encoded = sentencepiece.encoded("▁un kind ▁food", "▁ 好吃 好吃 kind")
    assert words_of(sentencepiece, encoded, whole=True).tolist() == [0, 0, 1, 0, 1, 2, 3]
    line = _Tokens("▁a", "b")
    assert words_of(line, line.encoded("▁a " + "b " * 9), whole=True).tolist() == [*range(10)], "too long for a word"


@pytest.fixture
def jieba(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A stand-in that knows one word of two characters."""
    (tmp_path / "jieba.py").write_text(
        "import re\n\ndef cut(text):\n    return re.findall('味道|.', text)\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("jieba", None)


def test_chinese_words_are_those_that_jieba_cuts(jieba: None) -> None:
    characters = _Tokens("味", "道", "不", "错", "食", "a")
    encoded = characters.encoded("[CLS] 味 道 不 错", "a 食 味 道", "道 a 味")
    found = words_of(characters, encoded, whole=True).tolist()
    assert found == [-1, 0, 0, 1, 2, 0, 1, 2, 2, 0, 1, 2]
    pieces = _Tokens("味", "道不", "错")  # of which one lies across two words: it is where its first character is
    assert words_of(pieces, pieces.encoded("味 道不 错"), whole=True).tolist() == [0, 0, 1]


def test_packed_and_padded_rows_and_transformers_own_loss_are_the_same(encoder: Path) -> None:
    encoded, tokenizer = encoded_texts(encoder)
    recipe = pretraining_of(load_recipe("recipe.yaml"))
    model = load_language_model(recipe, tokenizer, []).double().eval()
    first_position = pack_attention(model, "fast")
    masking = masking_of(encoded, tokenizer, share=0.4)
    batches = MaskedBatches(
        encoded,
        masking.counts(encoded.offsets),
        right_padding(tokenizer),
        torch.device("cpu"),
        first_position=first_position,
        masking=masking,
    )
    examples = (3, 1, 2, 0)  # the longest first
    packed = batches.make(MicroBatch(examples, 64, packed=True), update=4)
    padded = batches.make(MicroBatch(examples, 32), update=4)
    found = model(**packed.inputs).logits
    torch.testing.assert_close(found, model(**padded.inputs).logits, rtol=1e-6, atol=1e-6)
    guesses = padded.inputs["guesses"]
    labels = torch.full_like(padded.inputs["input_ids"], -100)
    labels.view(-1)[guesses.at] = guesses.tokens
    plain = {key: value for key, value in padded.inputs.items() if key != "guesses"}
    theirs = model(**plain, labels=labels).loss
    assert (found[:, 0].sum() / found[:, 1].sum()).item() == pytest.approx(theirs.item(), rel=1e-6)
    assert found[:, 1].tolist() == [
        len(masking.draw(encoded.ids[b:e], masking.words[b:e], i, 4)[0])
        for i in examples
        for b, e in [encoded.offsets[i : i + 2]]
    ]


def test_pretraining_lowers_the_perplexity_and_its_encoder_is_where_a_classifier_begins(encoder: Path) -> None:
    write_texts(encoder / "more.csv", 60, range(3, 9), seed=5)
    options = ("pretrain={epochs: 4, learning_rate: 3e-3, texts: more.csv}",)
    done = pretrain(encoder, *options)
    assert done.returncode == 0, done.stderr
    assert "start fresh: cls.predictions" in done.stdout
    scores = [one["evaluation"]["perplexity"] for one in metrics(encoder / "run-pretrained") if "evaluation" in one]
    assert len(scores) == 5, "before the first update, too"
    assert scores[-1] < 0.95 * scores[0]
    model = encoder / "run-pretrained" / "model"
    AutoModelForMaskedLM.from_pretrained(model)
    then = train(encoder, "model.name=run-pretrained/model")
    assert then.returncode == 0, then.stderr
    told = json.loads((encoder / "run" / "results.json").read_text(encoding="utf-8"))["pretraining"]
    assert told["judged_texts_learned"] == {"validation": 0}
    assert told["texts"] == json.loads((model / "pretraining.json").read_text(encoding="utf-8"))["texts"] > 90
    said = "Pre-trained before on"
    assert said in (encoder / "run" / "report.md").read_text(encoding="utf-8")
    card = (encoder / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "none of the texts judged here was among them" in card
    again = pretrain(encoder, *options)
    assert "already finished" in again.stdout


def test_judged_texts_are_learned_only_where_they_are_asked_for_and_told_of(
    encoder: Path, capsys: pytest.CaptureFixture
) -> None:
    done = pretrain(encoder, "pretrain={judged: true, epochs: 1}")
    assert done.returncode == 0, done.stderr
    assert "texts that the classifier is judged by are learned, too" in done.stdout
    status, said, _ = cli(capsys, "check", "recipe.yaml", "model.name=run-pretrained/model")
    assert status == 1
    assert "the encoder was pre-trained on" in said
    assert "of the validation texts, without their labels" in said
    status, _, error = cli(capsys, "report", "run-pretrained")
    assert status == 2
    assert "found a pre-training, which classifies nothing" in error


def test_two_processes_and_a_stop_change_nothing(tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", count=101)
    write_recipe(tmp_path)
    options = ("model.dropout=0", "train.micro_batch_tokens=4096", "train.batch_size=7", "pretrain={epochs: 2}")
    one = pretrain(tmp_path, *options, "output=one")
    assert one.returncode == 0, one.stderr
    arguments = ["recipe.yaml", "hardware=cpu_multi", *options, "output=two"]
    two = warm.run_ranks("accel_cls.pretrain", arguments, tmp_path, 2)
    assert two.returncode == 0, two.stderr
    before, others = metrics(tmp_path / "one-pretrained"), metrics(tmp_path / "two-pretrained")
    assert len(before) == len(others)
    for left, right in zip(before, others, strict=True):
        assert numbers(left) == pytest.approx(numbers(right), rel=1e-4)
    weights = load_file(tmp_path / "one-pretrained" / "model" / "model.safetensors")
    interrupt(tmp_path / "one-pretrained", 12)
    again = pretrain(tmp_path, *options, "output=one")
    assert "continues an unfinished run" in again.stdout, again.stderr
    assert [*map(numbers, metrics(tmp_path / "one-pretrained"))] == [*map(numbers, before)]
    after = load_file(tmp_path / "one-pretrained" / "model" / "model.safetensors")
    assert all(torch.equal(weights[name], tensor) for name, tensor in after.items())
    other = pretrain(tmp_path, *options, "output=one", "pretrain.mask=0.3")
    assert "held a finished run of another recipe (pretrain.mask" in other.stdout
    classified = train(tmp_path, *options, "pretrain.mask=0.2", "output=three")
    assert classified.returncode == 0, classified.stderr
    unchanged = train(tmp_path, *options, "pretrain.mask=0.3", "output=three")
    assert "already finished" in unchanged.stdout, "what a classifier does not go by makes no other run"


def test_tokenizer_without_a_mask_token_gets_one(encoder: Path) -> None:
    write_model(encoder / "encoder")
    tokenizer = AutoTokenizer.from_pretrained(encoder / "encoder")
    before, notes = len(tokenizer), list[str]()
    model = load_language_model(pretraining_of(load_recipe("recipe.yaml")), tokenizer, notes)
    assert notes[-1] == "the tokenizer of encoder names no mask token: [MASK] is added to its vocabulary"
    assert tokenizer.mask_token_id == before == len(model.get_input_embeddings().weight) - 1
    assert model.config.vocab_size == before + 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("~model.name", "model.scratch={architecture: ngrams}"), "found ngrams, which know no order of words"),
        (("--tune",), "a pre-training is neither searched nor measured"),
        (("pretrain.texts=texts.csv",), "pretrain.texts: no text is left of 120"),
    ],
)
def test_what_can_not_be_pretrained_is_refused(encoder: Path, options: tuple[str, ...], said: str) -> None:
    done = pretrain(encoder, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
