"""A head that is fitted to the encoder as it is: alone (model.freeze), or as the start of a training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import cli, train, train_by, write_file, write_recipe
from run_results import interrupt, metrics, numbers
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from tiny import write_model, write_texts

from accel_cls.tasks import SingleLabel
from accel_cls.training.linear_probe import _Problem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny BERT encoder in `encoder`, with texts and a recipe for it."""
    write_model(tmp_path / "encoder")
    write_texts(tmp_path / "texts.csv", 240, range(1, 9))
    write_recipe(
        tmp_path,
        data="{train: texts.csv, text: text, label: label, max_length: 32}",
        model="{name: ./encoder}",
        train="{epochs: 2, batch_size: 16, micro_batch_tokens: 256, learning_rate: 1e-3, log_every: 1}",
    )
    return tmp_path


def _results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def test_minimum_is_that_of_logistic_regression() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 400)
    features = (draw.normal(size=(400, 5)) * [1, 10, 0.1, 1, 3] + 7 + labels[:, None]).astype(np.float32)
    standard = (features - features.mean(0)) / features.std(0)
    penalty = 0.01
    theirs = LogisticRegression(C=1 / (penalty * 400), tol=1e-8, max_iter=1000).fit(standard, labels)
    loss = SingleLabel().loss(_train_section(), labels, _Three(), torch.device("cpu"))
    ours = _Problem(loss, torch.from_numpy(features), labels, 3).minimize(penalty)
    logits = features @ ours.weight.numpy().T + ours.bias.numpy()
    assert SingleLabel().decode(logits).probabilities == pytest.approx(theirs.predict_proba(standard), abs=2e-3)


class _Three:
    names = ("a", "b", "c")

    def __len__(self) -> int:
        return 3


def _train_section():
    from accel_cls.recipe.sections.train import Train

    return Train()


def test_frozen_encoder_is_kept_and_its_head_learned(folder: Path) -> None:
    done = train(folder, "model.freeze=encoder")
    assert done.returncode == 0, done.stderr
    assert "the head was fitted to what the encoder makes of the" in done.stdout
    before, after = load_file(folder / "encoder" / "model.safetensors"), _weights(folder / "run")
    encoder = {name.removeprefix("encoder."): t for name, t in after.items() if name.startswith("encoder.")}
    assert encoder
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.items())
    found = _results(folder / "run")
    assert found["scores"]["accuracy"] > 0.6  # half of the texts are of each class, and the encoder is random
    assert found["updates"] == 1
    assert "train.learning_rate is not used, since model.freeze trains the head alone" in done.stdout
    again = train(folder, "model.freeze=encoder")
    assert "this run is already finished" in again.stdout


def test_frozen_and_probed_trainings_are_the_same_on_two_processes(folder: Path) -> None:
    for choice in ("model.freeze=encoder", "train.head_init=probe"):
        env = {"ACCEL_CLS_CACHE_GB": "0"}  # else the second one would read the first one's features
        overrides = [choice, "model.dropout=0"]
        one = train(folder, *overrides, "output=one", "--fresh", env=env)
        two = train_by(2, folder, *overrides, "output=two", "--fresh")
        assert one.returncode == 0, one.stderr
        assert two.returncode == 0, two.stderr
        for left, right in zip(metrics(folder / "one"), metrics(folder / "two"), strict=True):
            assert numbers(left) == pytest.approx(numbers(right), rel=1e-4)


def test_kept_features_give_the_same_bits(folder: Path) -> None:
    assert train(folder, "model.freeze=encoder", "output=one").returncode == 0
    assert train(folder, "model.freeze=encoder", "output=two").returncode == 0
    one, two = _weights(folder / "one"), _weights(folder / "two")
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    write_model(folder / "encoder", initializer_range=0.5)  # other weights under the same name
    assert train(folder, "model.freeze=encoder", "output=three").returncode == 0
    assert not torch.equal(_weights(folder / "three")["classifier.weight"], one["classifier.weight"])


def test_fitted_head_is_judged_first_and_kept_where_it_is_best(folder: Path) -> None:
    frozen = train(folder, "model.freeze=encoder", "output=frozen")
    assert frozen.returncode == 0, frozen.stderr
    spoiled = train(
        folder, "train.head_init=probe", "train.learning_rate=9", "train.max_grad_norm=0", "output=spoiled"
    )
    assert spoiled.returncode == 0, spoiled.stderr
    evaluations = [one for one in metrics(folder / "spoiled") if "evaluation" in one]
    assert evaluations[0]["update"] == 0
    assert len(evaluations) == 3
    found = _results(folder / "spoiled")
    assert found["epoch"] == 0
    assert found["scores"] == pytest.approx(_results(folder / "frozen")["scores"], rel=1e-4)
    interrupt(folder / "spoiled", 0)
    again = train(folder, "train.head_init=probe", "train.learning_rate=9", "train.max_grad_norm=0", "output=spoiled")
    assert again.returncode == 0, again.stderr
    assert [numbers(one) for one in metrics(folder / "spoiled") if "evaluation" in one] == [*map(numbers, evaluations)]


