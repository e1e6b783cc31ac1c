"""`accel-cls profile`: what it says of an update adds up, and the recipe's own run is left alone."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from conftest import cli, command, train, write_recipe, write_reviews

from accel_cls.console import Console
from accel_cls.profiling.command import error_message_of
from accel_cls.profiling.measurements import PARTS, PROFILED_UPDATES, ProcessMeasurements, ProfileResult
from accel_cls.profiling.operators import KINDS, OTHER
from accel_cls.profiling.report import as_json, show
from accel_cls.profiling.stopwatch import DeviceClock, MeasurementDone, Stopwatch
from accel_cls.training.spans import observe_spans, span, update_done

# The real thing ---------------------------------------------------------------------------------------

UPDATES = 12  # which with those to warm up and to trace is more than the recipe has


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one process has measured the tiny recipe."""
    folder = tmp_path_factory.mktemp("measured")
    write_reviews(folder / "reviews.csv")
    write_recipe(folder)
    done = train(folder, "--profiling", "out", str(UPDATES))
    assert done.returncode == 0, done.stderr
    return folder


def test_parts_add_up(measured: Path) -> None:
    (figures,) = ProcessMeasurements.read(measured / "out")
    assert len(figures.updates) == UPDATES
    for update in figures.updates:
        assert set(update.parts) == set(PARTS)
        assert update.parts["waiting"] == 0
        assert all(update.parts[part] > 0 for part in PARTS if part != "waiting")
        assert sum(update.parts.values()) < update.seconds
    *parts, whole = ProfileResult([figures]).parts()
    assert [part.name for part in parts] == ["data", "forward", "backward", "optimizer", "other"]
    assert sum(part.mean for part in parts) == pytest.approx(whole.mean)
    assert sum(part.share for part in parts) == pytest.approx(1)
    passes = sum(seconds for _, seconds in figures.passes)
    assert passes == pytest.approx(UPDATES * sum(part.mean for part in parts if part.name in ("forward", "backward")))


def test_tokens_are_those_of_the_plan(measured: Path, monkeypatch, capsys) -> None:
    """Updates 6 to 11, counted from 0, are the second epoch: 192 examples in updates of 32."""
    (figures,) = ProcessMeasurements.read(measured / "out")
    assert [update.examples for update in figures.updates] == [32] * UPDATES
    monkeypatch.chdir(measured)
    plan = json.loads(cli(capsys, "plan", "recipe.yaml", "--json")[1])
    assert sum(update.real for update in figures.updates[1:7]) == plan["tokens_per_epoch"]
    own, *others = figures.cuts
    assert (own.key, own.value) == ("train.micro_batch_tokens", 256)
    assert (own.padding, own.micro_batches) == (plan["cutting"]["padding"], plan["cutting"]["micro_batches"])
    assert [(cut.key, cut.value) for cut in others] == [
        ("train.micro_batch_tokens", 128),
        ("train.micro_batch_tokens", 64),
        ("train.micro_batch_tokens", 32),
        ("train.min_micro_batches", 2),
        ("train.min_micro_batches", 3),
        ("train.min_micro_batches", 4),
        ("train.batch_size", 64),
    ]
    assert sum(tokens for tokens, _ in figures.passes) == sum(update.padded for update in figures.updates)
    assert len(figures.passes) == sum(update.micro_batches for update in figures.updates)


