"""Stopping with notice, through the real command line: in training, in an evaluation, before training, twice."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import train, wait_for, write_recipe, write_reviews

from accel_cls.checkpoints.checkpoint import list_checkpoints, newest_checkpoint, update_of

LONG = "{epochs: 400, batch_size: 8, micro_batch_tokens: 256, learning_rate: 1e-3, log_every: 1}"
_BIN = Path(sys.executable).parent


def start(folder: Path, *overrides: str, launcher: tuple[str, ...] = ("python", "-m", "accel_cls.train")):
    program, *rest = launcher
    return subprocess.Popen(
        [str(_BIN / program), *rest, "recipe.yaml", *overrides],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def updates(folder: Path) -> int:
    path = folder / "run" / "metrics.jsonl"
    return path.read_text(encoding="utf-8").count('"loss"') if path.is_file() else 0


@pytest.fixture
def long(tmp_path: Path) -> Path:
    write_reviews(tmp_path / "reviews.csv")
    write_recipe(tmp_path, train=LONG, evaluate="{every: 4000}", checkpoint="{every: 4000}")
    return tmp_path


@pytest.mark.parametrize("how", ["SIGUSR1", "SAVE"])  # tests/faults has the others
def test_a_run_that_is_told_to_stop_saves_its_update(long: Path, how: str) -> None:
    process = start(long)
    wait_for(lambda: updates(long) >= 3, process)
    if how == "SAVE":
        (long / "run" / "SAVE").touch()
    else:
        process.send_signal(getattr(signal, how))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert f"stopped by {how}" in out
    assert "Traceback" not in err
    newest = newest_checkpoint(long / "run" / "checkpoints", notes := [])
    assert not notes
    assert newest is not None
    stopped_at = update_of(newest)
    assert f"update {stopped_at:,} of" in out
    assert os.path.join("run", "checkpoints", newest.name) in out
    assert updates(long) == stopped_at, "the update that was under way is whole, and no other was begun"
    if how == "SAVE":  # a file that is left would stop the next run, too
        again = train(long, f"train.max_updates={stopped_at + 2}")
        assert again.returncode == 0, again.stderr
        assert f"continues an unfinished run from update {stopped_at}" in again.stdout


@pytest.mark.parametrize("both", [True, False])
def test_training_goes_on_when_nobody_reads_what_it_prints(tmp_path: Path, both: bool) -> None:
    write_reviews(tmp_path / "reviews.csv")
    write_recipe(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "accel_cls.train", "recipe.yaml"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if both else subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert both or process.stderr.read() == b""
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
    assert updates(tmp_path) == 12 + 2, "all updates, and the evaluations"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_training_whose_terminal_is_gone_saves(long: Path) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:  # its session's leader, with that terminal
        os.chdir(long)
        os.execv(sys.executable, [sys.executable, "-m", "accel_cls.train", "recipe.yaml"])
    with open(terminal, "rb", buffering=0) as screen:
        deadline = time.monotonic() + 60
        while updates(long) < 3:
            screen.read(1000)
            assert time.monotonic() < deadline
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 75
    newest = newest_checkpoint(long / "run" / "checkpoints", [])
    assert newest is not None
    assert update_of(newest) == updates(long)


def test_two_processes_stop_after_the_same_update_whichever_is_told(long: Path) -> None:
    process = start(long, "hardware=cpu_multi", launcher=("accel-cls", "launch"))
    wait_for(lambda: updates(long) >= 3, process)
    [second] = [
        child.pid
        for child in psutil.Process(process.pid).children(recursive=True)
        if child.environ().get("RANK") == "1"
    ]
    os.kill(second, signal.SIGUSR1)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert out.count("stopped by SIGUSR1") == 1
    assert not re.search("Traceback|elastic|That is all", err), "what torch's launcher says of it is no news"
    assert update_of(list_checkpoints(long / "run" / "checkpoints")[0]) == updates(long)


def test_launcher_passes_on_what_it_is_told(long: Path) -> None:
    process = start(long, launcher=("accel-cls", "launch"))
    wait_for(lambda: updates(long) >= 3, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "stopped by SIGTERM" in out


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_training_whose_launcher_has_ended_stops(long: Path) -> None:
    process = start(long, launcher=("accel-cls", "launch"))
    wait_for(lambda: updates(long) >= 3, process)
    [launcher] = psutil.Process(process.pid).children()
    assert "accelerate" in " ".join(launcher.cmdline())
    launcher.send_signal(signal.SIGUSR1)  # of which it dies
    assert process.wait(60) == 75, "the status of the training, which has ended by now"
    out, _ = process.communicate(timeout=60)
    assert "stopped by SIGTERM" in out
    assert update_of(list_checkpoints(long / "run" / "checkpoints")[0]) == updates(long)


def test_evaluation_is_left_and_made_again(tmp_path: Path) -> None:
    """Of a run that was stopped in its evaluation, everything is as if it had not been."""
    write_reviews(tmp_path / "reviews.csv", count=1600)
    small = "{epochs: 1, max_updates: 4, batch_size: 2, micro_batch_tokens: 32, learning_rate: 1e-3, log_every: 1}"
    write_recipe(tmp_path, train=small, evaluate="{every: 3}", checkpoint="{every: 3}")
    overrides = ["data.validation=0.99", "train.packing=false"]
    process = start(tmp_path, *overrides)
    wait_for(lambda: updates(tmp_path) >= 3, process)
    time.sleep(0.2)  # the evaluation takes seconds
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "after         update 3 of 4" in out, "the test's evaluation is too short"
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert not [record for record in records if "evaluation" in record]
    alone = {"OMP_NUM_THREADS": "1"}
    assert train(tmp_path, *overrides, env=alone).returncode == 0
    assert train(tmp_path, *overrides, "output=whole", env=alone).returncode == 0

    def lines(run: str) -> list[dict]:
        text = (tmp_path / run / "metrics.jsonl").read_text(encoding="utf-8")
        return [{k: v for k, v in json.loads(t).items() if k != "examples_per_second"} for t in text.splitlines()]

    assert lines("run") == lines("whole")
    assert [record["update"] for record in lines("run") if "evaluation" in record] == [3, 4]


def test_before_training_there_is_nothing_to_save(long: Path) -> None:
    process = start(long)
    time.sleep(1.5)  # it imports torch
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "stopped by SIGTERM before training began" in err
    assert "Traceback" not in err
    assert not list_checkpoints(long / "run" / "checkpoints")


def test_second_ctrl_c_stops_at_once(long: Path) -> None:
    """Also where the first can't be heard: an update that takes minutes."""
    (long / "slow.py").write_text(
        "import time, sys, runpy\n"
        "import accel_cls.training.loop as loop\n"
        "loop.accumulate_gradient = lambda *a: (open('begun', 'w').close(), time.sleep(600))\n"
        "sys.argv = ['accel_cls.train', 'recipe.yaml']\n"
        "runpy.run_module('accel_cls.train', run_name='__main__')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "slow.py"], cwd=long, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for((long / "begun").exists, process)
    process.send_signal(signal.SIGINT)
    time.sleep(1.5)
    assert process.poll() is None, "the first one lets the update end"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Ctrl-C once more stops at once" in err
    assert "stopped at once" in err
