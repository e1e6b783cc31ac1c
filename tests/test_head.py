"""A folder that was fine-tuned before: its head goes with the names of its classes, and a note says how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import train, write_recipe
from tiny import FAMILIES, write_model, write_texts
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from accel_cls.data.labels import Classes
from accel_cls.models.classifier import load_model
from accel_cls.recipe import Recipe

STILL = ("model.name=run/model", "output=again", "train.max_updates=1", "train.learning_rate=1e-9")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that has learned all: neg and pos, in this order."""
    folder = tmp_path_factory.mktemp("head")
    write_texts(folder / "a.csv", 96, (3, 5, 8))
    write_texts(folder / "b.csv", 32, (3, 5, 8), seed=1)
    write_model(folder / "m")
    write_recipe(
        folder,
        data="{train: a.csv, validation: b.csv, max_length: 16}",
        model="{name: m}",
        train="{epochs: 8, batch_size: 16, micro_batch_tokens: 256, learning_rate: 5e-3}",
    )
    done = train(folder)
    assert done.returncode == 0, done.stderr
    assert "accuracy 1.0000" in done.stdout
    return folder


def test_classes_in_another_order_keep_their_rows(trained: Path) -> None:
    done = train(trained, *STILL, "data.labels=[pos, neg]", "output=turned")
    assert done.returncode == 0, done.stderr
    assert "the head of model is kept, each class by its name: there they are neg, pos" in done.stdout
    assert "accuracy 1.0000" in done.stdout
    config = json.loads((trained / "turned" / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "pos", "1": "neg"}


def test_classes_in_the_same_order_keep_their_rows(trained: Path) -> None:
    done = train(trained, *STILL, "output=same")
    assert "the head of model is kept: its classes are these" in done.stdout, done.stderr
    assert "accuracy 1.0000" in done.stdout


def test_other_classes_get_a_new_head(trained: Path) -> None:
    done = train(trained, *STILL, "data.labels={neg: bad, pos: good}", "output=other")
    assert "the head of model is made anew: its classes are neg, pos, not bad, good" in done.stdout, done.stderr
    assert "start fresh" not in done.stdout


# What becomes of each weight, in each family

NAMES = ("a", "b", "c")


def _load(
    folder: Path, names: tuple[str, ...], problem_type: str = "single_label_classification"
) -> tuple[dict[str, torch.Tensor], list[str]]:
    data = {"train": "a.csv", "validation": "a.csv", "max_length": 16}
    recipe = Recipe.model_validate({"name": "a", "output": "o", "data": data, "model": {"name": str(folder)}})
    notes: list[str] = []
    model = load_model(recipe, AutoTokenizer.from_pretrained(folder), Classes(names, names), notes, problem_type)
    assert [model.config.id2label[i] for i in range(len(names))] == list(names)
    return model.state_dict(), notes


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_output_layer_is_put_in_order_or_made_anew(tmp_path: Path, family: str) -> None:
    write_model(tmp_path / "m", family, head=dict(enumerate(NAMES)))
    before = AutoModelForSequenceClassification.from_pretrained(tmp_path / "m").state_dict()
    layer = [name for name, w in before.items() if len(w) == 3 and w.dim()]
    assert 1 <= len(layer) <= 2
    # Biases of a new model are all zeros, and show no order.
    changed = before | {name: torch.randn_like(before[name]) for name in layer}
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "m")
    model.load_state_dict(changed)
    model.save_pretrained(tmp_path / "m")

    kept, notes = _load(tmp_path / "m", NAMES)
    assert all(torch.equal(kept[name], changed[name]) for name in changed)
    assert notes == ["the head of m is kept: its classes are these"]

    turned, notes = _load(tmp_path / "m", ("c", "a", "b"))
    assert all(torch.equal(turned[name], changed[name][[2, 0, 1]]) for name in layer)
    assert all(torch.equal(turned[name], changed[name]) for name in changed if name not in layer)
    assert notes == ["the head of m is kept, each class by its name: there they are a, b, c"]

    (tmp_path / "headless").mkdir()
    write_model(tmp_path / "headless", family, head=dict(enumerate(NAMES)))
    _remove(tmp_path / "headless", layer)
    for names in (("a", "b", "d"), ("x", "y")):
        new, notes = _load(tmp_path / "m", names)
        assert all(torch.equal(new[name], changed[name]) for name in changed if name not in layer)
        assert not any(torch.equal(new[name], changed[name]) for name in layer)
        assert notes == [f"the head of m is made anew: its classes are a, b, c, not {', '.join(names)}"]
        # As if there had been none.
        fresh, notes = _load(tmp_path / "headless", names)
        assert all(torch.equal(new[name], fresh[name]) for name in layer)
        assert notes == [f"weights that headless does not have start fresh: {', '.join(sorted(layer))}"]


def _remove(folder: Path, names: list[str]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    rest = {name: tensor for name, tensor in weights.items() if name not in names}
    assert len(rest) < len(weights)
    save_file(rest, folder / "model.safetensors", metadata={"format": "pt"})


def test_as_many_classes_as_the_hidden_size_do_not_mislead(tmp_path: Path) -> None:
    names = tuple(f"class {i}" for i in range(16))
    write_model(tmp_path / "m", "roberta", head=dict(enumerate(names)))
    before = AutoModelForSequenceClassification.from_pretrained(tmp_path / "m").state_dict()
    turned, _ = _load(tmp_path / "m", names[::-1])
    assert torch.equal(turned["classifier.dense.weight"], before["classifier.dense.weight"])
    assert torch.equal(turned["classifier.out_proj.weight"], before["classifier.out_proj.weight"].flip(0))


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("a", "b"), "the head of m is made anew: its classes are LABEL_0, LABEL_1, not a, b"),
        (("LABEL_1", "LABEL_0"), "the head of m is kept, each class by its name: there they are LABEL_0, LABEL_1"),
    ],
)
def test_default_names_are_names(tmp_path: Path, names: tuple[str, ...], note: str) -> None:
    write_model(tmp_path / "m", head={0: "LABEL_0", 1: "LABEL_1"})
    assert _load(tmp_path / "m", names)[1] == [note]


def test_head_for_another_problem_is_made_anew(tmp_path: Path) -> None:
    write_model(tmp_path / "m", head={0: "a", 1: "b"}, problem_type="multi_label_classification")
    _, notes = _load(tmp_path / "m", ("a", "b"))
    reason = "it was trained for multi_label_classification, not for single_label_classification"
    assert notes == [f"the head of m is made anew: {reason}"]
    _, notes = _load(tmp_path / "m", ("a", "b"), problem_type="multi_label_classification")
    assert notes == ["the head of m is kept: its classes are these"]
