"""`accel-cls compare`: finished runs side by side, on the same rows."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import cli, train, write_recipe, write_reviews

from accel_cls.evaluation.answers import Answers
from accel_cls.runs.answers import read_answers, write_answers
from accel_cls.runs.folder import RunFolder
from accel_cls.tasks import SingleLabel

DATA = (
    "{train: reviews.csv, text: review, label: label, labels: {0: BAD, 1: GOOD}, max_length: 32, validation: 0.25, "
    "test: 0.2}"
)
NAMES = ("BAD", "GOOD")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs: a; b of smaller updates; c of a copy of the data; other of another split."""
    folder = tmp_path_factory.mktemp("compare")
    write_reviews(folder / "reviews.csv", count=400)
    shutil.copy(folder / "reviews.csv", folder / "copied.csv")
    write_recipe(folder, data=DATA)
    for name, overrides in {
        "a": ["train.epochs=1"],
        "b": ["train.batch_size=16", "train.epochs=3"],
        "c": ["data.train=copied.csv"],
        "other": ["seed=7", "train.epochs=1"],
    }.items():
        done = train(folder, f"output=runs/{name}", *overrides)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def runs(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained / "runs"


def compared(capsys: pytest.CaptureFixture, *arguments: str) -> dict:
    status, out, err = cli(capsys, "compare", *arguments, "--json")
    assert status == 0, out + err
    return json.loads(out)


def refused(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    status, _, err = cli(capsys, "compare", *arguments)
    assert status == 2
    assert "Traceback" not in err
    return err


def a_copy(runs: Path, tmp_path: Path, name: str = "a") -> Path:
    return Path(shutil.copytree(runs / name, tmp_path / "copy"))


def test_shows_scores_differences_and_what_the_rows_can_tell(runs: Path, capsys: pytest.CaptureFixture) -> None:
    status, out, _ = cli(capsys, "compare", "runs/a", "runs/b")
    assert status == 0
    assert "100 validation rows" in out
    for text in ("accuracy", "95% intervals", "rows tell apart", "points of accuracy", "by epoch"):
        assert text in out
    assert "Holm" not in out
    [line] = [line for line in out.splitlines() if "train.batch_size" in line]
    assert line.split()[1:] == ["32", "16"]
    assert "train.learning_rate" not in out


def test_figures_are_those_of_the_runs(runs: Path, capsys: pytest.CaptureFixture) -> None:
    found = compared(capsys, "runs/a", "runs/b")
    results = [json.loads((runs / name / "results.json").read_text(encoding="utf-8")) for name in "ab"]
    for run, result in zip(found["runs"], results, strict=True):
        assert found["rows"] == result["rows"]["validation"] == 100
        for name, score in run["scores"].items():
            assert score == pytest.approx(result["scores"][name])
            assert run["intervals"][name] is None or run["intervals"][name][0] <= score <= run["intervals"][name][1]
    [one] = found["compared_with_first"]
    accuracy = one["differences"]["accuracy"]
    assert accuracy["difference"] == pytest.approx(results[1]["scores"]["accuracy"] - results[0]["scores"]["accuracy"])
    changes = [change["change"] for change in one["changes"]]
    assert len(changes) == one["resolution"]["differing"]
    gained = changes.count("wrong to right") - changes.count("right to wrong")
    assert gained / 100 == pytest.approx(accuracy["difference"])
    assert all(
        (change["first"] == change["label"]) == (change["change"] == "right to wrong") for change in one["changes"]
    )


def test_changed_rows_are_written(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture, trained: Path) -> None:
    out = tmp_path / "changed.csv"
    found = compared(capsys, "runs/a", "runs/b", "runs/c", "--out", str(out))
    with open(out, encoding="utf-8-sig", newline="") as file:
        written = [*csv.DictReader(file)]
    of_runs = [{change["row"]: change for change in one["changes"]} for one in found["compared_with_first"]]
    assert {row["row"] for row in written} == {*of_runs[0], *of_runs[1]}
    assert written
    source = (trained / "reviews.csv").read_text(encoding="utf-8")
    for row in written:
        assert row["text"] in source
        for name, changes in zip(("runs/b", "runs/c"), of_runs, strict=True):
            change = changes.get(row["row"], {"change": "", "predicted": row["predicted by runs/a"]})
            assert row[f"change in {name}"] == change["change"]
            assert row[f"predicted by {name}"] == change["predicted"]


def test_test_rows_are_compared_where_asked(runs: Path, capsys: pytest.CaptureFixture) -> None:
    found = compared(capsys, "runs/a", "runs/b", "--test")
    test = json.loads((runs / "b" / "results.json").read_text(encoding="utf-8"))["test"]
    assert found["part"] == "test"
    assert found["runs"][1]["scores"]["accuracy"] == pytest.approx(test["scores"]["accuracy"])


def test_several_runs_have_adjusted_ps(runs: Path, capsys: pytest.CaptureFixture) -> None:
    found = compared(capsys, "runs/b", "runs/a", "runs/c")
    ps = [one["differences"]["accuracy"] for one in found["compared_with_first"]]
    assert min(one["p_holm"] for one in ps) == pytest.approx(2 * min(one["p"] for one in ps))
    _, out, _ = cli(capsys, "compare", "runs/b", "runs/a", "runs/c")
    assert "Holm's p" in out


def test_same_rows_from_a_file_of_another_name_are_the_same(runs: Path, capsys: pytest.CaptureFixture) -> None:
    assert compared(capsys, "runs/a", "runs/c")["recipe"]["data.train"][1].endswith("copied.csv")


def test_rows_in_another_order_are_aligned(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    copy = a_copy(runs, tmp_path)
    answers = read_answers(RunFolder(copy), "validation")
    back = np.arange(len(answers))[::-1]
    write_answers(
        RunFolder(copy),
        "validation",
        Answers(answers.examples.select(back), answers.logits[back]),
        SingleLabel(),
        NAMES,
    )
    found = compared(capsys, "runs/b", "runs/a", str(copy))
    one, other = found["compared_with_first"]
    assert one["differences"] == other["differences"]
    _, out, _ = cli(capsys, "compare", "runs/a", str(copy))
    assert "the same" in out
    assert "recipes: the same but for name and output" in out


def test_classes_in_another_order_are_aligned(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    copy = a_copy(runs, tmp_path)
    answers = read_answers(RunFolder(copy), "validation")
    labels = 1 - answers.labels
    examples = answers.examples.__class__(answers.examples.texts, labels, answers.examples.rows)
    turned = Answers(examples, np.ascontiguousarray(answers.logits[:, ::-1]))
    write_answers(RunFolder(copy), "validation", turned, SingleLabel(), NAMES[::-1])
    results = copy / "results.json"
    content = json.loads(results.read_text(encoding="utf-8"))
    results.write_text(json.dumps(content | {"classes": content["classes"][::-1]}), encoding="utf-8")
    [one] = compared(capsys, "runs/a", str(copy))["compared_with_first"]
    assert one["changes"] == []
    assert one["differences"]["accuracy"]["p"] == 1
    content["classes"] = [one | {"name": name} for one, name in zip(content["classes"], ("GOOD", "FAIR"), strict=True)]
    results.write_text(json.dumps(content), encoding="utf-8")
    assert "in runs/a BAD" in refused(capsys, "runs/a", str(copy))


def test_other_rows_are_refused(runs: Path, capsys: pytest.CaptureFixture) -> None:
    said = refused(capsys, "runs/a", "runs/other")
    assert "runs/other has other validation rows than runs/a" in said
    assert "of 100 only in runs/a, the first reviews.csv:" in said
    assert "data.validation" in said


def test_what_is_no_finished_run_is_refused(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    copy = a_copy(runs, tmp_path)
    (copy / "predictions.safetensors").unlink()
    assert "predictions.safetensors" in refused(capsys, "runs/a", str(copy))
    (copy / "results.json").unlink()
    assert "not finished" in refused(capsys, "runs/a", str(copy))
    assert "found no run" in refused(capsys, "runs/a", "runs/nothing")
    assert "twice" in refused(capsys, "runs/a", "runs/b", "runs/../runs/a")
    assert "two or more" in refused(capsys, "runs/a")
    assert "expected a csv file" in refused(capsys, "runs/a", "runs/b", "--out", "changed.txt")


def test_runs_of_other_tasks_are_refused(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    copy = a_copy(runs, tmp_path)
    recipe = (copy / "recipe.yaml").read_text(encoding="utf-8").replace("task: single_label", "task: ordinal")
    (copy / "recipe.yaml").write_text(recipe, encoding="utf-8")
    assert "task: ordinal" in refused(capsys, "runs/a", str(copy))
