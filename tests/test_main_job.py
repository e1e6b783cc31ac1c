"""The main job by the real command lines: train, look at what is left, classify."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import command, train, write_recipe, write_reviews
from run_results import metrics, read_csv, weights_of

ACCELERATE = ("accelerate", "launch")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of the tiny recipe, trained by `accelerate launch`."""
    folder = tmp_path_factory.mktemp("finished")
    write_reviews(folder / "reviews.csv")
    write_recipe(folder)
    done = train(folder, launcher=ACCELERATE)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def evaluations(run: Path) -> list[dict]:
    return [record for record in metrics(run) if "evaluation" in record]


# What is printed --------------------------------------------------------------------------------------


def test_banner_says_what_runs_and_what_follows(finished: Path) -> None:
    out = (finished / "stdout.txt").read_text(encoding="utf-8")
    assert "1 process on cpu" in out
    assert "precision fp32" in out
    assert "accelerate launch; no config file in force" in out
    assert "192 for training, 48 for validation (0.2 of data.train, by class)" in out
    assert "12 = 2 epochs × 6 (192 examples / 32 an update, rounded up)" in out
    assert "rises to 0.01 over 2 updates, then falls to 0" in out


def test_end_names_score_model_time_and_a_command_that_works(finished: Path) -> None:
    out = (finished / "stdout.txt").read_text(encoding="utf-8")
    best = max(record["evaluation"]["accuracy"] for record in evaluations(finished / "run"))
    assert re.search(rf"accuracy {best:.4f} \(0\.\d{{4}} to 0\.\d{{4}}\) after epoch", out)
    assert "training took" in out
    assert re.search(r"model +run/model$", out, re.M)
    said = re.search(r"try it +python -m accel_cls\.predict run --text '?(.+?)'?$", out, re.M)
    assert said, out
    tried = command("python", "-m", "accel_cls.predict", "run", "--text", said[1], cwd=finished)
    assert tried.returncode == 0
    assert tried.stdout.startswith(("GOOD", "BAD"))


def test_wrong_recipe_is_explained_without_a_traceback_of_ours(work: Path) -> None:
    (work / "recipe.yaml").write_text("name: x\noutput: run\ndata: {train: reviews.csv}\ntrain: {epoch: 2}\n")
    refused = train(work)
    assert refused.returncode == 2
    assert refused.stderr.strip().startswith("recipe.yaml:4:9  train.epoch: unknown key; did you mean epochs?")
    assert "Traceback" not in refused.stderr


# What is left -----------------------------------------------------------------------------------------


def test_run_folder_holds_everything_and_nothing_half_written(finished: Path) -> None:
    run = finished / "run"
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoints",
        "metrics.jsonl",
        "model",
        "neighbours.json",
        "origin.json",
        "predictions.csv",
        "predictions.safetensors",
        "recipe.yaml",
        "report.html",
        "report.md",
        "results.json",
    ]
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= {p.name for p in (run / "model").iterdir()}
    assert not [path for path in run.rglob("*") if "partial" in path.name]
    config = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "BAD", "1": "GOOD"}
    assert config["label2id"] == {"BAD": 0, "GOOD": 1}


def test_metrics_have_every_update_and_every_evaluation(finished: Path) -> None:
    records = metrics(finished / "run")
    assert [record["update"] for record in records if "loss" in record] == list(range(1, 13))
    assert [record["update"] for record in records if "evaluation" in record] == [6, 12]
    assert set(evaluations(finished / "run")[0]["evaluation"]) == {
        "loss",
        "accuracy",
        "f1",
        "precision",
        "recall",
    }


def test_training_of_a_recipe_never_changes(work: Path) -> None:
    """The split, the order, the cut and the seeds of what is drawn: a change of any of them is another training."""
    done = train(work, "train.trace=true", "train.max_updates=3")
    assert done.returncode == 0, done.stderr
    traced = (work / "run" / "trace" / "process-0.jsonl").read_text(encoding="utf-8").splitlines()
    (first, *_) = [[(part["width"], part["examples"]) for part in json.loads(line)["parts"]] for line in traced]
    assert first == [
        (192, [24, 86, 98, 146, 152, 88]),
        (192, [115, 7, 145, 147, 54, 159, 184, 67, 94]),
        (192, [104, 143, 9, 20, 89, 158, 25, 66, 182, 38, 68, 123, 173, 37, 119, 133, 103]),
    ]
    losses = [record["loss"] for record in metrics(work / "run") if "loss" in record]
    assert losses == pytest.approx([0.694080, 0.669802, 0.668019], rel=1e-4)  # dropout and first weights are drawn
    rows = [row["row"] for row in read_csv(work / "run" / "predictions.csv")][:5]
    assert rows == ["reviews.csv:1", "reviews.csv:3", "reviews.csv:7", "reviews.csv:16", "reviews.csv:23"]