def test_last_weights_are_kept_where_these_are_asked_for(folder: Path) -> None:
    """Though the fitted head was better: of so few rows that they can't tell, as a recipe says with `end`."""
    spoiled = ("train.head_init=probe", "train.learning_rate=9", "train.max_grad_norm=0", "evaluate.every=end")
    done = train(folder, *spoiled)
    assert done.returncode == 0, done.stderr
    assert "  evaluation    at the end, best by accuracy" in done.stdout
    (evaluation,) = [one for one in metrics(folder / "run") if "evaluation" in one]
    found = _results(folder / "run")
    assert evaluation["update"] == found["updates"] > 0
    assert found["epoch"] == 2
    assert found["scores"]["loss"] > 2  # the fitted head's is below 1
    for page in ("report.md", "report.html", "model/README.md"):
        assert "Nothing was chosen by the validation rows" in (folder / "run" / page).read_text(encoding="utf-8"), page


def test_probe_is_where_a_training_starts(folder: Path) -> None:
    frozen = train(folder, "model.freeze=encoder", "output=frozen")
    assert frozen.returncode == 0, frozen.stderr
    still = train(folder, "train.head_init=probe", "train.learning_rate=1e-9", "train.epochs=1", "output=still")
    assert still.returncode == 0, still.stderr
    assert _results(folder / "still")["scores"]["loss"] == pytest.approx(
        _results(folder / "frozen")["scores"]["loss"], rel=1e-4
    )


@pytest.mark.parametrize("weights", ["null", "balanced"])
def test_several_classes_a_text_and_class_weights(weights: str, tmp_path: Path) -> None:
    write_model(tmp_path / "encoder")
    rows = "".join(
        f'"{text}","{label}"\n' for text, label in [("good a", "x"), ("bad b", "y"), ("good bad", "x,y")] * 30
    )
    write_file("text,label\n" + rows, str(tmp_path / "texts.csv"))
    write_recipe(
        tmp_path,
        task="multi_label",
        data="{train: texts.csv, text: text, label: label, max_length: 32, validation: texts.csv}",
        model="{name: ./encoder, freeze: encoder}",
        train=f"{{class_weights: {weights}}}",
        evaluate="{metrics: [accuracy, f1_micro]}",
    )
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert _results(tmp_path / "run")["scores"]["accuracy"] > 0.9


def test_head_without_a_layer_to_fit_is_told(folder: Path) -> None:
    write_model(folder / "other", "gpt2")
    done = train(folder, "model.name=./other", "train.head_init=probe", "model.pooling=auto")
    assert done.returncode == 0, done.stderr  # the mean of its tokens, which any encoder has
    write_model(folder / "bart", "bart")
    frozen = train(folder, "model.name=./bart", "model.freeze=encoder", "output=bart-run")
    assert frozen.returncode == 0, frozen.stderr  # its own head, whose last layer is fitted


def test_rates_of_head_and_encoder(folder: Path) -> None:
    before = load_file(folder / "encoder" / "model.safetensors")

    def moved(rate: str) -> tuple[float, float]:
        overrides = [f"train.head_rate={rate}", "train.max_updates=1", "model.pooling=mean", "train.warmup=0"]
        done = train(folder, *overrides, f"output=rate-{rate}", "model.dropout=0")
        assert done.returncode == 0, done.stderr
        after = _weights(folder / f"rate-{rate}")
        name = "encoder.layer.1.output.dense.weight"
        return float((after[f"encoder.{name}"] - before[name]).abs().max()), float(
            after["classifier.bias"].abs().max()
        )

    (encoder, head), (same, faster) = moved("1"), moved("10")
    assert same == pytest.approx(encoder, rel=1e-3)
    assert faster == pytest.approx(10 * head, rel=1e-2)  # AdamW's first step is the rate


@pytest.mark.parametrize("arguments", [["profile"], ["parity"], ["resume", "--prove"]])
def test_what_looks_at_updates_says_that_there_are_none(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(folder)
    name, *rest = arguments
    status, _, said = cli(capsys, name, "recipe.yaml", "model.freeze=encoder", *rest)
    assert status == 2
    assert said.startswith("model.freeze: found 'encoder', with which there are no updates")
