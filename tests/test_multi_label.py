"""Several labels a text, by the real command lines: train, look at what is left, classify."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
from conftest import cli, command, train, train_by, write_recipe
from sklearn import metrics as sk
from transformers import pipeline

PHRASES = {"food": "味道不错", "service": "骑手热情", "price": "很便宜"}
METRICS = "{every: 100, metrics: [accuracy, f1_micro, f1_macro, hamming_loss], best: hamming_loss}"
MODEL = "{scratch: {layers: 1, hidden: 32, heads: 2, vocabulary: 200, dropout: 0.0}}"
TRAIN = "{epochs: 16, batch_size: 16, micro_batch_tokens: 256, learning_rate: 3e-3, log_every: 1}"


def write_aspects(path: Path, count: int = 500) -> None:
    """Texts that speak of any number of three things, one a line; the labels say of which."""
    draw = random.Random(0)
    rows = []
    for i in range(count):
        names = [name for name in PHRASES if draw.random() < 0.5]
        said = [PHRASES[name] for name in names] or ["还行吧"]
        rows.append({"review": "，".join(said) + str(i), "label": names})
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    write_aspects(folder / "aspects.jsonl")
    data = "{train: aspects.jsonl, text: review, max_length: 32}"
    write_recipe(folder, task="multi_label", data=data, train=TRAIN, evaluate=METRICS, model=MODEL)
    done = train(folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def predictions(run: Path) -> list[dict[str, str]]:
    with open(run / "predictions.csv", encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_training_learns_and_keeps_the_model_of_the_least_hamming_loss(finished: Path) -> None:
    records = [json.loads(line) for line in (finished / "run" / "metrics.jsonl").read_text().splitlines()]
    scores = [record["evaluation"] for record in records if "evaluation" in record]
    assert set(scores[0]) == {"loss", "accuracy", "f1_micro", "f1_macro", "hamming_loss"}
    results = json.loads((finished / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["scores"]["hamming_loss"] == min(score["hamming_loss"] for score in scores) < 0.05
    assert results["scores"]["f1_micro"] > 0.95


def test_predictions_hold_what_is_true_and_give_the_scores(finished: Path) -> None:
    rows = predictions(finished / "run")
    names = ["food", "price", "service"]
    assert list(rows[0]) == ["row", "text", "label", "predicted", *(f"p({name})" for name in names)]
    true, found = (
        np.array([[name in json.loads(row[column]) for name in names] for row in rows])
        for column in ("label", "predicted")
    )
    probabilities = np.array([[float(row[f"p({name})"]) for name in names] for row in rows])
    assert (found == (probabilities >= 0.5)).all()
    assert not true.any(1).all(), "a text may have no label"
    scores = json.loads((finished / "run" / "results.json").read_text(encoding="utf-8"))["scores"]
    assert scores["accuracy"] == pytest.approx(sk.accuracy_score(true, found))
    assert scores["f1_macro"] == pytest.approx(sk.f1_score(true, found, average="macro"))
    report = (finished / "run" / "report.md").read_text(encoding="utf-8")
    for i, name in enumerate(names):
        recall = sk.recall_score(true[:, i], found[:, i])
        assert f"| {name} | {true[:, i].sum()} |" in report
        assert f"| {recall:.4f} |" in report
    assert "## Confusion" not in report


def test_predict_names_all_classes_of_a_text(finished: Path) -> None:
    text = f"{PHRASES['food']}，{PHRASES['price']}"
    done = command("python", "-m", "accel_cls.predict", "run", cwd=finished, stdin=f"{text}\n还行吧\n")
    assert done.returncode == 0, done.stderr
    both, none = map(json.loads, done.stdout.splitlines())
    assert sorted(both["labels"]) == ["food", "price"]
    assert both["labels"] == sorted(both["labels"], key=lambda name: -both["probabilities"][name])
    assert none["labels"] == []
    assert set(none) == {"text", "labels", "probabilities"}
    shown = command("python", "-m", "accel_cls.predict", "run", "--text", text, "--text", "还行吧", cwd=finished)
    assert shown.stdout.splitlines()[0].startswith(("food, price", "price, food"))
    assert shown.stdout.splitlines()[1].startswith("–")


def test_predict_writes_a_file(finished: Path) -> None:
    arguments = ["run", "--file", "aspects.jsonl", "--out", "out.csv"]
    done = command("python", "-m", "accel_cls.predict", *arguments, cwd=finished)
    assert done.returncode == 0, done.stderr
    with open(finished / "out.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = [json.loads(line)["label"] for line in (finished / "aspects.jsonl").read_text().splitlines()]
    same = [set(json.loads(row["predicted"])) == set(label) for row, label in zip(rows, labels, strict=True)]
    assert np.mean(same) > 0.95
    true, found = (
        [[n in cell for n in PHRASES] for cell in cells] for cells in (labels, [r["predicted"] for r in rows])
    )
    scores = f"f1_macro {sk.f1_score(true, found, average='macro'):.4f}  f1_micro "
    assert f"scores by 'label', 500 of 500 rows: {scores}" in done.stderr
    assert f"  accuracy {np.mean(same):.4f}  hamming_loss " in done.stderr


def test_likeliest_classes_are_given_whether_they_are_predicted_or_not(finished: Path) -> None:
    done = command("python", "-m", "accel_cls.predict", "run", "--top", "2", cwd=finished, stdin="味道不错\n还行吧\n")
    first, none = [json.loads(line) for line in done.stdout.splitlines()]
    assert [*first] == ["text", "labels", "top"]
    assert first["labels"] == [first["top"][0]["label"]] == ["food"]
    assert none["labels"] == []
    assert len(none["top"]) == 2
    assert 0.5 > none["top"][0]["probability"] >= none["top"][1]["probability"]


def test_a_label_column_for_each_class_is_scored(finished: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (finished / "aspects.jsonl").read_text(encoding="utf-8").splitlines()]
    cells = [
        ",".join([row["review"].replace("，", " "), *(str(int(n in row["label"])) for n in PHRASES)]) for row in rows
    ]
    (tmp_path / "a.csv").write_text("\n".join([f"review,{','.join(PHRASES)}", *cells]) + "\n", encoding="utf-8")
    data = f"{{train: a.csv, text: review, label: [{', '.join(PHRASES)}], max_length: 32}}"
    write_recipe(tmp_path, task="multi_label", data=data, train=TRAIN, evaluate=METRICS, model=MODEL)
    assert train(tmp_path, "train.max_updates=4").returncode == 0
    (tmp_path / "b.csv").write_text(
        f"review,{','.join(PHRASES)}\na,1,0,1\nb,0,0,0\nc,2,0,0\nd,,0,0\n", encoding="utf-8"
    )
    done = command("python", "-m", "accel_cls.predict", "run", "--file", "b.csv", "--out", "c.csv", cwd=tmp_path)
    assert "scores by 3 label columns, 3 of 4 rows: f1_macro " in done.stderr
    assert "left out: the column 'food' holds '2', expected 0 or 1 in 1 row\n" in done.stderr


def test_pipeline_gives_the_same_probabilities(finished: Path) -> None:
    rows = predictions(finished / "run")[:8]
    classify = pipeline("text-classification", model=str(finished / "run" / "model"), top_k=None)
    for row, found in zip(rows, classify([row["text"] for row in rows]), strict=True):
        for one in found:
            assert one["score"] == pytest.approx(float(row[f"p({one['label']})"]), abs=1e-5)


def test_two_processes_train_the_same(finished: Path, tmp_path: Path) -> None:
    for name in ("aspects.jsonl", "recipe.yaml"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    overrides = [
        "train.trace=true",
        "train.min_micro_batches=2",
        "train.max_updates=8",
        "train.class_weights=balanced",
    ]
    assert train(tmp_path, *overrides, "output=one").returncode == 0
    done = train_by(2, tmp_path, *overrides, "output=two")
    assert done.returncode == 0, done.stderr
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    losses = [[record["loss"] for record in records if "loss" in record] for records in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_check_counts_each_class(
    finished: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    status, out, err = cli(capsys, "check", "recipe.yaml", "--json")
    assert status < 2, err
    found = json.loads(out)
    counts = [sum(found["data"]["classes"][part][name] for part in ("train", "validation")) for name in PHRASES]
    labels = [json.loads(line)["label"] for line in (finished / "aspects.jsonl").read_text().splitlines()]
    assert counts == [sum(name in label for label in labels) for name in PHRASES]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "evaluate.metrics=[balanced_accuracy]",
            "found balanced_accuracy, which multi_label has not",
        ),
        ("task=single_label", "evaluate.metrics: found f1_micro, which single_label has not"),
        ("task=both", "task: found 'both'; expected 'single_label', 'multi_label', 'ordinal' or 'regression'"),
        ("data.label=review", "data.label: found the column of data.text; expected another one"),
    ],
)
def test_recipe_that_does_not_fit_the_task_is_refused(finished: Path, override: str, said: str) -> None:
    done = train(finished, override, "output=refused")
    assert done.returncode == 2
    assert said in done.stderr


def test_lists_as_labels_of_a_single_label_task_are_told(finished: Path) -> None:
    metrics = "evaluate={metrics: [accuracy], best: accuracy}"
    done = train(finished, "task=single_label", metrics, "output=refused")
    assert done.returncode == 2
    assert "the label is a list of classes, which needs task: multi_label, in 500 rows" in done.stderr