def test_training_learns(work: Path) -> None:
    done = train(work, "train.epochs=10", "evaluate.every=60")
    assert done.returncode == 0, done.stderr
    (last,) = evaluations(work / "run")
    assert last["evaluation"]["accuracy"] > 0.9  # two thirds are BAD


def test_predictions_hold_each_validation_row_once_and_give_the_score(finished: Path) -> None:
    rows = read_csv(finished / "run" / "predictions.csv")
    source = read_csv(finished / "reviews.csv")
    assert len(rows) == len({row["row"] for row in rows}) == 48
    for row in rows:
        name, number = row["row"].split(":")
        assert name == "reviews.csv"
        assert source[int(number) - 1]["review"] == row["text"]
        assert {"0": "BAD", "1": "GOOD"}[source[int(number) - 1]["label"]] == row["label"]
    accuracy = np.mean([row["label"] == row["predicted"] for row in rows])
    results = json.loads((finished / "run" / "results.json").read_text(encoding="utf-8"))
    assert accuracy == pytest.approx(results["scores"]["accuracy"])
    assert results["device_peak_bytes"] is None  # a CPU's memory is no device's
    assert results["rows"] == {"training": 192, "validation": 48, "dropped": []}
    hits = sum(row["label"] == row["predicted"] == "GOOD" for row in rows)
    assert results["confusion"][1][1] == hits
    assert results["classes"][1]["name"] == "GOOD"
    assert sum(one["examples"] for one in results["classes"]) == 48
    assert results["evaluations"][-1]["evaluation"].keys() == results["scores"].keys()


def test_rows_that_were_left_out_stand_beside_the_scores(work: Path) -> None:
    """Were they counted wrong, which a label that training lacks deserves, the score would be another one."""
    lines = (work / "reviews.csv").read_text(encoding="utf-8").splitlines()
    (work / "held_out.csv").write_text("\n".join([*lines[:31], "Neither,还可以", "Neither,一般般"]), encoding="utf-8")
    done = train(work, "data.validation=held_out.csv", "data.invalid=drop", "train.max_updates=2")
    assert done.returncode == 0, done.stderr
    told = "2 of data.validation are not scored: the label 'Neither' is not among 0, 1"
    assert f"  left out      {told}" in done.stdout
    report = (work / "run" / "report.md").read_text(encoding="utf-8")
    assert f"Rows that were left out: {told}." in report
    assert "| 30 of 32 |" in report
    results = json.loads((work / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["rows"]["validation"] == 30
    assert [one["rows"] for one in results["rows"]["dropped"]] == [2]


def test_checkpoints_are_the_newest_and_the_best(work: Path) -> None:
    done = train(
        work, "checkpoint.every=2", "checkpoint.keep=2", "evaluate.every=4", "train.learning_rate=1e-9"
    )  # nothing is learned, so the first evaluation, at update 4, stays the best
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (work / "run" / "checkpoints").iterdir())
    assert names == ["update-000004", "update-000010", "update-000012"]


def test_model_is_the_best_one_not_the_last(work: Path) -> None:
    done = train(work, "evaluate.every=4", "train.learning_rate=1e-9")
    assert done.returncode == 0, done.stderr
    results = json.loads((work / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["update"] == 4
    best = work / "run" / "checkpoints" / "update-000004" / "model.safetensors"
    assert weights_of(work / "run" / "model" / "model.safetensors") == weights_of(best)


def test_patience_stops_early(work: Path) -> None:
    done = train(work, "evaluate.every=2", "evaluate.patience=2", "train.learning_rate=1e-9")
    assert done.returncode == 0, done.stderr
    results = json.loads((work / "run" / "results.json").read_text(encoding="utf-8"))
    assert (results["update"], results["updates"], results["stopped_early"]) == (2, 6, True)


# Classifying ------------------------------------------------------------------------------------------


def predict(folder: Path, *arguments: str, stdin: str | None = None):
    return command("python", "-m", "accel_cls.predict", "run", *arguments, cwd=folder, stdin=stdin)


def test_pipeline_gives_the_label_and_probability_of_predict(finished: Path) -> None:
    from transformers import pipeline

    texts = ["送餐很快，味道不错", "难吃", "洒了，" * 60]
    said = predict(finished, *(word for text in texts for word in ("--text", text)))
    assert said.returncode == 0, said.stderr
    classify = pipeline("text-classification", model=str(finished / "run" / "model"))
    for line, text in zip(said.stdout.splitlines(), texts, strict=True):
        label, probability = line.split()[:2]
        expected = classify(text, truncation=True)[0]
        assert label == expected["label"]
        assert float(probability) == pytest.approx(expected["score"], abs=1e-4)
        assert all(f"{name} 0." in line or f"{name} 1." in line for name in ("BAD", "GOOD"))


def test_predict_reads_a_file_and_writes_another_in_its_order(finished: Path) -> None:
    said = predict(finished, "--file", "reviews.csv", "--out", "out.csv")
    assert said.returncode == 0, said.stderr
    rows = read_csv(finished / "out.csv")
    assert [row["review"] for row in rows] == [row["review"] for row in read_csv(finished / "reviews.csv")]
    validation = {row["text"]: row for row in read_csv(finished / "run" / "predictions.csv")}
    same = [row for row in rows if row["review"] in validation]
    assert len(same) == 48
    for row in same:
        assert row["predicted"] == validation[row["review"]]["predicted"]
        assert float(row["p(GOOD)"]) == pytest.approx(float(validation[row["review"]]["p(GOOD)"]), abs=1e-4)


def test_predict_reads_standard_input(finished: Path) -> None:
    said = predict(finished, stdin="好吃，很快\n难吃\n")
    records = [json.loads(line) for line in said.stdout.splitlines()]
    assert [record["text"] for record in records] == ["好吃，很快", "难吃"]
    assert all(sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-4) for record in records)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--file", "nowhere.csv"], "there is no such data file"),
        (["--file", "reviews.csv", "--column", "revue"], "no column 'revue'; did you mean review?"),
        (["--text", "a", "--out", "x.doc"], "expected a file that ends in"),
        (["--text", "a", "--file", "reviews.csv"], "give one of the two"),
    ],
)
def test_predict_explains_mistakes(finished: Path, arguments: list[str], words: str) -> None:
    said = predict(finished, *arguments)
    assert said.returncode == 2
    assert words in said.stderr
    assert "Traceback" not in said.stderr


