"""Trainings with `train.micro_batch_tokens: auto`: what fits is found, agreed on, recorded, lowered."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from conftest import cli, train

from tools import warm

# Trains with a second process whose memory ends at LIMIT tokens; LATER=24:130 says at 130 after 24 passes.
STARVED = """
import os, sys
import torch
from transformers import BertForSequenceClassification
from accel_cls.memory import search as searching
from accel_cls.train import main

searching._AMPLE = 0  # try also what is beyond doubt

whole, passes = BertForSequenceClassification.forward, 0
LIMIT, LATER = int(os.environ["LIMIT"]), os.environ.get("LATER", "9999:0").split(":")
ERROR = os.environ.get("ERROR")

def forward(self, input_ids=None, **others):
    global passes
    if input_ids.device.type != "meta" and torch.is_grad_enabled():
        passes += 1
        if input_ids.numel() > (LIMIT if passes <= int(LATER[0]) else int(LATER[1])):
            raise RuntimeError(ERROR) if ERROR else torch.OutOfMemoryError("CUDA out of memory. Tried 2.00 GiB.")
    return whole(self, input_ids=input_ids, **others)

if os.environ.get("RANK") == "1":
    BertForSequenceClassification.forward = forward
if __name__ == "__main__":
    sys.exit(main())
"""
AUTO = "train.micro_batch_tokens=auto"


def starved(work: Path, *overrides: str, **env: str):
    """Train on two processes, the second of which is short of memory.

    They are given 300 s: one that waited for the other until a collective operation's time is over would fail.
    """
    (work / "starved.py").write_text(STARVED, encoding="utf-8")
    cache = {"XDG_CACHE_HOME": str(work / "cache")}
    # Padded micro-batches, since it is by their size that the second process fails.
    arguments = ["recipe.yaml", "hardware=cpu_multi", AUTO, "train.packing=false", *overrides]
    return warm.run_ranks("starved", arguments, work, 2, env=cache | env)


def recorded(run: Path) -> int:
    return yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))["train"]["micro_batch_tokens"]


# Two processes, one of which is short of memory -------------------------------------------------------


def test_what_fits_on_both_is_found_lowered_when_it_no_longer_fits_and_remembered(work: Path) -> None:
    # 32 examples of at most 32 tokens on two processes: 512 tokens are of use, and 192 the most of those that fit.
    short = starved(work, LIMIT="200", LATER="24:130")
    found = "train.micro_batch_tokens: auto → 192, the most that fits on the CPU (tried now: 4 sizes in"
    assert found in short.stdout, short.stderr
    assert "of at most 192 padded tokens" in short.stdout
    assert recorded(work / "run") == 192
    assert short.returncode != 0
    assert "[process 1] out of memory in update 8 of 12; the largest micro-batch of it here: 6 × 32" in short.stderr
    assert "error   CUDA out of memory. Tried 2.00 GiB." in short.stderr
    assert "is 192; the same command goes on from the newest checkpoint with 128" in short.stderr
    assert "[rank" not in short.stderr, "a traceback of ours"

    went_on = starved(work, LIMIT="130")
    assert went_on.returncode == 0, went_on.stderr
    said = "ran out of memory in update 8 with train.micro_batch_tokens 192; it goes on with 128: from here on updates"
    assert said in went_on.stdout
    assert "continues an unfinished run from update 6" in went_on.stdout
    assert recorded(work / "run") == 128
    assert not (work / "run" / "out_of_memory.json").exists()

    again = starved(work, "--fresh", "train.max_updates=1", LIMIT="130")
    assert again.returncode == 0, again.stderr
    assert f"auto → 128, the most that fits on the CPU (remembered in {work / 'cache'}" in again.stdout


def test_another_error_of_one_process_while_trying_ends_both(work: Path) -> None:
    failed = starved(work, LIMIT="200", ERROR="a kernel is missing")
    assert failed.returncode != 0
    assert "RuntimeError: a kernel is missing" in failed.stderr
    assert not list((work / "run").glob("checkpoints/*"))


# One process ------------------------------------------------------------------------------------------


def test_auto_trains_like_its_number_and_the_plan_knows_it(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CACHE_HOME", str(work / "cache"))
    before = json.loads(cli(capsys, "plan", "recipe.yaml", AUTO, "--json")[1])
    assert before["micro_batch_tokens"] == 1024
    assert before["micro_batch_tokens_from"].startswith("by arithmetic for the CPU of this machine")
    auto = train(work, AUTO, "train.max_updates=2")
    assert "auto → 1,024, a whole update at once; more is of no use (by arithmetic now)" in auto.stdout, auto.stderr
    number = train(work, "train.micro_batch_tokens=1024", "train.max_updates=2", "output=number")
    assert number.returncode == 0, number.stderr
    keys = ("loss", "grad_norm", "evaluation")
    curves = [
        [{key: json.loads(line).get(key) for key in keys} for line in (work / run / "metrics.jsonl").open()]
        for run in ("run", "number")
    ]
    assert curves[0] == curves[1]  # with dropout on: nothing of the search is left behind
    after = cli(capsys, "plan", "recipe.yaml", AUTO)[1]
    assert "train.micro_batch_tokens: auto → 1,024, remembered from an earlier run" in after


LIMITED = """
import dataclasses, resource, sys
import psutil, torch
from accel_cls.training import build
from accel_cls.memory import search as searching, setup
from accel_cls.train import main

assert searching._AMPLE == 0.5 and setup.USABLE_FRACTION == 0.8
torch.backends.mkldnn.enabled = False  # oneDNN, once refused memory for a kernel, has none for the rest of the process
searching._AMPLE, setup.USABLE_FRACTION = 0, 99  # the forecast allows everything: the allocator has to say what fits
find = build.find_micro_batch_tokens

def find_within_limits(search, notes):
    limit = psutil.Process().memory_info().vms + 100_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, -1))
    try:
        return find(dataclasses.replace(search, available=search.setup.available()), notes)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))

build.find_micro_batch_tokens = find_within_limits
sys.exit(main())
"""


def test_a_real_limit_is_found(work: Path) -> None:
    (work / "limited.py").write_text(LIMITED)
    sizes = ["data.max_length=64", "model.scratch={layers: 12, hidden: 32, heads: 2}", "train.batch_size=192"]
    env = {"XDG_CACHE_HOME": str(work / "cache")}
    done = warm.run("limited", ["recipe.yaml", AUTO, *sizes, "train.max_updates=1"], work, None, env)
    assert done.returncode == 0, done.stderr
    assert "the most that fits on the CPU (tried now: " in done.stdout
    assert 64 < recorded(work / "run") < 192 * 64
