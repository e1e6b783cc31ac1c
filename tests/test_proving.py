"""`accel-cls resume`: a run that is killed and goes on is the same training, and where it is not, that is seen."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, cli, train, write_reviews
from safetensors.torch import load_file, save_file

from accel_cls.checkpoints.checkpoint import list_checkpoints
from accel_cls.proving import interrupt, proof
from accel_cls.proving.fingerprint import PARTS, Fingerprint, differences
from accel_cls.runs.folder import RunFolder

# The real thing ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("warm_trainings")
def test_killed_and_resumed_is_the_same_training(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    status, said, errors = cli(
        capsys,
        *("resume", "--prove", "recipe.yaml", "train.epochs=10", "--kills", "1", "--processes", "1,2", "--json"),
    )
    assert status == 0, errors
    whole, killed, other = json.loads(said)
    assert whole["killed_at"] == whole["resumed_from"] == []
    assert killed["verdict"] == "the same to the last bit"
    assert killed["hashes"] == whole["hashes"]
    assert set(whole["hashes"]) == set(PARTS)
    assert other["same"], other
    assert other["parity"]["verdict"].startswith("the same"), "two processes sum in another order"
    assert other["parity"]["first_other_examples"] is None
    for run in (killed, other):
        assert len(run["killed_at"]) == len(run["resumed_from"]) == 1
        assert 0 <= run["resumed_from"][0] <= run["killed_at"][0] <= 60
        assert run["updates"] == 60
    assert {path.name for path in work.iterdir()} == {"recipe.yaml", "reviews.csv"}, (
        "the recipe's own run is not begun"
    )


_WORKER = """
import os, subprocess
own = subprocess.Popen(["sleep", "60"])
os.write(1, f"{os.getpid()} {own.pid}\\n".encode())  # in one piece: print() makes several where output is unbuffered
own.wait()
"""
_LAUNCHER = """
import subprocess, sys, time
workers = [subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=True) for _ in range(2)]
time.sleep(60)
"""


def test_kill_ends_the_launcher_and_all_that_its_workers_have_started() -> None:
    """torch's launcher puts its workers into sessions of their own."""
    with subprocess.Popen([sys.executable, "-c", _LAUNCHER, _WORKER], stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        pids = [int(pid) for _ in range(2) for pid in launcher.stdout.readline().split()]
        assert len(pids) == 4
        interrupt.kill_process_tree(launcher)
        assert launcher.returncode == -signal.SIGKILL
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def alter_after_kill(monkeypatch: pytest.MonkeyPatch, difference: float) -> None:
    """As if a checkpoint had not all that a training has: one weight is another, and the manifest agrees to it."""

    def alter(run: Path) -> None:
        (newest, *_) = list_checkpoints(RunFolder(run).checkpoints)
        weights = load_file(newest / "model.safetensors")
        weights["classifier.bias"][0] += difference
        save_file(weights, newest / "model.safetensors", metadata={"format": "pt"})
        manifest = json.loads((newest / "manifest.json").read_text())
        content = (newest / "model.safetensors").read_bytes()
        manifest["files"]["model.safetensors"] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        (newest / "manifest.json").write_text(json.dumps(manifest))

    monkeypatch.setattr(interrupt, "after_kill", alter)
    monkeypatch.setattr(interrupt, "draw_kills", lambda *_: [interrupt.Kill(4, 0.0)])


@pytest.mark.usefixtures("warm_trainings")
def test_resume_that_changes_something_is_found(work: Path, monkeypatch, capsys) -> None:
    alter_after_kill(monkeypatch, 1e-3)
    monkeypatch.chdir(work)
    (work / "run").mkdir()
    (work / "run" / "mine.txt").write_text("mine")
    status, said, errors = cli(capsys, "resume", "--prove", "recipe.yaml", "--kills", "1", "--keep", "kept")
    assert status == 1, errors
    assert "killed and resumed: DIFFERENT: updates: " in said
    run = Fingerprint.of(work / "kept" / "killed")
    (first, *_) = differences(Fingerprint.of(work / "kept" / "whole"), run)
    assert first in said
    update = int(first.rpartition(" ")[2])
    assert 2 <= update <= 12, "the first update after the altered checkpoint"
    assert "weights: " in said
    assert "two runs without interruption are the same to the last bit: going on is what changes something" in said
    assert [path.name for path in (work / "run").iterdir()] == ["mine.txt"]
    assert (work / "run" / "mine.txt").read_text() == "mine"


@pytest.mark.usefixtures("warm_trainings")
def test_hardware_that_does_not_repeat_itself_is_told_from_a_resume_that_changes_something(
    work: Path, monkeypatch, capsys
) -> None:
    """As if each run ended in weights of its own."""
    of = Fingerprint.of

    def unlike(folder: Path) -> Fingerprint:
        found = of(folder)
        return replace(found, parts=found.parts | {"weights": {"classifier.bias": folder.name}})

    monkeypatch.setattr(Fingerprint, "of", unlike)
    monkeypatch.chdir(work)
    status, said, errors = cli(capsys, "resume", "--prove", "recipe.yaml", "--kills", "1")
    assert status == 1, errors
    assert "so do two runs without interruption (weights: 1 of 1 differ, first classifier.bias)" in said
    assert "this hardware does not repeat itself" in said


@pytest.mark.usefixtures("warm_trainings")
def test_bits_are_not_claimed_where_nobody_promises_them(work: Path, monkeypatch, capsys) -> None:
    """As on a GPU with train.deterministic: false. What differs there by no more than rounding is the same."""
    alter_after_kill(monkeypatch, 1e-9)
    monkeypatch.setattr(proof, "is_repeatable", lambda device, deterministic: deterministic)
    monkeypatch.setattr(proof, "describe_repeatable", lambda *_: "up to rounding")
    monkeypatch.chdir(work)
    status, said, errors = cli(capsys, "resume", "--prove", "recipe.yaml", "train.deterministic=false", "--kills", "1")
    assert status == 0, errors
    assert "  repeatable    up to rounding" in said
    assert "killed and resumed: the same" in said
    assert "to the last bit" not in said


# What is compared --------------------------------------------------------------------------------------


def test_differences_name_file_and_update() -> None:
    parts = {part: {} for part in PARTS} | {
        "updates": {f"trace, update {k}": str(k) for k in range(1, 5)},
        "metrics": {"metrics.jsonl, line 1, update 2": "a"},
    }
    one = Fingerprint(4, parts)
    assert differences(one, one) == []
    other = replace(one, parts=parts | {"updates": parts["updates"] | {"trace, update 3": "x"}, "metrics": {}})
    assert differences(one, other) == [
        "updates: 1 of 4 differ, first trace, update 3",
        "metrics: 1 of 1 differ, first metrics.jsonl, line 1, update 2 (one of them has none)",
    ]
    assert one.hash("updates") != other.hash("updates")


def test_kills_are_drawn_from_a_seed_over_the_whole_training() -> None:
    """One in each third of the updates, up to two updates (here a second) after it was reached."""
    for seed, kills in (
        (7, [(21, 0.947865), (59, 0.650934), (71, 0.821274)]),
        (8, [(15, 0.370412), (58, 0.126331), (69, 0.085185)]),
    ):
        found = interrupt.draw_kills(3, 100, 50.0, seed)
        assert [(kill.update, round(kill.delay, 6)) for kill in found] == kills
    assert [kill.update for kill in interrupt.draw_kills(3, 4, 1.0, seed=0)] == [1, 2, 3]


def test_last_update_does_not_mind_a_line_that_was_cut_off(tmp_path: Path) -> None:
    assert interrupt.last_update(tmp_path) == 0
    (tmp_path / "process-0.jsonl").write_text('{"update": 1, "parts": []}\n{"update": 2, "parts": []}\n{"upda')
    assert interrupt.last_update(tmp_path) == 2


# Without --prove ---------------------------------------------------------------------------------------


def test_state_of_a_run_is_shown_and_nothing_is_touched(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    status, said, _ = cli(capsys, "resume", "recipe.yaml")
    assert status == 0
    assert "no run yet" in said
    assert "begins a new run, at update 0" in said
    assert train(work, "checkpoint.every=5").returncode == 0
    status, said, _ = cli(capsys, "resume", "recipe.yaml", "checkpoint.every=5", "--json")
    state = json.loads(said)
    assert (status, state["state"], state["logged"], state["changes"]) == (0, "finished", 12, [])
    assert all(one["fault"] is None for one in state["checkpoints"])
    # As after a kill that left a damaged checkpoint.
    run = RunFolder(work / "run")
    run.results.unlink()
    newest, older, *_ = list_checkpoints(run.checkpoints)
    (newest / "model.safetensors").write_bytes(b"")
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    status, said, _ = cli(capsys, "resume", "recipe.yaml")
    assert status == 0
    assert "unfinished, logged up to update 12" in said
    assert "update-000012: model.safetensors has 0 bytes instead of" in said
    assert f"{older.name}: verified" in said
    assert f"goes on from update {int(older.name[-6:])}" in said
    assert said.endswith("$ accel-cls launch recipe.yaml\n")
    _, said, _ = cli(capsys, "resume", "recipe.yaml", "train.learning_rate=1e-4", "train.max_updates=9")
    assert "train.learning_rate: 0.01 → 0.0001" in said
    assert "train.max_updates: not set → 9" in said
    assert "is refused" in said
    # Only commands that are not refused: the run's own recipe, and starting over.
    own, fresh = re.findall(r"^# (.*)\n\$ accel-cls launch (.*)$", said, re.M)
    assert own == (f"goes on from update {int(older.name[-6:])}", "run/recipe.yaml")
    assert fresh[1] == "recipe.yaml train.learning_rate=1e-4 train.max_updates=9 --fresh"
    assert said.count("$ ") == 2
    _, said, _ = cli(capsys, "resume", "run/recipe.yaml")
    assert f"goes on from update {int(older.name[-6:])}" in said
    assert before == {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}


def test_run_is_not_continued_in_another_precision(work: Path, monkeypatch, capsys) -> None:
    """`accel-cls resume` says so, and the command does so."""
    monkeypatch.chdir(work)
    assert train(work, "train.max_updates=6").returncode == 0
    (work / "run" / "results.json").unlink()  # as if it had been killed
    text = (ROOT / "accelerate_configs" / "cpu.yaml").read_text()
    (work / "bf16.yaml").write_text(text.replace('mixed_precision: "no"', "mixed_precision: bf16"))
    assert "goes on from update 6" in cli(capsys, "resume", "recipe.yaml")[1]
    state = json.loads(cli(capsys, "resume", "recipe.yaml", "hardware=./bf16.yaml", "--json")[1])
    assert state["action"] == "refuse"
    assert state["changes"][0].startswith("precision: fp32 → bf16")
    refused = train(work, env={"ACCELERATE_MIXED_PRECISION": "bf16"})
    assert refused.returncode == 2
    assert "run holds an unfinished run that differs from this one:\n  precision: fp32 → bf16" in refused.stderr
    assert train(work).returncode == 0


def test_output_that_is_a_file_is_named(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    (work / "run").write_text("mine")
    status, said, _ = cli(capsys, "resume", "recipe.yaml")
    assert status == 0
    assert "is refused, since this folder is a file; name a folder with output=…" in said
    assert "$ " not in said


def test_folder_of_something_else_is_named(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    (work / "other").mkdir()
    (work / "other" / "mine.txt").write_text("mine")
    status, said, _ = cli(capsys, "resume", "recipe.yaml", "output=other")
    assert status == 0
    assert "holds something else than a run" in said
    assert "$ " not in said


def test_run_that_goes_on_just_now_is_not_started_again(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    assert train(work, "train.max_updates=6").returncode == 0
    lock = RunFolder(work / "run").lock
    lock.acquire([])
    try:
        status, said, _ = cli(capsys, "resume", "recipe.yaml")
        state = json.loads(cli(capsys, "resume", "recipe.yaml", "--json")[1])
    finally:
        lock.close()
    assert status == 0
    assert "run: running, logged up to update 6" in said
    assert f"is refused: {work / 'run'} belongs to another run: process {os.getpid()} on " in said
    assert "$ " not in said
    assert (state["action"], state["command"], state["instead"]) == ("refuse", None, [])
    assert "$ accel-cls launch recipe.yaml" in cli(capsys, "resume", "recipe.yaml")[1]


def test_run_whose_data_have_changed_can_only_be_begun_anew(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    assert train(work, "train.max_updates=6").returncode == 0
    (work / "run" / "results.json").unlink()  # as if it had been killed
    write_reviews(work / "reviews.csv", seed=1)
    said = cli(capsys, "resume", "recipe.yaml")[1]
    assert "is refused" in said
    assert re.findall(r"^\$ (.*)$", said, re.M) == ["accel-cls launch recipe.yaml --fresh"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kills", "2"], "--kills: found 2 without --prove"),
        (["--seed", "0"], "--seed: found 0 without --prove"),
        (["--prove", "--processes", "1,two"], "--processes: found '1,two'; expected whole numbers"),
        (["--prove", "--processes", "2,2"], "--processes: 2 stands twice"),
        (["--prove", "--kills", "0"], "than or equal to 1"),
        (["--prove", "--updates", "1"], "than or equal to 2"),
        (["--prove", "--keep", "."], "--keep: . is there already"),
        (["--prove", "train.max_updates=1"], "--prove: the training has 1 update; expected 2 or more"),
        (["--prove", "hardware=multi_node"], "asks for 16 processes on GPUs"),
        (["--prove", "hardware=gpu"], "this machine has no GPU that torch can use"),
        (["train.epoch=2"], "train.epoch: unknown key; did you mean epochs?"),
    ],
)
def test_mistakes_are_explained(work: Path, monkeypatch, capsys, arguments: list[str], words: str) -> None:
    monkeypatch.chdir(work)
    status, _, errors = cli(capsys, "resume", "recipe.yaml", *arguments)
    assert status == 2
    assert words in errors
    assert not (work / "run").exists()


@pytest.mark.usefixtures("warm_trainings")
def test_training_that_fails_is_shown(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    (work / "encoder").mkdir()
    status, _, errors = cli(capsys, "resume", "--prove", "recipe.yaml", "model.name=./encoder")
    assert status == 2
    assert "without interruption: its training ended with an error" in errors
    assert "model.name: the tokenizer of the folder" in errors
