"""The shipped recipes on real reviews and real weights, where ACCEL_CLS_REAL_DATA says where they lie."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import ROOT, command

_FOLDER = os.environ.get("ACCEL_CLS_REAL_DATA")
pytestmark = pytest.mark.skipif(
    _FOLDER is None, reason="needs ACCEL_CLS_REAL_DATA: a folder with data/food_reviews_10k.csv and models/"
)


@pytest.fixture
def real() -> Path:
    assert _FOLDER is not None
    folder = Path(_FOLDER).resolve()
    assert (folder / "data" / "food_reviews_10k.csv").is_file(), folder
    return folder


def run(real: Path, tmp_path: Path, recipe: str, *overrides: str) -> dict:
    data = real / "data" / "food_reviews_10k.csv"
    done = command(
        "accelerate", "launch", "-m", "accel_cls.train", str(ROOT / "recipes" / recipe),
        f"data.train={data}", "output=run", *overrides, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "9,590 to learn from, 2,397 to judge by" in done.stdout
    return json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))


def test_one_epoch_from_scratch_is_far_above_chance(real: Path, tmp_path: Path) -> None:
    results = run(real, tmp_path, "food.yaml", "train.epochs=1")
    assert results["scores"]["accuracy"] > 0.8  # always NEGATIVE would be right in 0.666 of the cases


def test_real_pretrained_weights_train(real: Path, tmp_path: Path) -> None:
    encoder = next((real / "models").iterdir())
    results = run(
        real, tmp_path, "food_bert.yaml", f"model.name={encoder}",
        "data.validation=0.2", "train.max_updates=25", "train.learning_rate=2e-4", "train.log_every=1",
    )  # fmt: skip
    assert results["updates"] == 25
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [record["loss"] for record in map(json.loads, lines) if "loss" in record]
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "NEGATIVE", "1": "POSITIVE"}
