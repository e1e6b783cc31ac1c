"""Two processes, with whole weights or with FSDP's parts, train to the curve of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import command, fsdp_on_cpu, train, train_by, write_recipe, write_reviews
from run_results import interrupt, metrics, numbers, read_csv

OWN = "def right(labels, predictions, probabilities):\n    return (labels == predictions).mean()\n"
METRICS = "accuracy, f1_macro, roc_auc, pr_auc, log_loss, brier, ece, cohen_kappa, matthews_correlation, own:right"


def test_updates_cut_finer_give_the_same_curve_without_dropout(tmp_path: Path) -> None:
    overrides = ["model.dropout=0", "train.micro_batch_tokens=4096", "train.batch_size=7"]
    overrides.append(f"evaluate.metrics=[{METRICS}]")
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    write_reviews(tmp_path / "reviews.csv", count=101)
    write_recipe(tmp_path)
    one = train(tmp_path, *overrides, "output=one")
    two = train_by(2, tmp_path, *overrides, "output=two")
    assert one.returncode == 0, one.stderr
    assert two.returncode == 0, two.stderr
    assert "2 processes on cpu" in two.stdout
    assert two.stdout.count("finished") == 1, "only the first process speaks"
    a, b = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert [record["update"] for record in a] == [record["update"] for record in b]
    for left, right in zip(a, b, strict=True):
        assert numbers(left) == pytest.approx(numbers(right), rel=1e-4)
    scores = a[-1]["evaluation"]
    assert scores["own:right"] == scores["accuracy"]
    assert [r["text"] for r in read_csv(tmp_path / "one" / "predictions.csv")] == [
        r["text"] for r in read_csv(tmp_path / "two" / "predictions.csv")
    ]


def test_fsdp_gives_the_curve_of_one_process_and_continues_exactly(work: Path) -> None:
    fsdp_on_cpu(work)
    launch = ("accel-cls", "launch", "recipe.yaml", "hardware=./fsdp_cpu.yaml", "output=sharded")
    one = train(work, "output=one")
    sharded = command(*launch, cwd=work)
    assert one.returncode == 0, one.stderr
    assert sharded.returncode == 0, sharded.stderr
    for left, right in zip(metrics(work / "one"), metrics(work / "sharded"), strict=True):
        assert numbers(left) == pytest.approx(numbers(right), rel=1e-4)
    before = metrics(work / "sharded")
    interrupt(work / "sharded", 6)
    again = command(*launch, cwd=work)
    assert "continues an unfinished run from update 6" in again.stdout, again.stderr
    assert [numbers(record) for record in metrics(work / "sharded")] == [numbers(record) for record in before]
    said = command("python", "-m", "accel_cls.predict", "sharded", "--text", "好吃", cwd=work)
    assert said.stdout.startswith(("GOOD", "BAD")), said.stderr
    interrupt(work / "sharded", 6)
    other = train(work, "output=sharded")
    assert other.returncode == 2
    assert "saved with FSDP, but this run has whole weights" in other.stderr
