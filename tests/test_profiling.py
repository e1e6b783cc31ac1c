"""`accel-cls profile`: what it says of an update adds up, and the recipe's own run is left alone."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import cli, command, train, write_recipe, write_reviews
from transformers import BertConfig

from accel_cls.console import Console
from accel_cls.profiling.advice import advice
from accel_cls.profiling.command import error_message_of
from accel_cls.profiling.flops import training_flops
from accel_cls.profiling.measurements import (
    BETWEEN,
    PARTS,
    PROFILED_UPDATES,
    Cut,
    Operator,
    ProcessMeasurements,
    ProfileResult,
    Update,
)
from accel_cls.profiling.operators import KINDS, OTHER, operator_kind
from accel_cls.profiling.report import as_json, show
from accel_cls.profiling.stopwatch import DeviceClock, MeasurementDone, Stopwatch
from accel_cls.training.spans import observe_spans, span, update_done

# The real thing ----------------------------------------------------------------------------------------

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


# Mistakes ----------------------------------------------------------------------------------------------


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


# Spans -------------------------------------------------------------------------------------------------


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


# Measurements ------------------------------------------------------------------------------------------


def test_flops_are_six_for_each_weight_and_token_and_attention() -> None:
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=4,
    )
    lengths = np.array([3, 10, 64])
    layer = 4 * 32 * 32 + 2 * 32 * 64
    head = 32 * 32 + 32 * 4  # the pooler and the classes, for the first token only
    by_hand = sum(6 * 3 * layer * n + 12 * 3 * 32 * n * n + 6 * head for n in lengths)
    assert training_flops(config, lengths) == pytest.approx(by_hand)
    # Packed: in the last layer keys and values are of all tokens, the rest of each text's first token only.
    once = 2 * 32 * 32 + 2 * 32 * 64
    last = sum(6 * 2 * 32 * 32 * n + 6 * once + 12 * 32 * n for n in lengths)
    packed = sum(6 * 2 * layer * n + 12 * 2 * 32 * n * n + 6 * head for n in lengths) + last
    assert training_flops(config, lengths, packed=True) == pytest.approx(packed)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["aten::mm", "AddmmBackward0", "backward", "update"], "matrix products"),
        (["aten::addmm", "aten::linear", "forward"], "matrix products"),
        (["aten::bmm", "aten::scaled_dot_product_attention", "forward"], "attention"),
        (["aten::bernoulli_", "aten::dropout", "aten::scaled_dot_product_attention"], "dropout"),
        (["aten::_scaled_dot_product_flash_attention_for_cpu_backward", "backward"], "attention"),
        (["aten::native_layer_norm_backward", "backward"], "normalization"),
        (["aten::gelu", "forward"], "activation"),
        (["aten::copy_", "aten::to", "aten::linear", "forward"], "casts and copies"),
        (["aten::_log_softmax", "aten::cross_entropy_loss", "forward"], "loss"),
        (["aten::_softmax", "aten::softmax", "forward"], "attention"),
        (["aten::mul", "aten::_foreach_mul_", "optimizer", "update"], "optimizer"),
        (["aten::mm", "Optimizer.step#AdamW.step", "optimizer"], "optimizer"),
        (["gloo:all_reduce"], "exchange of gradients"),
        (["aten::add", "forward", "update"], OTHER),
        (["forward", "update"], BETWEEN),
        (["update"], BETWEEN),
    ],
)
def test_kinds_of_operators(names: list[str], kind: str) -> None:
    assert operator_kind(names) == kind


def figures(process: int = 0, **changes) -> ProcessMeasurements:
    """Made up: an update of 100 ms, four fifths of it forward and backward passes; 4 micro-batches of 250 tokens."""
    update = Update(
        seconds=0.1,
        parts={"data": 0.005, "forward": 0.03, "backward": 0.05, "waiting": 0.0, "optimizer": 0.01},
        ready=None,
        examples=32,
        real=800,
        padded=1000,
        micro_batches=4,
    )
    made = ProcessMeasurements(
        process=process,
        hardware="1 process on cpu",
        device="cpu",
        precision="fp32",
        updates=[update] * 3,
        passes=[(250, 0.02)] * 12,
        flops=3e9,
        peaks={"fp32": 1e11, "bf16": 4e11},
        products={"fp32": 0.01, "bf16": 0.01},
        memory=10**9,
        traced=3,
        operators=[Operator("aten::mm", "matrix products", 10, 0.06), Operator("forward", BETWEEN, 4, 0.04)],
        trace="trace-0.json.gz",
        tokens=4096,
        cuts=[Cut("train.micro_batch_tokens", 4096, 0.2, 4.0, 1.0), Cut("train.batch_size", 64, 0.19, 7.0, 1.0)],
    )
    changed = {key: changes.pop(key) for key in list(changes) if hasattr(update, key) and key != "updates"}
    return replace(made, updates=[replace(update, **changed)] * 3, **changes)


def test_what_a_micro_batch_costs_is_the_line_through_all() -> None:
    passes = [(tokens, 0.004 + tokens * 5e-5) for tokens in (100, 200, 400, 800, 300)]
    alone, by_token = ProfileResult([figures(passes=[*passes, (150, 1.0)])]).micro_batch_cost  # one was disturbed
    assert alone == pytest.approx(0.004, rel=0.01)
    assert by_token == pytest.approx(5e-5, rel=0.01)
    assert ProfileResult([figures()]).micro_batch_cost == (0, pytest.approx(0.02 / 250)), "all alike: no line"
    falling = [(100, 0.02), (200, 0.01)]
    assert ProfileResult([figures(passes=falling)]).micro_batch_cost == (0, pytest.approx(1e-4))


def test_padding_costs_its_tokens() -> None:
    profile = ProfileResult([figures()])
    assert profile.padding == pytest.approx(0.2)
    assert profile.padding_seconds == pytest.approx(200 * 0.02 / 250)
    assert profile.flops == pytest.approx(3e9 / 3 / 0.1)


def test_waiting_is_for_others_or_for_the_exchange() -> None:
    waiting = {"data": 0.0, "forward": 0.03, "backward": 0.03, "waiting": 0.03, "optimizer": 0.01}
    slow = figures(0, ready=7.07, parts={**waiting, "backward": 0.05, "waiting": 0.01})
    fast = figures(1, ready=7.05, parts=waiting)
    (slow_late, slow_exchange), (fast_late, fast_exchange) = ProfileResult([slow, fast]).waiting_times()
    assert (slow_late, slow_exchange) == (0, pytest.approx(0.01))
    assert (fast_late, fast_exchange) == (pytest.approx(0.02), pytest.approx(0.01))
    assert ProfileResult([slow, fast]).share("waiting") == pytest.approx(0.2)


def test_waiting_that_can_not_be_told_is_not_shown(capsys: pytest.CaptureFixture) -> None:
    profile = ProfileResult([figures(0), figures(1)])
    assert "waiting" not in [part.name for part in profile.parts()]
    show(profile, Path("out"), Console())
    said = capsys.readouterr().out
    assert "padded tokens" in said
    assert "waiting ms" not in said


# Advice ------------------------------------------------------------------------------------------------

OWN = Cut("train.micro_batch_tokens", 4096, 0.4, 2.0, 1.0)
FINER = Cut("train.micro_batch_tokens", 512, 0.1, 3.0, 1.0)
LARGER = Cut("train.batch_size", 64, 0.2, 4.0, 1.0)
CHEAP = [(tokens, 0.001 + tokens * 8e-5) for tokens in (100, 200, 400)]  # micro-batches that cost little by themselves
DEAR = [(tokens, 0.05 + tokens * 8e-5) for tokens in (100, 200, 400)]
FAST = {"fp32": 0.04, "bf16": 0.01}
DROPOUT = [Operator("aten::bernoulli_", "dropout", 9, 0.02), Operator("aten::add", OTHER, 9, 0.08)]
DATA = {"data": 0.02, "forward": 0.03, "backward": 0.03, "waiting": 0.0, "optimizer": 0.015}
STEP = {"data": 0.0, "forward": 0.03, "backward": 0.03, "waiting": 0.0, "optimizer": 0.035}
LOG = {"data": 0.0, "forward": 0.03, "backward": 0.03, "waiting": 0.0, "optimizer": 0.01}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"cuts": [OWN, FINER, LARGER], "passes": CHEAP}, "train.micro_batch_tokens=512 would cut an update into 3.0"),
        ({"cuts": [OWN, FINER, LARGER], "passes": DEAR, "padded": 1600}, "of 64 examples an update"),
        ({"cuts": [OWN, FINER, replace(LARGER, padding=0.4)], "passes": DEAR, "padded": 1600}, None),
        ({"products": FAST}, "this CPU is 4.0 times as fast in bf16 as in fp32"),
        ({"products": {}}, None),
        ({"products": {"fp32": 0.012, "bf16": 0.01}}, None),
        ({"products": FAST, "operators": [Operator("aten::add", OTHER, 9, 0.1)]}, None),
        ({"operators": DROPOUT}, "dropout takes 20% of an update"),
        ({"parts": DATA}, "making micro-batches takes 20% of an update"),
        ({"parts": STEP}, "the optimizer takes 35% of an update"),
        ({"parts": LOG}, "30% of an update is none of these parts"),
    ],
)
def test_advice_needs_figures(changes: dict, words: str | None) -> None:
    found = advice(ProfileResult([figures(**changes)]))
    assert len(found) == (words is not None), found
    assert words is None or words in found[0]


def test_advice_for_processes_that_wait() -> None:
    waiting = {"data": 0.0, "forward": 0.02, "backward": 0.02, "waiting": 0.05, "optimizer": 0.005}
    slow = figures(0, ready=7.07, parts={**waiting, "backward": 0.06, "waiting": 0.01})
    fast = figures(1, ready=7.03, parts=waiting)
    (late,) = advice(ProfileResult([slow, fast]))
    assert "one process waits 40% of an update for another" in late
    (exchange,) = advice(ProfileResult([replace(fast, process=0), fast]))
    assert "the exchange of gradients takes 50% of an update" in exchange
    even = Cut("train.min_micro_batches", 4, 0.4, 4.0, 0.95)
    both = [replace(one, cuts=[replace(OWN, busy=0.6), even, LARGER]) for one in (slow, fast)]
    assert "train.min_micro_batches=4 would cut an update into 4.0" in advice(ProfileResult(both))[0]


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