def test_predict_without_a_run_explains(tmp_path: Path) -> None:
    said = command("python", "-m", "accel_cls.predict", "runs/none", "--text", "a", cwd=tmp_path)
    assert said.returncode == 2
    assert "found no run and no model" in said.stderr


# Data of other shapes ---------------------------------------------------------------------------------


def test_text_pairs_with_their_own_validation_file(work: Path) -> None:
    rows = read_csv(work / "reviews.csv")
    for name, part in (("train.jsonl", rows[:180]), ("validation.jsonl", rows[180:])):
        lines = (
            json.dumps({"q": row["review"], "a": "是" if row["label"] == "1" else "否", "same": int(i % 2)})
            for i, row in enumerate(part)
        )
        (work / name).write_text("\n".join(lines), encoding="utf-8")
    write_recipe(work, data="{train: train.jsonl, validation: validation.jsonl, text: [q, a], label: same}")
    done = train(work, "train.max_updates=2")
    assert done.returncode == 0, done.stderr
    assert "180 for training, 60 for validation" in done.stdout
    said = predict(work, "--file", "validation.jsonl", "--out", "out.jsonl")
    assert said.returncode == 0, said.stderr
    records = [json.loads(line) for line in (work / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(record["q"], record["a"]) for record in records[:1]] == [(rows[180]["review"], "是")]
    assert len(records) == 60
    # The model folder tells by itself, too, away from its run.
    shutil.copytree(work / "run" / "model", work / "elsewhere")
    for folder in ("run", "elsewhere"):
        for arguments, stdin in ((["--text", "好吃"], None), ([], "好吃\n")):
            one = command("python", "-m", "accel_cls.predict", folder, *arguments, cwd=work, stdin=stdin)
            assert one.returncode == 2
            assert one.stderr == "the model compares two texts, 'q' and 'a', found one: give each text its --pair\n"
        two = command("python", "-m", "accel_cls.predict", folder, "--text", "好吃", "--pair", "是", cwd=work)
        assert two.returncode == 0, two.stderr


def test_pairs_are_refused_by_a_model_of_single_texts(finished: Path) -> None:
    said = predict(finished, "--text", "好吃", "--pair", "是")
    assert said.returncode == 2
    assert said.stderr == "the model was trained on single texts, 'review', found pairs: leave one out\n"


def test_texts_and_classes_that_a_spreadsheet_would_run_are_no_formulas(work: Path) -> None:
    rows = "".join(f"{'=A' if i % 3 else '-B'},{'=1+' if i % 2 else '@x'}{i}\n" for i in range(120))
    (work / "reviews.csv").write_text("label,review\n" + rows, encoding="utf-8")
    write_recipe(work, data="{train: reviews.csv, text: review, label: label, max_length: 32}")
    done = train(work, "train.max_updates=2")
    assert done.returncode == 0, done.stderr
    found = read_csv(work / "run" / "predictions.csv")
    assert {row["label"] for row in found} == {"'=A", "'-B"}
    assert all(row["text"].startswith(("'=1+", "'@x")) for row in found)
    report = (work / "run" / "report.md").read_text(encoding="utf-8")
    assert f"| =A | {sum(row['label'] == chr(39) + '=A' for row in found)} |" in report
    said = predict(work, "--file", "reviews.csv", "--out", "out.jsonl")
    assert said.returncode == 0, said.stderr
    first = json.loads((work / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert (first["review"], first["label"][0] in "=-") == ("@x0", True), "for programs, as they are"
