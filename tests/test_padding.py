"""Texts of different length at once: each has the answer that it has alone, or the model is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from conftest import command, train, train_by, write_recipe
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from accel_cls.errors import UserError
from accel_cls.inference.classifier import Classifier
from accel_cls.inference.loading import load_classifier

TEXTS = ["the food was good", "good", "rude driver and the soup was very cold today my order late again", "stale rice"]
RIGHT = ["qwen2", "gpt2", "bart", "t5", "squeezebert", "longformer", "deberta-v2", "xlnet", "bert", "roberta"]


def classifier(folder: Path, family: str, **more: object) -> Classifier:
    """A classifier whose random weights are large enough for its answers to differ, loaded as a user's would be."""
    tiny.write_model(folder, family, head={0: "neg", 1: "pos", 2: "none"}, **more)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    model.save_pretrained(folder)
    return load_classifier(folder)


def answers(found: Classifier, texts: list[str]) -> np.ndarray:
    return np.array([[*one.probabilities.values()] for one in found.predict(texts)])


@pytest.mark.parametrize("family", RIGHT)
def test_a_text_has_one_answer_alone_among_others_and_in_transformers_pipeline(family: str, tmp_path: Path) -> None:
    found = classifier(tmp_path / "model", family)
    together = answers(found, TEXTS)
    assert np.ptp(together, axis=0).max() > 1e-3, "the texts differ in their answers"
    assert np.abs(together - np.concatenate([answers(found, [text]) for text in TEXTS])).max() < 1e-6
    found.model.save_pretrained(tmp_path / "saved")
    found.tokenizer.save_pretrained(tmp_path / "saved")
    batch = 1 if family == "xlnet" else len(TEXTS)  # of which pipeline (5.23) stumbles over a second output
    ask = pipeline("text-classification", model=str(tmp_path / "saved"), top_k=None, batch_size=batch)
    said = [{one["label"]: one["score"] for one in row} for row in ask(TEXTS, truncation=True)]
    assert np.abs(together - [[row[name] for name in found.names] for row in said]).max() < 1e-6


@pytest.mark.parametrize(
    ("family", "words"),
    [("fnet", "its answers change with padding"), ("canine", "it fails on a short text (")],
)
def test_what_is_not_right_is_refused(family: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't classify texts of different length") as caught:
        classifier(tmp_path / "model", family)
    assert words in str(caught.value)
    write_recipe(tmp_path, data="{train: texts.csv, max_length: 32}", model="{name: ./model}")
    tiny.write_texts(tmp_path / "texts.csv", 40, (3, 5))
    done = train(tmp_path)
    assert done.returncode == 2
    assert f"model.name: {tmp_path / 'model'}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("family", "known"), [("gpt2", None), ("qwen2", 5)])
def test_padding_token_that_a_decoders_configuration_lacks_is_its_tokenizers(
    family: str, known: int | None, tmp_path: Path
) -> None:
    """Where it has another, an answer is read from padding, without any error."""
    tiny.write_model(tmp_path / "model", family, pad_token_id=known)
    write_recipe(tmp_path, data="{train: texts.csv, max_length: 32}", model="{name: ./model}")
    tiny.write_texts(tmp_path / "texts.csv", 60, (2, 5, 9))
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert ("has no padding token: <|endoftext|> stands for it" in said) == (family == "gpt2")
    what = "names no padding token" if known is None else "names 5 as its padding token"
    assert f"{what}; its tokenizer has 0, which is taken for both" in said
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "model")
    assert config["pad_token_id"] == tokenizer.pad_token_id == 0
    assert tokenizer.padding_side == "right"


def test_empty_text_is_classified_where_a_tokenizer_adds_nothing(tmp_path: Path) -> None:
    classifier(tmp_path / "model", "qwen2")
    done = command("python", "-m", "accel_cls.predict", "model", cwd=tmp_path, stdin="good food\n\nbad food\n")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["text"] for line in lines] == ["good food", "", "bad food"]
    assert 0 < lines[1]["probability"] < 1


@pytest.mark.parametrize("family", ["bart", "xlnet"])
def test_families_that_need_more_than_padding_train_on_two_processes(family: str, tmp_path: Path) -> None:
    """BART looks for a text's end, also in a row without one; XLNet has a parameter that nothing depends on."""
    tiny.write_model(tmp_path / "model", family)
    write_recipe(tmp_path, data="{train: texts.csv, validation: 0.4, max_length: 32}", model="{name: ./model}")
    tiny.write_texts(tmp_path / "texts.csv", 61, (2, 5, 9))
    one = train(tmp_path, "output=one", "model.dropout=0", "train.max_updates=3")
    two = train_by(2, tmp_path, "output=two", "model.dropout=0", "train.max_updates=3")
    assert two.returncode == 0, two.stderr
    assert one.returncode == 0, one.stderr
    a, b = (json.loads((tmp_path / name / "results.json").read_text())["scores"] for name in ("one", "two"))
    assert a == pytest.approx(b, abs=1e-4)
    if family == "xlnet":
        assert "no answer depends on transformer.mask_emb: not trained" in " ".join(two.stdout.split())


def test_model_whose_answers_have_nothing_to_do_with_the_text_is_refused(tmp_path: Path) -> None:
    """A BERT that reads the first token and, as a decoder, sees only what came before."""
    with pytest.raises(UserError, match="they all get the same answer, whatever they say"):
        classifier(tmp_path / "model", "bert", is_decoder=True)


def test_head_of_zeros_is_no_reason_to_refuse_a_model(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model", "squeezebert", head={0: "neg", 1: "pos"})
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    torch.nn.init.zeros_(model.classifier.weight)
    model.save_pretrained(tmp_path / "model")
    assert np.ptp(answers(load_classifier(tmp_path / "model"), TEXTS), axis=0).max() == 0
