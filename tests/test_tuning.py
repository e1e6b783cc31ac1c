"""`accel-cls tune` and `train.learning_rate: auto`: a search on training rows, kept, taken, gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import BASE, cli, train, train_by, write_file, write_recipe, write_reviews
from hypothesis import given, settings
from hypothesis import strategies as st
from run_results import interrupt, metrics, read_csv

from accel_cls.tuning.halving import Halving, rung_parts, rung_sizes
from tools import warm

AUTO = "train.learning_rate=auto"
TRIES = ("--tune", "--try", "train.learning_rate=1e-7,1e-2,5")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """600 reviews, of which 480 are for training, and a minute model."""
    write_reviews(tmp_path / "reviews.csv", 600)
    write_recipe(
        tmp_path, train="{epochs: 3, batch_size: 16, micro_batch_tokens: 512, learning_rate: auto, log_every: 1}"
    )
    return tmp_path


def search(run: Path) -> dict:
    return json.loads((run / "tune" / "results.json").read_text(encoding="utf-8"))


def table(run: Path) -> list[dict]:
    """What a search has come to, but for what a clock has told."""
    return [
        {key: one[key] for key in ("values", "updates", "scores", "losses", "diverged")}
        for one in search(run)["trials"]
    ]


def rate_of(run: Path) -> float:
    return yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))["train"]["learning_rate"]


def rows(run: Path) -> list[str]:
    return [row["row"] for row in read_csv(run / "predictions.csv")]


def test_search_takes_a_sane_rate_and_a_training_takes_what_was_found(
    work: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = train(work, *TRIES)
    assert found.returncode == 0, found.stderr
    kept = search(work / "run")
    assert kept["trials"][kept["choice"]]["values"] == {"train.learning_rate": 0.01}
    assert [len(one["scores"]) for one in kept["trials"]] == [1, 2, 2]
    assert "train.learning_rate=0.01" in found.stdout.partition("train with it")[2]
    assert "← taken" in found.stdout
    assert not (work / "run" / "recipe.yaml").exists(), "no run has begun"
    assert not list((work / "run" / "tune").glob("*/checkpoints")), "weights of trials that are over are gone"

    done = train(work)
    assert done.returncode == 0, done.stderr
    assert "train.learning_rate: auto → 0.01, found before" in done.stdout
    assert rate_of(work / "run") == 0.01
    scored = {tuple(rows(trial)) for trial in (work / "run" / "tune").glob("0*")}
    assert len(scored) == 1, "all trials are scored on the same rows"
    assert len(*scored) == kept["scored"] == 100
    assert not set(*scored) & set(rows(work / "run")), "rows that are judged have no part in the search"

    monkeypatch.chdir(work)
    status, planned, _ = cli(capsys, "plan", "recipe.yaml")
    assert status == 0
    assert "train.learning_rate: auto → 0.01, found by the search in run/tune" in planned
    assert "examples/s, as in run; evaluations" in planned

    before = metrics(work / "run")
    shutil.rmtree(work / "run" / "tune")
    interrupt(work / "run", 60)
    again = train(work)
    assert again.returncode == 0, again.stderr
    assert "train.learning_rate: auto → 0.01, which the search before this run has found" in again.stdout
    assert "continues an unfinished run from update 60" in again.stdout
    assert [one["update"] for one in metrics(work / "run")] == [one["update"] for one in before]
    assert not (work / "run" / "tune").exists(), "a resume searches no more"
    shown = train(work)
    assert "already finished" in shown.stdout, shown.stderr


def test_interrupted_search_goes_on_to_the_same_table_on_one_process_and_two(work: Path) -> None:
    # In two micro-batches, dropout draws alike on one process and on two.
    tries = ("--tune", "--try", "train.learning_rate=1e-7,1e-2,1e-3", "train.min_micro_batches=2")
    whole = train(work, *tries, "output=whole")
    assert whole.returncode == 0, whole.stderr
    first = work / "run" / "tune" / "01" / "metrics.jsonl"
    with warm.Warm("accel_cls.train", ["recipe.yaml", *tries], work) as process:
        while "up to update" not in process.out:
            assert process.poll() is None, process.err
    stamp = first.stat().st_mtime_ns
    again = train(work, *tries)
    assert again.returncode == 0, again.stderr
    assert first.stat().st_mtime_ns == stamp, "a trial that was over is taken as it is"
    assert table(work / "run") == table(work / "whole")
    assert search(work / "run")["choice"] == search(work / "whole")["choice"]

    two = train_by(2, work, *tries, "output=two")
    assert two.returncode == 0, two.stderr
    assert search(work / "two")["choice"] == search(work / "whole")["choice"]
    for one, other in zip(table(work / "two"), table(work / "whole"), strict=True):
        assert one["losses"] == pytest.approx(other["losses"], rel=1e-3)


def test_search_is_made_first_where_a_recipe_says_auto_and_stops_when_told(work: Path) -> None:
    epochs = "train.epochs=2"
    with warm.Warm("accel_cls.train", ["recipe.yaml", epochs], work) as process:
        while "up to update" not in process.out:
            assert process.poll() is None, process.err
        (work / "run" / "SAVE").touch()
        assert process.wait(60) == 75, process.err
        assert "stopped by SAVE" in process.out
    assert rate_of(work / "run") == "auto"
    done = train(work, epochs)
    assert done.returncode == 0, done.stderr
    kept = search(work / "run")
    assert rate_of(work / "run") == kept["trials"][kept["choice"]]["values"]["train.learning_rate"]
    assert len(kept["trials"]) == 5
    origin = json.loads((work / "run" / "origin.json").read_text(encoding="utf-8"))
    assert origin["found"] == {"train.learning_rate": rate_of(work / "run")}
    planned = train(work, epochs, "--fresh", "train.log_every=5")
    assert "found before" in planned.stdout, "what was found outlives --fresh"
    other = train(work, "train.learning_rate=1e-3", epochs)
    assert "train.learning_rate:" in other.stdout.partition("of another recipe")[2], other.stderr


def test_candidate_that_diverges_is_left_out(work: Path) -> None:
    # With such a decay, weights grow ninefold in each update.
    tries = ("--tune", "--try", "train.learning_rate=9.9,1e-2,1e-3", "train.weight_decay=1")
    done = train(work, *tries)
    assert done.returncode == 0, done.stderr
    assert "diverged" in done.stdout
    kept = search(work / "run")
    assert kept["trials"][0]["diverged"]
    assert kept["choice"] != 0
    none = train(work, "--tune", "--try", "train.learning_rate=9.9,9", "train.weight_decay=1")
    assert none.returncode == 2
    assert "no trial of the search has come to its end" in none.stderr
    assert "Traceback" not in none.stderr
    assert (work / "run" / "tune.1" / "results.json").is_file(), "another search is kept"


@settings(max_examples=200)
@given(
    epochs=st.lists(st.integers(1, 20), min_size=1, max_size=12),
    usual=st.integers(1, 20),
    examples=st.integers(2000, 1_000_000),
)
def test_search_costs_no_more_than_one_training(epochs: list[int], usual: int, examples: int) -> None:
    halving = Halving.of(epochs, usual, 32, examples)
    sizes, parts = rung_sizes(len(epochs)), rung_parts(len(epochs))
    steps = [after - before for before, after in zip([0.0, *parts], parts, strict=False)]
    longest = sorted(epochs, reverse=True)
    cost = sum(step * sum(longest[:size]) * halving.trained for step, size in zip(steps, sizes, strict=True))
    cost += sum(sizes) * halving.scored / 3
    assert parts[-1] == 1
    assert cost <= usual * examples or halving.trained <= 200
    assert 0 < halving.trained < examples
    assert halving.trained + halving.scored <= examples


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([AUTO, "train.max_updates=5"], "train.max_updates: found 5 beside train.learning_rate: auto"),
        (
            ["--tune", "train.max_updates=5", "train.learning_rate=1e-3"],
            "train.max_updates: found 5, but the search is made for the whole schedule",
        ),
        (
            ["--tune", "--try", "train.learning_rate=0"],
            "found 0 in 'train.learning_rate=0'; expected a number above 0",
        ),
        (
            ["--tune", "--try", "train.learning_rate=auto"],
            "--try: train.learning_rate: found 'auto'; expected different",
        ),
        (["--tune", "--try", "train.epochs=2,2"], "--try: train.epochs: found '2,2'; expected different numbers"),
        (["--tune", "--try", "model.dropout=0.1"], "--try: found 'model.dropout=0.1'; expected a key and its values"),
        (["--tune", "model.freeze=encoder"], "model.freeze: found encoder: no rate is used, so that there is none"),
        (["--tune", "--try", "train.learning_rate=1e-3"], "--try: found one candidate, train.learning_rate=1e-3;"),
        (["--try", "train.epochs=2"], "--try: found 'train.epochs=2'; expected it with --tune only"),
        (["--tune", "train.warmup=500"], "train.warmup: found 500 updates; expected less than the 90 of the run"),
        (
            [AUTO, "data.train=few.csv"],
            "10 training examples are too few for a search over 5 candidates: of 3 that are scored, each is 0.33",
        ),
        (
            [AUTO, "train.batch_size=400", "train.epochs=1"],
            "a trial, 1 updates, can't be cut into 3 rungs. Give a number, such as 0.001",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(work: Path, arguments: list[str], said: str) -> None:
    write_reviews(work / "few.csv", 12)
    done = train(work, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (work / "run" / "tune").exists()


def test_tools_that_train_say_what_they_need(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_reviews(Path("reviews.csv"), 60)
    write_recipe(Path())
    for command in (("parity", "recipe.yaml"), ("resume", "--prove", "recipe.yaml")):
        status, _, error = cli(capsys, *command, AUTO)
        assert status == 2
        assert "train.learning_rate: auto: each training would begin with a search" in error
    status, out, _ = cli(capsys, "plan", "recipe.yaml", AUTO)
    assert status == 0
    assert "train.learning_rate: auto → 0.001, if the search, which comes first" in out
    assert "not known before such a model has trained here" in out
    write_file(BASE + "train: {learning_rate: automatic}\n")
    status, _, error = cli(capsys, "plan", "r.yaml")
    assert "found 'automatic'; expected a number above 0 and below 10, or 'auto'" in error
