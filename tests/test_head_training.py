"""Models with heads that read all tokens, mixed layers, dropout samples and fresh top layers: trained, saved, told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import command, train
from run_results import metrics, read_csv
from same_training import assert_goes_on_exactly, assert_two_processes_train_as_one
from test_pooling import _config
from test_pooling import folder as folder
from tiny import write_model, write_texts
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from accel_cls.data.labels import Classes
from accel_cls.errors import UserError
from accel_cls.models.classifier import load_model
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.model import POOLINGS_OF

_ALL = ("model.last_layers=2", "model.dropout=0.1", "model.dropout_samples=3", "model.reinitialize=1")


def test_same_training_on_two_processes_and_after_a_stop(folder: Path) -> None:
    write_texts(folder / "texts.csv", 60, range(1, 9))
    overrides = ("model.head=bilstm", *_ALL, "train.head_rate=2", "train.min_micro_batches=2")
    assert_two_processes_train_as_one(folder, *overrides)
    first = next(record["update"] for record in metrics(folder / "one") if record.get("evaluation"))
    assert_goes_on_exactly(folder / "one", *overrides, update=first)


def test_saved_head_is_found_by_transformers(folder: Path) -> None:
    done = train(folder, "model.head=dpcnn", *_ALL, "train.head_init=probe", "train.max_updates=3")
    assert done.returncode == 0, done.stderr
    row = read_csv(folder / "run" / "predictions.csv")[0]
    code = (
        "import accel_cls, json, sys, transformers\n"
        "said = transformers.pipeline('text-classification', 'run/model', top_k=None)([sys.argv[1]])[0]\n"
        "print(json.dumps({one['label']: one['score'] for one in said}))"
    )
    said = subprocess.run([sys.executable, "-c", code, row["text"]], cwd=folder, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    asked = command("python", "-m", "accel_cls.predict", "run", cwd=folder, stdin=row["text"])
    for answer in (json.loads(said.stdout), json.loads(asked.stdout)["probabilities"]):
        for name, score in answer.items():
            assert score == pytest.approx(float(row[f"p({name})"]), abs=1e-5)


def test_several_classes_a_pair_without_packing(folder: Path) -> None:
    write_texts(folder / "texts.csv", 120, range(1, 9), pairs=True)
    overrides = ("task=multi_label", "data.text=[text, pair]", "train.packing=false", "train.max_updates=2")
    done = train(folder, "model.head=rcnn", *_ALL, *overrides)
    assert done.returncode == 0, done.stderr
    assert _config(folder / "run")["is_pair"]
    row = read_csv(folder / "run" / "predictions.csv")[0]
    asked = ("run", "--text", row["text"], "--pair", row["pair"])
    said = command("python", "-m", "accel_cls.predict", *asked, cwd=folder)
    for name in ("neg", "pos"):
        assert f"{name} {float(row[f'p({name})']):.4f}" in said.stdout, said.stderr


def test_numbers_are_learned_by_dropout_samples(folder: Path) -> None:
    lines = (folder / "texts.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.replace(",neg", ",1000").replace(",pos", ",1500") for line in lines]
    (folder / "texts.csv").write_text("\n".join(rows), encoding="utf-8")
    done = train(folder, "task=regression", "model.head=cnn", *_ALL, "train.epochs=4")
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["scores"]["mae"] < 150  # 250 of the mean


def test_dropout_samples_and_fresh_layers_leave_the_family_its_class(folder: Path) -> None:
    done = train(folder, "train.max_updates=1", *_ALL[1:])
    assert done.returncode == 0, done.stderr
    assert "the top layer of the encoder starts from random weights" in done.stdout
    assert _config(folder / "run")["architectures"] == ["BertForSequenceClassification"]
    assert not {"dropout_samples", "reinitialize"} & _config(folder / "run").keys()


def _loaded(folder: Path, notes: list[str], seed: int = 42, **model: Any) -> PreTrainedModel:
    """A classifier of two classes by a recipe's section `model`, from a folder."""
    data = {"train": "a.csv", "validation": "a.csv", "max_length": 16}
    values = {"name": "a", "output": "o", "data": data, "model": {"name": str(folder), **model}, "seed": seed}
    tokenizer, classes = AutoTokenizer.from_pretrained(folder), Classes(("neg", "pos"), ("neg", "pos"))
    return load_model(Recipe.model_validate(values), tokenizer, classes, notes, "single_label_classification")


