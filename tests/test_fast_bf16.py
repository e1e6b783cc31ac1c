"""Where bf16 is faster than the fp32 that launchers take by default, `new` and the training say so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import cli, train, write_recipe, write_reviews
from tiny import write_model

from accel_cls.devices.fast_bf16 import fast_bf16

_SAID = "precision is fp32, since nothing says another one"


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """What the CPU seems to be able to do."""
    able: dict[str, bool] = {"avx2": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    return able


@pytest.mark.parametrize(("instructions", "width"), [("avx512_bf16", 384), ("amx_bf16", 256)])
def test_instructions_and_width_decide(processor: dict[str, bool], instructions: str, width: int) -> None:
    assert fast_bf16("cpu", width) is None
    processor[instructions] = True
    assert fast_bf16("cpu", width) == f"this CPU, by its {instructions},"
    assert fast_bf16("cpu", 128) is None  # casts eat up what products gain
    assert fast_bf16("cpu", None) is None  # a bag of n-grams
    assert fast_bf16("mps", width) is None  # not known


def test_gpu_that_has_it_is_named_whatever_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    for has_it, said in ((True, "this NVIDIA H100"), (False, None)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has_it=has_it: has_it)
        assert fast_bf16("cuda", 128) == said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reviews, an encoder of hidden size 256, and a recipe that trains it for an update."""
    write_reviews(tmp_path / "reviews.csv", 60)
    write_model(tmp_path / "encoder", hidden_size=256, num_hidden_layers=1)
    write_recipe(tmp_path, model="{name: encoder}", train="{epochs: 1, max_updates: 1, batch_size: 16}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_new_tells_the_command_that_is_faster(folder: Path, processor: dict[str, bool], capsys) -> None:
    for number, is_able in enumerate((False, True)):
        processor["avx512_bf16"] = is_able
        out = f"own{number}.yaml"
        status, said, errors = cli(capsys, "new", "reviews.csv", "--model", "encoder", "--out", out)
        assert status == 0, errors
        precision = "--mixed_precision bf16 " if is_able else ""
        assert f"accelerate launch {precision}-m accel_cls.train {out}" in said
    processor["avx512_bf16"] = True
    assert "--mixed_precision" not in cli(capsys, "new", "reviews.csv", "--out", "bag.yaml")[1]


def test_training_says_so_once_where_nobody_has_said_a_precision(folder: Path) -> None:
    done = train(folder)
    assert done.returncode == 0, done.stderr
    assert " ".join(done.stdout.split()).count(_SAID) == (fast_bf16("cpu", 256) is not None)
    told = train(folder, "hardware=cpu", "output=told")
    bag = train(folder, "~model.name", "model.scratch={architecture: ngrams, hidden: 512}", "output=bag")
    for other in (told, bag):
        assert other.returncode == 0, other.stderr
        assert _SAID not in " ".join(other.stdout.split())
