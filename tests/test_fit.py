"""`train.micro_batch_tokens: auto`: what fits is found, agreed on, remembered, and lowered when it no longer fits."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import yaml
from conftest import ROOT, command

# Trains with a second process whose memory ends at LIMIT tokens, from its pass number AFTER on.
STARVED = """
import os, sys
import torch
from transformers import BertForSequenceClassification
from accel_cls.train import main

whole, passes = BertForSequenceClassification.forward, 0

def forward(self, input_ids=None, **others):
    global passes
    if input_ids.device.type != "meta" and torch.is_grad_enabled():
        passes += 1
        if passes > int(os.environ.get("AFTER", "0")) and input_ids.numel() > int(os.environ["LIMIT"]):
            raise eval(os.environ.get("ERROR", 'torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")'))
    return whole(self, input_ids=input_ids, **others)

if os.environ.get("RANK") == "1":
    BertForSequenceClassification.forward = forward
if __name__ == "__main__":
    sys.exit(main())
"""
AUTO = "train.micro_batch_tokens=auto"


def starved(work: Path, *overrides: str, **env: str):
    """Train on two processes, the second of which is short of memory."""
    (work / "starved.py").write_text(STARVED, encoding="utf-8")
    shutil.copy(ROOT / "accelerate_configs" / "cpu_multi.yaml", work)
    launch = ("accelerate", "launch", "--config_file", "cpu_multi.yaml", "starved.py", "recipe.yaml", AUTO)
    cache = {"XDG_CACHE_HOME": str(work / "cache")}
    return command(*launch, *overrides, cwd=work, env=cache | env)


def recorded(run: Path) -> int:
    return yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))["train"]["micro_batch_tokens"]


def remembered(work: Path) -> list[int]:
    entries = json.loads((work / "cache" / "accel_cls" / "micro_batches.json").read_text(encoding="utf-8"))
    return [entry["tokens"] for entry in entries.values()]


def test_one_process_short_of_memory_decides_for_both(work: Path) -> None:
    # 32 examples of at most 32 tokens on two processes: 512 tokens are of use, and 192 the most of those that fit.
    first = starved(work, "train.max_updates=6", LIMIT="200")
    print(first.stdout, first.stderr)
    assert first.returncode == 0, first.stderr
    assert "train.micro_batch_tokens: auto → 192, the most that fits on the CPU (tried now: 4 sizes in" in first.stdout
    assert recorded(work / "run") == 192
    assert remembered(work) == [192]

    began = time.monotonic()
    short = starved(work, LIMIT="130", AFTER="5")
    print(short.stdout, short.stderr)
    assert short.returncode != 0
    assert time.monotonic() - began < 60
    assert "auto → 192, with which this run began" in short.stdout

    went_on = starved(work, LIMIT="130")
    print(went_on.stdout, went_on.stderr)
    assert went_on.returncode == 0, went_on.stderr
    assert recorded(work / "run") == 128

    again = starved(work, "--fresh", "train.max_updates=1", LIMIT="130")
    print(again.stdout, again.stderr)
    assert "auto → 128, the most that fits on the CPU (remembered in" in again.stdout


def test_another_error_while_trying_ends_all(work: Path) -> None:
    failed = starved(work, LIMIT="200", ERROR='RuntimeError("a kernel is missing")')
    print(failed.stdout, failed.stderr)
    assert failed.returncode != 0