@pytest.mark.parametrize("head", [head for head in POOLINGS_OF if head != "linear"])
def test_trained_head_is_kept_unless_another_is_wanted(head: str, tmp_path: Path) -> None:
    write_model(tmp_path / "m")
    first = _loaded(tmp_path / "m", [], head=head, last_layers=2)
    torch.nn.init.normal_(first.mix.weights)
    for saved in (first, AutoTokenizer.from_pretrained(tmp_path / "m")):
        saved.save_pretrained(tmp_path / "trained")
    kept = _loaded(tmp_path / "trained", notes := [])
    assert all(torch.equal(weight, first.state_dict()[name]) for name, weight in kept.state_dict().items())
    assert notes == ["the head of trained is kept: its classes are these"]
    other = "cnn" if head != "cnn" else "bilstm"
    anew = _loaded(tmp_path / "trained", notes := [], head=other, last_layers=1)
    assert (anew.config.head, anew.config.pooling, anew.mix) == (other, "max", None)
    assert notes[-1] == "the head of trained is made anew: it read what another model.head had made"
    assert not torch.equal(anew.classifier.weight[:, :9], first.classifier.weight[:, :9])
    with pytest.raises(UserError, match=f"model.pooling: found first; with model.head {head} expected "):
        _loaded(tmp_path / "trained", [], pooling="first")
    anew.save_pretrained(tmp_path / "trained")
    mixed = _loaded(tmp_path / "trained", notes := [], last_layers=2)
    assert notes[0] == "weights that trained does not have start fresh: mix.scale, mix.weights"
    assert (mixed.mix.scale.item(), mixed.mix.weights.tolist()) == (1, [0, 0])


@pytest.mark.parametrize("family", ["bert", "distilbert", "xlnet", "deberta-v2"])
def test_top_layers_start_fresh_and_those_below_as_they_are(family: str, tmp_path: Path) -> None:
    write_model(tmp_path, family)
    pretrained = AutoModel.from_pretrained(tmp_path).state_dict()
    weights = _loaded(tmp_path, [], reinitialize=1).base_model.state_dict()
    fresh = {name for name, weight in pretrained.items() if not torch.equal(weight, weights[name])}
    # Biases are zeros, and norms ones, in this pretrained model as in a new one.
    drawn = {
        name for name, weight in pretrained.items() if weight.std() > 1e-6 and (".1." in name or "pooler" in name)
    }
    assert fresh == drawn
    again, other = (_loaded(tmp_path, [], seed, reinitialize=1).base_model.state_dict() for seed in (42, 7))
    assert all(torch.equal(weight, again[name]) for name, weight in weights.items())
    assert not any(torch.equal(weights[name], other[name]) for name in fresh)


@pytest.mark.parametrize(
    ("family", "model", "said"),
    [
        ("bert", {"last_layers": 3}, "model.last_layers: found 3; expected 2 at most, the layers of"),
        ("bert", {"reinitialize": 3}, "model.reinitialize: found 3; expected 2 at most, the layers of this Bert"),
        ("bert", {"pooling": "last"}, "model.pooling: found last; with model.head linear expected one of first, mean"),
        ("t5", {"head": "cnn"}, "model.head: found cnn; "),
        ("t5", {"last_layers": 2}, "it has a decoder, whose end its own classifier reads. Leave it out"),
        ("bart", {"reinitialize": 1}, "model.reinitialize: a BartForSequenceClassification has 2 lists of layers"),
    ],
)
def test_what_a_model_can_not_have_is_told(family: str, model: dict, said: str, tmp_path: Path) -> None:
    write_model(tmp_path, family)
    with pytest.raises(UserError) as caught:
        _loaded(tmp_path, [], **model)
    assert said in str(caught.value)
