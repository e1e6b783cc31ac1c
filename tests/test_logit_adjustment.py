"""`loss.logit_adjustment`: the training is the same, and the model that comes of it favours large classes less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import train, write_recipe
from safetensors.numpy import load_file
from same_training import assert_goes_on_exactly, assert_two_processes_train_as_one
from tiny import write_model
from transformers import AutoModelForSequenceClassification

TIMES = 0.5
_ADJUSTED = f"loss.logit_adjustment={TIMES}"
# 192 texts of `work` are learned, every third of them good.
MOVED = -TIMES * np.log([2 / 3, 1 / 3])


def logits(run: Path) -> np.ndarray:
    """Of the validation rows."""
    return load_file(run / "predictions.safetensors")["logits"]


def trained(work: Path, *overrides: str) -> np.ndarray:
    done = train(work, "evaluate.every=end", *overrides)
    assert done.returncode == 0, done.stdout + done.stderr
    return logits(work / "run")


def encoder(work: Path, **model: str) -> None:
    torch.manual_seed(0)
    write_model(work / "encoder", num_hidden_layers=2)
    write_recipe(work, model="{" + ", ".join(["name: encoder", *(f"{k}: {v}" for k, v in model.items())]) + "}")


@pytest.mark.parametrize("scratch", ["{layers: 1, hidden: 32, heads: 2, vocabulary: 200}", "{architecture: ngrams}"])
def test_answers_are_moved_and_the_training_is_the_same(work: Path, scratch: str) -> None:
    write_recipe(work, model=f"{{scratch: {scratch}}}")
    plain = trained(work, "output=run")
    adjusted = trained(work, "output=run", _ADJUSTED, "--fresh")
    assert adjusted - plain == pytest.approx(np.broadcast_to(MOVED, plain.shape), abs=2e-3)


def test_a_pretrained_head_begins_lower_too(work: Path) -> None:
    encoder(work)
    plain = trained(work, "output=run")
    adjusted = trained(work, "output=run", _ADJUSTED, "--fresh")
    assert adjusted - plain == pytest.approx(np.broadcast_to(MOVED, plain.shape), abs=2e-3)


@pytest.mark.parametrize("how", ["model.freeze=encoder", "train.head_init=probe"])
def test_a_head_that_is_fitted_finds_it_by_itself(work: Path, how: str) -> None:
    """What minimizes the adjusted loss: the same weights, another bias, but for what is added to both classes."""
    encoder(work, pooling="mean")
    short = ["train.max_updates=1", "train.learning_rate=1e-8"]
    plain = trained(work, how, *short)
    adjusted = trained(work, how, *short, _ADJUSTED, "--fresh")
    assert np.diff(adjusted - plain) == pytest.approx(MOVED[1] - MOVED[0], abs=0.01)


def test_saved_model_answers_so(work: Path) -> None:
    """It is the model itself that favours large classes less: nothing has to be told to what takes it into service."""
    biases = []
    for more in ([_ADJUSTED], ["--fresh"]):
        trained(work, *more)
        biases.append(AutoModelForSequenceClassification.from_pretrained(work / "run" / "model").classifier.bias)
    assert (biases[0] - biases[1]).tolist() == pytest.approx(MOVED.tolist(), abs=2e-3)


def test_two_processes_train_as_one_and_a_run_that_was_killed_goes_on_exactly(work: Path) -> None:
    assert_two_processes_train_as_one(work, _ADJUSTED)
    assert_goes_on_exactly(work / "one", _ADJUSTED, update=6)


def test_head_without_a_bias_is_refused_with_what_to_do(work: Path) -> None:
    encoder(work)
    write_model(work / "encoder", "gpt2")
    done = train(work, _ADJUSTED)
    assert done.returncode == 2
    assert "loss.logit_adjustment: the last layer of a GPT2" in done.stderr
    assert "has no bias to take it from. Set model.pooling to mean" in done.stderr
