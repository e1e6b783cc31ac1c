"""Labels with distances, numbers and classes in an order, by the real command lines: train, resume, predict, check."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from conftest import BAD, GOOD, cli, command, train, train_by, write_recipe
from run_results import metrics, numbers, read_csv, results_of
from same_training import assert_goes_on_exactly
from sklearn import metrics as sk
from tiny import write_model, write_texts
from transformers import pipeline

MODEL = "{scratch: {layers: 1, hidden: 32, heads: 2, vocabulary: 200, dropout: 0.0}}"
TRAIN = "{epochs: 6, batch_size: 16, micro_batch_tokens: 256, learning_rate: 4e-3, adam_epsilon: 1e-5, log_every: 5}"
PRICES = "{train: prices.csv, text: review, label: price, max_length: 32}"
STARS = "{train: stars.csv, text: review, label: stars, max_length: 32}"


def write_shares(folder: Path, count: int = 400) -> None:
    """Reviews of four phrases: the good ones make the stars, 1 to 5, and a price of 1,000 to 1,200."""
    draw = random.Random(0)
    prices, stars = ["price,review"], ["stars,review"]
    for i in range(count):
        good = draw.randint(0, 4)
        text = "，".join([*draw.sample(GOOD, good), *draw.sample(BAD, 4 - good)]) + str(i)
        prices.append(f'{1000 + 50 * good + draw.gauss(0, 5):.2f},"{text}"')
        stars.append(f'{good + 1},"{text}"')
    for name, lines in (("prices", prices), ("stars", stars)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prices")
    write_shares(folder)
    write_recipe(folder, task="regression", data=PRICES, train=TRAIN, model=MODEL)
    done = train(folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stars")
    write_shares(folder)
    write_recipe(folder, task="ordinal", data=STARS, train=TRAIN, model=MODEL)
    done = train(folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


# Numbers


def test_regression_learns_numbers_far_from_zero_and_is_scored_in_their_unit(prices: Path) -> None:
    rows = read_csv(prices / "run" / "predictions.csv")
    assert list(rows[0]) == ["row", "text", "label", "predicted"]
    true, found = (np.array([float(row[name]) for row in rows]) for name in ("label", "predicted"))
    results = results_of(prices / "run")
    assert results["decided_by"] == "mae"
    assert list(results["scores"]) == ["loss", "mae", "rmse", "spearman"]
    assert results["scores"]["mae"] == pytest.approx(sk.mean_absolute_error(true, found), abs=1e-3)
    assert results["scores"]["loss"] == pytest.approx(results["scores"]["rmse"] ** 2, rel=1e-6)
    median, ridge = results["baselines"]
    assert (median["name"], ridge["name"]) == ("median", "TF-IDF")
    assert results["scores"]["mae"] < median["mae"] / 3
    assert median["difference"] == pytest.approx(median["mae"] - results["scores"]["mae"], abs=1e-3)
    assert median["interval"][0] > 0
    assert results["quantiles"]["label"][0] == pytest.approx(true.min(), abs=1e-2)
    report = (prices / "run" / "report.md").read_text(encoding="utf-8")
    assert "## Quantiles" in report
    assert "ridge regression on TF-IDF" in report
    said = (prices / "stdout.txt").read_text(encoding="utf-8")
    assert "labels        numbers from " in said
    assert f"verdict       mean absolute error {results['scores']['mae']:.4f}; TF-IDF " in said


def test_saved_model_is_a_plain_one_that_answers_in_the_unit(prices: Path) -> None:
    rows = read_csv(prices / "run" / "predictions.csv")[:5]
    plain = pipeline("text-classification", str(prices / "run" / "model"), device="cpu")
    assert (plain.model.config.problem_type, plain.model.config.id2label) == ("regression", {0: "price"})
    answers = plain([row["text"] for row in rows])
    assert [one["score"] for one in answers] == pytest.approx([float(row["predicted"]) for row in rows], rel=1e-5)


def test_predict_gives_numbers_and_scores_them(prices: Path) -> None:
    rows = read_csv(prices / "run" / "predictions.csv")[:2]
    done = command("accel-cls", "predict", "run", cwd=prices, stdin="".join(f"{row['text']}\n" for row in rows))
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [*found[0]] == ["text", "value"]
    assert [one["value"] for one in found] == pytest.approx([float(row["predicted"]) for row in rows], rel=1e-5)
    done = command("accel-cls", "predict", "run", "--file", "prices.csv", "--out", "out.csv", cwd=prices)
    assert list(read_csv(prices / "out.csv")[0]) == ["price", "review", "predicted"]
    assert "scores by 'price', 400 of 400 rows: mae " in done.stderr
    assert command("accel-cls", "predict", "run", "--text", rows[0]["text"], cwd=prices).stdout.startswith("1")
    refused = command("accel-cls", "predict", "run", "--text", "x", "--top", "1", cwd=prices)
    assert (refused.returncode, "the model answers with a number" in refused.stderr) == (2, True)


def test_regression_goes_on_exactly_and_trains_alike_on_two_processes(prices: Path) -> None:
    before = metrics(prices / "run")
    two = train_by(2, prices, "train.max_updates=20", "output=two")
    assert two.returncode == 0, two.stderr
    *logged, scored = metrics(prices / "two")
    for left, right in zip(before, logged, strict=False):
        assert numbers(left) == pytest.approx(numbers(right), rel=1e-4)
    one = train(prices, "train.max_updates=20", "output=one")
    assert numbers(metrics(prices / "one")[-1]) == pytest.approx(numbers(scored), rel=1e-4), one.stderr
    assert_goes_on_exactly(prices / "run", update=100)


def test_head_alone_is_ridge_regression_in_the_unit(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts.csv", 200, [2, 3, 5])
    write_model(tmp_path / "m")
    header, *rows = (tmp_path / "texts.csv").read_text(encoding="utf-8").splitlines()
    numbers = [line.replace(",pos", ",5300").replace(",neg", ",5000") for line in rows]
    (tmp_path / "texts.csv").write_text("\n".join([header, *numbers]) + "\n", encoding="utf-8")
    data = "{train: texts.csv, max_length: 32}"
    write_recipe(tmp_path, task="regression", data=data, model="{name: ./m, freeze: encoder}", train="{}")
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ridge regression, penalty" in done.stdout
    scores = results_of(tmp_path / "run")["scores"]
    assert scores["rmse"] < 150, "which is the deviation of the labels"


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("cheap", "the label 'cheap' is no number, as task: regression needs it, in 1 row: prices.csv:3"),
        ("1_000", "the label '1_000' is no number"),
        ("inf", "the label 'inf' is no number"),
        ("", "the label is missing in 1 row: prices.csv:3"),
    ],
)
def test_label_that_is_no_number_is_named_with_its_row(tmp_path: Path, cell: str, told: str) -> None:
    write_shares(tmp_path, 20)
    lines = (tmp_path / "prices.csv").read_text(encoding="utf-8").splitlines()
    lines[3] = f"{cell},text"
    (tmp_path / "prices.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_recipe(tmp_path, task="regression", data=PRICES)
    done = train(tmp_path)
    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train.class_weights=balanced", "train.class_weights: task: regression has no classes"),
        ("train.label_smoothing=0.1", "train.label_smoothing: task: regression has no classes"),
        ("data.labels=[1, 2]", "data.labels: task: regression has no classes"),
        ("evaluate.metrics=[accuracy]", "evaluate.metrics: found accuracy, which regression has not"),
    ],
)
def test_what_only_classes_have_is_refused(prices: Path, override: str, told: str) -> None:
    done = train(prices, override, "output=refused")
    assert done.returncode == 2
    assert told in done.stderr


# Classes in an order


def test_ordinal_is_scored_by_distance(stars: Path) -> None:
    rows = read_csv(stars / "run" / "predictions.csv")
    assert list(rows[0]) == ["row", "text", "label", "predicted", "probability", *(f"p({i})" for i in range(1, 6))]
    true, found = (np.array([int(row[name]) for row in rows]) for name in ("label", "predicted"))
    results = results_of(stars / "run")
    assert list(results["scores"]) == ["loss", "mae", "accuracy", "quadratic_kappa"]
    assert results["scores"]["mae"] == pytest.approx(sk.mean_absolute_error(true, found))
    assert results["scores"]["quadratic_kappa"] == pytest.approx(
        sk.cohen_kappa_score(true, found, weights="quadratic")
    )
    assert results["scores"]["mae"] < 0.7
    assert results["distances"] == np.bincount(np.abs(true - found), minlength=5).tolist()
    report = (stars / "run" / "report.md").read_text(encoding="utf-8")
    assert "## Distances" in report
    assert "## Confusion" in report


def test_ordinal_model_is_a_plain_one_and_predicts_its_likeliest_class(stars: Path) -> None:
    rows = read_csv(stars / "run" / "predictions.csv")[:8]
    plain = pipeline("text-classification", str(stars / "run" / "model"), device="cpu")
    assert [one["label"] for one in plain([row["text"] for row in rows])] == [row["predicted"] for row in rows]
    done = command("accel-cls", "predict", "run", "--file", "stars.csv", "--out", "out.jsonl", "--top", "2", cwd=stars)
    assert "scores by 'stars', 400 of 400 rows: mae " in done.stderr
    first = json.loads((stars / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert len(first["top"]) == 2


def test_order_of_words_has_to_be_said(stars: Path, tmp_path: Path) -> None:
    words = {"1": "awful", "2": "bad", "3": "fair", "4": "good", "5": "great"}
    lines = (stars / "stars.csv").read_text(encoding="utf-8").splitlines()
    renamed = [lines[0], *(words[line[0]] + line[1:] for line in lines[1:])]
    (tmp_path / "stars.csv").write_text("\n".join(renamed) + "\n", encoding="utf-8")
    write_recipe(tmp_path, task="ordinal", data=STARS, train=TRAIN, model=MODEL)
    done = train(tmp_path)
    assert done.returncode == 2
    assert "task: ordinal needs the order of the classes, which are no numbers: awful, bad, fair" in done.stderr
    done = train(tmp_path, f"data.labels=[{', '.join(words.values())}]", "train.max_updates=2")
    assert done.returncode == 0, done.stderr
    assert "classes       awful " in done.stdout


def test_function_of_the_users_that_is_not_there_is_told_before_training(stars: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(stars)
    metrics = "evaluate.metrics=[mae, nothing_there:cost]"
    done = train(stars, metrics, "output=refused")
    assert (done.returncode, "nothing_there:cost can't be imported" in done.stderr) == (2, True)
    status, out, _ = cli(capsys, "check", "recipe.yaml", metrics)
    assert (status, "nothing_there:cost can't be imported" in " ".join(out.split())) == (2, True)


# Before training


@pytest.mark.parametrize("task", ["regression", "ordinal"])
def test_check_and_plan(request, task: str, capsys, monkeypatch) -> None:
    folder = request.getfixturevalue({"regression": "prices", "ordinal": "stars"}[task])
    monkeypatch.chdir(folder)
    status, out, err = cli(capsys, "check", "recipe.yaml")
    assert status in (0, 1), err
    assert "mae" in out
    assert ("an accuracy of 0.90" in out) == (task == "ordinal")
    assert json.loads(cli(capsys, "check", "recipe.yaml", "--json")[1])["baselines"][0]["mae"] > 0
    assert cli(capsys, "plan", "recipe.yaml")[0] == 0
