"""What the model computes in, when it classifies: fp32 unless another precision is asked for that the device has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from accel_cls.inference.loading import load_classifier
from accel_cls.predict import main as predict

TEXTS = ["good food", "bad", "the soup was cold and it came late", "fine"] * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("precision") / "model"
    tiny.write_model(folder, head={0: "neg", 1: "pos"})
    return folder


@contextmanager
def dtypes_of_the_head(module: torch.nn.Module) -> Iterator[list[torch.dtype]]:
    """What the last layer puts out in the block."""
    seen: list[torch.dtype] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    yield seen
    handle.remove()


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_model_computes_in_the_precision_that_is_asked_for(
    model: Path, precision: str, dtype: torch.dtype
) -> None:
    classifier = load_classifier(model, precision)
    with dtypes_of_the_head(classifier.model.classifier) as seen:
        classifier.predict(TEXTS)
    assert {*seen} == {dtype}
    assert {weight.dtype for weight in classifier.model.parameters()} == {torch.float32}


def test_answers_in_bf16_are_those_in_fp32_but_for_rounding(model: Path) -> None:
    exact, rounded = (
        np.array([one.logits for one in load_classifier(model, precision).predict(TEXTS)])
        for precision in ("fp32", "bf16")
    )
    assert 0 < np.abs(exact - rounded).max() < 0.02 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        ("int8", "the precision is 'int8'; expected one of fp32, bf16, fp16"),
        ("no", "the precision is 'no'; expected one of fp32, bf16, fp16"),
        ("fp16", "the precision is fp16, which a CPU is slow at; expected fp32 or bf16 here"),
    ],
)
def test_a_precision_that_there_is_not_is_refused(
    model: Path, precision: str, said: str, capsys: pytest.CaptureFixture
) -> None:
    assert predict([str(model), "--text", "good food", "--precision", precision]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_bf16_that_saves_no_time_is_told(model: Path, capsys: pytest.CaptureFixture) -> None:
    told = "this CPU is not known to be faster in bf16 than in fp32 with this model"
    for precision, is_told in (("bf16", True), ("fp32", False)):
        assert predict([str(model), "--text", "good food", "--precision", precision]) == 0
        said = capsys.readouterr()
        assert (told in said.err) == is_told
        assert "good food" in said.out


def test_a_faster_precision_is_told_after_many_texts(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("accel_cls.inference.precision.fast_bf16", lambda *_: "this CPU, by its magic,")
    rows, out = tmp_path / "in.csv", str(tmp_path / "out.csv")
    told = "that was in fp32; this CPU, by its magic, is faster in bf16 with such a model: --precision bf16"
    for count, precision, is_told in ((2000, "fp32", True), (2000, "bf16", False), (1999, "fp32", False)):
        rows.write_text("text\n" + "good food\n" * count, encoding="utf-8")
        arguments = ["--file", str(rows), "--column", "text", "--out", out, "--precision", precision]
        assert predict([str(model), *arguments]) == 0
        said = capsys.readouterr().err
        assert f"{count} predictions" in said
        assert (told in said) == is_told
