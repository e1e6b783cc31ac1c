"""A sound model folder, ways to tamper with it, and what training and classifying then say of it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from harm import check_unharmed
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification

from accel_cls.data.loading import load_corpus
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.inference.loading import load_classifier
from accel_cls.models.classifier import load_model, outline_model
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of
from accel_cls.tokenization.tokenizer import load_tokenizer
from accel_cls.tokenization.vocabulary import learn_tokenizer

WORDS = ["good food", "bad food", "good taste", "bad taste"] * 2
FOUR = [""] * 4  # the classes of four texts, whatever they are
KEPT = "the head of m is kept: its classes are these"

# name, what is done to the folder, what training says of it, what classifying says of it; a list: it is taken.
Cases = list[tuple[str, Callable[[Path], Any], str | list[str], str | list[str]]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A small model folder in which all is right."""
    folder = tmp_path_factory.mktemp("sound") / "model"
    tokenizer = learn_tokenizer(Texts.of({"text": WORDS}), 100)
    tokenizer.model_max_length = 32
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=32,
        id2label={0: "bad", 1: "good"},
        label2id={"bad": 0, "good": 1},
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def model(sound, tmp_path, monkeypatch) -> Path:
    """A copy of it to tamper with, in an empty current folder; at the end nothing has run code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCEL_CLS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(sound, "m")
    rows = "".join(f"{text},{text.split()[0]}\n" for text in WORDS)
    Path("a.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    yield Path("m")
    check_unharmed()


def recipe_of(**data: Any) -> Recipe:
    values = {"train": "a.csv", "validation": "a.csv", "max_length": 16} | data
    return Recipe.model_validate({"name": "a", "output": "o", "data": values, "model": {"name": "m"}})


def answer() -> str | list[str]:
    """What a recipe's model gives: the reason why it is refused, or the notes."""
    recipe, notes = recipe_of(), []
    task = task_of(recipe)
    corpus = load_corpus(recipe, task)
    try:
        tokenizer = load_tokenizer(recipe, corpus.train)
        outline_model(recipe, tokenizer, corpus.classes, task.problem_type)
        loaded = load_model(recipe, tokenizer, corpus.classes, notes, task.problem_type)
    except UserError as error:
        return str(error)
    ids = torch.tensor([tokenizer("good food")["input_ids"]])
    assert loaded(input_ids=ids).logits.shape == (1, 2)
    return notes


def predicted() -> str | list[str]:
    """What classifying with that folder gives: the reason why not, or the classes."""
    try:
        return [
            prediction.label for prediction in load_classifier("m").predict(["good food", "", "\0 \ud800", "中😀"])
        ]
    except UserError as error:
        return str(error)


def change(name: str, **values: Any) -> Callable[[Path], None]:
    """Set keys of a JSON file."""

    def apply(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")

    return apply


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return apply


def remove(*names: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return apply


def weights(edit: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_file(edit(load_file(path)), path, metadata={"format": "pt"})

    return apply


def refused(part: str, reason: str) -> tuple[str, str]:
    """What training and what classifying say where the model or the tokenizer can't be loaded, for such a reason."""
    said = f"the {part} of the folder 'm' can't be loaded: …{reason}"
    return f"model.name: {said}", f"m: {said}"


# Classifying, where weights do not have the shapes that the configuration says.
MISMATCHED = refused("model", "its weights have other shapes than its config.json says")[1]


def check(found: str | list[str], expected: str | list[str]) -> None:
    """A list is of parts of the notes of what is taken; a text names the reason of a refusal, … being any words."""
    if isinstance(expected, list):
        assert isinstance(found, list), found
        assert len(found) == len(expected), found
        assert all(part in note for part, note in zip(expected, found, strict=True)), found
    else:
        assert isinstance(found, str), found
        assert re.search(".*".join(map(re.escape, expected.split("…"))), found, re.DOTALL), (expected, found)
        assert len(found) <= 600
        assert "trust_remote_code" not in found