def test_nothing_but_updates_is_measured_and_no_run_is_left(measured: Path) -> None:
    assert not (measured / "run").exists()
    assert not (measured / "out" / "run" / "checkpoints").exists()
    lines = (measured / "out" / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5 + UPDATES + PROFILED_UPDATES
    assert not any("evaluation" in json.loads(line) for line in lines)


def test_trace_has_the_parts_of_each_update(measured: Path) -> None:
    with gzip.open(measured / "out" / "trace-0.json.gz", "rt", encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    spans = [event for event in events if event.get("cat") == "user_annotation"]
    found = Counter(event["name"] for event in spans)
    assert (found["update"], found["optimizer"]) == (PROFILED_UPDATES, PROFILED_UPDATES)
    assert found["forward"] == found["backward"] == found["data"] - PROFILED_UPDATES > PROFILED_UPDATES
    assert any(event["name"] == "aten::addmm" for event in events)


def test_own_times_of_operators_are_the_whole(measured: Path) -> None:
    (figures,) = ProcessMeasurements.read(measured / "out")
    with gzip.open(measured / "out" / "trace-0.json.gz", "rt", encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    traced = (
        sum(event["dur"] for event in events if event.get("name") == "update" and "dur" in event)
        / 1e6
        / PROFILED_UPDATES
    )
    assert sum(operator.seconds for operator in figures.operators) == pytest.approx(traced, rel=0.01)
    kinds = ProfileResult([figures]).kinds()
    assert sum(share for _, share in kinds) == pytest.approx(1)
    assert {kind for kind, _ in kinds} <= set(KINDS)
    assert {"matrix products", "attention", "dropout", "normalization", "activation", "optimizer"} <= dict(
        kinds
    ).keys()
    assert dict(kinds).get(OTHER, 0) < 0.25


def test_shown_to_people_and_to_programs(measured: Path, capsys: pytest.CaptureFixture) -> None:
    profile = ProfileResult(ProcessMeasurements.read(measured / "out"))
    show(profile, measured / "out", Console())
    said = capsys.readouterr().out
    for words in ("precision fp32", "forward", "100.0%", "GFLOP/s", "matrix products", "trace-0.json.gz", "perfetto"):
        assert words in said
    assert "waiting ms" not in said
    content = as_json(profile, measured / "out")
    assert json.loads(json.dumps(content)) == content
    assert content["examples_per_second"] == pytest.approx(32 / content["parts"][-1]["mean"])
    assert content["waiting"] is None
    assert content["flops"] < content["peak_flops"]["fp32"]


def test_two_processes_by_the_command(tmp_path: Path) -> None:
    """Process 0 has two of three micro-batches: process 1 waits for it. The run that is there stays as it is."""
    write_reviews(tmp_path / "reviews.csv", count=60)
    write_recipe(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("name: tiny\n")
    options = ("train.min_micro_batches=3", "train.micro_batch_tokens=4096", "--processes", "2", "--updates", "4")
    done = command("accel-cls", "profile", "recipe.yaml", *options, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content == json.loads((tmp_path / "run-profile" / "profile.json").read_text(encoding="utf-8"))
    *parts, whole = content["parts"]
    assert [part["name"] for part in parts] == ["data", "forward", "backward", "waiting", "optimizer", "other"]
    assert sum(part["share"] for part in parts) == pytest.approx(1)
    assert sum(part["mean"] for part in parts) == pytest.approx(whole["mean"])
    (waiting,) = [part["mean"] for part in parts if part["name"] == "waiting"]
    each = [sum(one[kind] for kind in ("for_others", "exchange")) for one in content["waiting"]]
    assert sum(each) / 2 == pytest.approx(waiting)
    assert all(one["for_others"] >= 0 and one["exchange"] > 0 for one in content["waiting"])
    assert content["examples_per_second"] * whole["mean"] == pytest.approx(24), "48 for training: 32, 16, 32, 16"
    traces = ["run-profile/trace-0.json.gz", "run-profile/trace-1.json.gz"]
    assert content["traces"] == traces
    assert all((tmp_path / trace).is_file() for trace in traces)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.yaml"]
    assert (tmp_path / "run" / "recipe.yaml").read_text() == "name: tiny\n"


# Mistakes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train.epoch=2"], "train.epoch: unknown key; did you mean epochs?"),
        (["--out", "reviews.csv"], "--out: reviews.csv is a file; name another folder"),
        (["--out", "."], "--out: . holds a run; name another folder"),
        (["hardware=gpu"], "this machine has no GPU that torch can use"),
        (["hardware=./two.yaml"], "two is for 2 machines, but one is measured here"),
    ],
)
def test_mistakes_are_explained(work: Path, monkeypatch, capsys, arguments: list[str], words: str) -> None:
    monkeypatch.chdir(work)
    Path("two.yaml").write_text("{distributed_type: MULTI_GPU, use_cpu: true, num_machines: 2, num_processes: 2}")
    status, _, errors = cli(capsys, "profile", "recipe.yaml", *arguments)
    assert status == 2
    assert words in errors
    assert not (work / "run-profile").exists()


NOISE = "The following values were not passed to `accelerate launch`:\n\t`--dynamo_backend` was set to `no`\n"
TORCH = "(That is all. What torchrun prints below is a traceback of its own.)\nTraceback (most recent call last):\n"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("\ndata.train: a.csv is not there\n", "data.train: a.csv is not there"),
        (f"{NOISE}\nmodel.name: wrong\nTry another\n", "model.name: wrong\nTry another"),
        (f"{NOISE}\nmodel.name: wrong\n{TORCH}  File x\nChildFailedError\n", "model.name: wrong"),
        (f"{NOISE}Traceback (most recent call last):\n  File x\n\nKeyError: 1\n", "KeyError: 1"),
    ],
)
def test_training_that_fails_is_told_as_training_tells_it(log: str, said: str) -> None:
    assert error_message_of(log).endswith(said)
    if "KeyError" not in said:
        assert error_message_of(log) == said


def test_number_of_updates_is_checked(work: Path) -> None:
    done = train(work, "--profiling", "out", "few")
    assert done.returncode == 2
    assert "--profiling: found 'few' updates; expected a whole number, 1 or more" in done.stderr


# Spans ------------------------------------------------------------------------------------------------


def test_nobody_listens_unless_asked_to() -> None:
    stopwatch = Stopwatch(DeviceClock(torch.device("cpu")), 2)
    with observe_spans(stopwatch):
        with span("data"):
            pass
        update_done()
        with span("backward"):
            stopwatch.gradient_ready()
            stopwatch.gradient_ready()
        with pytest.raises(MeasurementDone):
            update_done()
    with span("data"):
        pass
    update_done()
    stopwatch.gradient_ready()
    first, second = stopwatch.updates
    assert [name for name, _, _ in first.parts] == ["data"]
    (_, begun, ready), (_, waits, ended) = second.parts
    assert [name for name, _, _ in second.parts] == ["backward", "waiting"]
    assert first.ended == second.began <= begun < ready == waits == second.ready < ended <= second.ended


def test_span_ends_with_an_error_too() -> None:
    stopwatch = Stopwatch(DeviceClock(torch.device("cpu")), 2)
    with pytest.raises(ValueError, match="wrong"), observe_spans(stopwatch), span("data"):
        raise ValueError("wrong")
    assert [name for name, _, _ in stopwatch.updates[0].parts] == ["data"]
    with span("data"):
        pass
    assert len(stopwatch.updates[0].parts) == 1


# Memory -----------------------------------------------------------------------------------------------

_FAULTS = """
import resource, sys
from accel_cls.devices.cpu.allocator import keep_memory
keep_memory()
import torch
from accel_cls.profiling.operators import preallocate_memory
if sys.argv[1] == "room":
    preallocate_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
kept = [torch.ones(12_000_000) for _ in range(3)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is on Linux")
def test_traced_updates_find_memory_that_need_not_be_cleared() -> None:
    # 3 × 48 MB are 35,000 pages of 4 kB.
    small_pages = os.environ | {"THP_MEM_ALLOC_ENABLE": "0"}
    command = [sys.executable, "-c", _FAULTS]
    faults = {
        how: int(subprocess.run([*command, how], env=small_pages, capture_output=True, text=True, check=True).stdout)
        for how in ("room", "none")
    }
    assert faults["none"] > 30_000
    assert faults["room"] < 1_000
