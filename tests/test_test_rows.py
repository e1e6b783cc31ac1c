"""`data.test`: rows that nothing is chosen by, scored once, by the model that is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import train, train_by, write_recipe, write_reviews
from run_results import metrics, read_csv, weights_of
from safetensors.numpy import load_file

TRAIN = "{epochs: 3, batch_size: 16, micro_batch_tokens: 512, learning_rate: 5e-3}"


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, by two processes, whose last evaluation is not its best; and the same without test rows, by one."""
    folder = tmp_path_factory.mktemp("tested")
    write_reviews(folder / "reviews.csv", 240)
    write_reviews(folder / "test.csv", 61, seed=1)
    write_recipe(folder, train=TRAIN, evaluate="{best: loss, metrics: [accuracy, f1_macro]}")
    for done in (
        train_by(2, folder, "data.test=test.csv", "train.min_micro_batches=2", "output=two"),
        train(folder, "data.test=test.csv", "train.min_micro_batches=2", "output=one"),
        train(folder, "train.min_micro_batches=2", "output=without"),
    ):
        assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def test_each_test_row_is_scored_once_by_the_kept_model(finished: Path) -> None:
    rows = read_csv(finished / "one" / "test_predictions.csv")
    assert [row["row"] for row in rows] == [f"test.csv:{i}" for i in range(1, 62)]
    found = results(finished / "one")
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert found["test"]["scores"]["accuracy"] == pytest.approx(right, abs=1e-12)
    assert found["rows"]["test"] == 61
    logits = load_file(finished / "one" / "test_predictions.safetensors")["logits"]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    told = [[float(row[key]) for key in row if key.startswith("p(")] for row in rows]
    assert np.allclose(probabilities, told, atol=1e-6)
    assert len(found["test"]["baselines"]) == len(found["baselines"]) == 3


def test_they_change_nothing_of_the_training(finished: Path) -> None:
    one, without = finished / "one", finished / "without"
    assert weights_of(one / "model" / "model.safetensors") == weights_of(without / "model" / "model.safetensors")
    assert results(one)["scores"] == results(without)["scores"]
    assert results(without)["test"] is None
    assert not (without / "test_predictions.csv").exists()


def test_two_processes_give_the_same_answers(finished: Path) -> None:
    one, two = (load_file(finished / name / "test_predictions.safetensors") for name in ("one", "two"))
    assert np.array_equal(one["labels"], two["labels"])
    assert np.allclose(one["logits"], two["logits"], atol=1e-4)


def test_looks_at_the_same_rows_are_counted(finished: Path, tmp_path: Path) -> None:
    """A run of its own beside those of the fixture, by the same cache."""
    assert {results(finished / name)["test"]["looks"] for name in ("one", "two")} == {1, 2}
    report = (finished / "one" / "report.md").read_text(encoding="utf-8")
    assert "2 runs here have been scored by them" in report
    assert "on the test rows" in report


def test_finished_run_is_scored_by_rows_that_come_later(finished: Path) -> None:
    before = metrics(finished / "without")
    done = train(finished, "data.test=test.csv", "train.min_micro_batches=2", "output=without")
    assert done.returncode == 0, done.stderr
    assert "is to be judged anew (data.test: not set →" in " ".join(done.stdout.split()), done.stdout
    assert metrics(finished / "without") == before
    assert results(finished / "without")["test"]["scores"] == results(finished / "one")["test"]["scores"]
    again = train(finished, "data.test=test.csv", "train.min_micro_batches=2", "output=without")
    assert "already finished" in again.stdout


def test_fraction_is_split_off_and_never_seen_again(tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", 300)
    write_recipe(tmp_path, train=TRAIN, data="{train: reviews.csv, text: review, test: 0.2, validation: 0.2}")
    done = train(tmp_path, "train.epochs=1")
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "run")["rows"]
    assert (found["training"], found["validation"], found["test"]) == (180, 60, 60)
    names = ("test_predictions.csv", "predictions.csv")
    tested, validated = ({row["row"] for row in read_csv(tmp_path / "run" / name)} for name in names)
    assert not tested & validated


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("1,送餐快\n2,太慢了\n", "data.test: the label '2' is not among"),
        ("1,\n", "data.test: the text is empty in 1 row: test.csv:1"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused_before_training(tmp_path: Path, lines: str, said: str) -> None:
    write_reviews(tmp_path / "reviews.csv", 60)
    header = (tmp_path / "reviews.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    (tmp_path / "test.csv").write_text(f"{header}\n{lines}", encoding="utf-8")
    write_recipe(tmp_path, train=TRAIN)
    done = train(tmp_path, "data.test=test.csv")
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert not (tmp_path / "run").exists()
