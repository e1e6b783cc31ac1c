"""The same command again: an unfinished run goes on to the same end, a finished one is left alone or kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

from conftest import train, train_by
from run_results import interrupt, metrics, numbers, weights_of

from accel_cls.proving.fingerprint import Fingerprint, differences


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_continued_run_ends_like_an_uninterrupted_one(work: Path) -> None:
    """To the last bit; that it does so on other numbers of processes, too, is test_parity's."""
    overrides = ["checkpoint.every=1", "checkpoint.keep=99", "evaluate.every=3"]
    done = train(work, *overrides)
    assert done.returncode == 0, done.stderr
    before = metrics(work / "run")
    final = weights_of(work / "run" / "checkpoints" / "update-000012" / "model.safetensors")
    interrupt(work / "run", 7)
    again = train(work, *overrides)
    assert again.returncode == 0, again.stderr
    assert "continues an unfinished run from update 7" in again.stdout
    after = metrics(work / "run")
    assert [record["update"] for record in after] == [record["update"] for record in before]
    assert [numbers(record) for record in after] == [numbers(record) for record in before]
    assert weights_of(work / "run" / "checkpoints" / "update-000012" / "model.safetensors") == final


def test_three_processes_go_on_to_the_last_bit(work: Path) -> None:
    """The sum of three depends on its order, which DDP would have changed after the first update of each start."""
    overrides = ("train.trace=true", "checkpoint.every=6", "checkpoint.keep=9", "train.micro_batch_tokens=128")
    assert train_by(3, work, *overrides).returncode == 0
    whole = Fingerprint.of(work / "run")
    interrupt(work / "run", 6)
    again = train_by(3, work, *overrides)
    assert "continues an unfinished run from update 6" in again.stdout, again.stderr
    assert differences(whole, Fingerprint.of(work / "run")) == []


def test_finished_run_is_left_alone_or_kept_under_another_name(work: Path) -> None:
    assert train(work, "train.max_updates=2").returncode == 0
    stamp = digest(work / "run" / "metrics.jsonl")
    again = train(work, "train.max_updates=2")
    assert again.returncode == 0
    assert "already finished" in again.stdout
    assert digest(work / "run" / "metrics.jsonl") == stamp
    other = train(work, "train.max_updates=2", "train.learning_rate=1e-3")
    assert other.returncode == 0, other.stderr
    assert "train.learning_rate: 0.01 → 0.001" in other.stdout
    assert digest(work / "run.1" / "metrics.jsonl") == stamp
    fresh = train(work, "train.max_updates=2", "train.learning_rate=1e-3", "--fresh")
    assert fresh.returncode == 0, fresh.stderr
    assert (work / "run.2" / "results.json").is_file()
    assert (work / "run" / "results.json").is_file()


def test_trial_goes_on_to_the_whole_run(work: Path) -> None:
    assert train(work, "output=whole").returncode == 0
    assert train(work, "train.max_updates=6").returncode == 0
    done = train(work)
    assert done.returncode == 0, done.stderr
    assert "continues an unfinished run from update 6" in done.stdout
    whole, trial = (work / name / "checkpoints" / "update-000012" / "model.safetensors" for name in ("whole", "run"))
    assert weights_of(trial) == weights_of(whole)


def test_unfinished_run_of_another_recipe_is_refused(work: Path) -> None:
    assert train(work, "train.max_updates=2").returncode == 0
    interrupt(work / "run", 2)
    refused = train(work, "train.max_updates=2", "train.batch_size=16")
    assert refused.returncode == 2
    assert "train.batch_size: 32 → 16" in refused.stderr
    assert "Traceback" not in refused.stderr
