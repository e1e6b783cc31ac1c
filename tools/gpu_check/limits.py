"""At the edge: fp16's scaler skips updates, memory runs out, checkpoints are saved while training goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from benchmarks.contestants import ours
from benchmarks.processes import ROOT
from tools.gpu_check.findings import Finding, StepFailed
from tools.gpu_check.repeating import large_model, same
from tools.gpu_check.trainings import Trainings

# Bytes; a BERT-base in fp32 with its moments takes 1.4 GB. Updates of 256 texts at once, cut by width, took 3.4 GB
# on an H200, and its driver half a GB more.
_LEFT_ON_GPU = 7 * 2**29
_LEFT_ON_CPU = 150 * 2**20  # bytes above what the process has when it begins to look for what fits


def scaler_skips(t: Trainings) -> Iterator[Finding]:
    """fp16 whose scale begins too high: the first updates are skipped, all others count, and twice is the same."""
    module = ("tools.gpu_check.children.high_scale",)
    options = ("train.learning_rate=1e-3", "train.warmup=0")  # so that the loss falls within these updates
    one, other = (t.train(f"fp16-skips-{i}", *options, precision="fp16", module=module) for i in (1, 2))
    results = ours.results(one)
    losses = [record["loss"] for record in ours.logged(one) if "loss" in record]
    yield Finding(
        f"updates that the scaler skipped, of {t.updates}",
        f"{results['scaler_skips']}; last loss {losses[-1]:.3f}",
        0 < results["scaler_skips"] < t.updates and losses[-1] < losses[0],
    )
    yield same("fp16 with skips: the same command twice", one, other)


def out_of_memory(t: Trainings) -> Iterator[Finding]:
    """Too little memory for an update at once: `auto` finds what fits; a number that does not fit is explained."""
    options = (large_model(t), "train.batch_size=256", "train.min_micro_batches=1", "train.packing=false")
    module = ("accel_cls.train",) if t.is_gpu else ("tools.gpu_check.children.limited", str(_LEFT_ON_CPU))
    with _little_memory(t):
        # A cache of its own: what fitted once is remembered, and nothing would be tried.
        run = t.train(
            "memory", *options, "train.micro_batch_tokens=auto", "train.max_updates=2", module=module,
            env={"ACCEL_CLS_CACHE": str(t.place / "cache")},
        )  # fmt: skip
        tokens = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))["train"]["micro_batch_tokens"]
        whole = 256 * 128
        yield Finding(f"tokens at once that auto found, of {whole:,}", f"{tokens:,}", 0 < tokens < whole)
        if t.is_gpu:
            too_many = (*options, f"train.micro_batch_tokens={whole}", "train.max_updates=2")
            done = t.try_to_train("memory-too-many", *too_many, module=module)
            if done.status == 0:
                memory = f"{ours.results(t.place / 'memory-too-many')['device_peak_bytes'] / 1e9:.1f} GB"
                yield Finding(f"{whole:,} at once", f"it fits, in {memory}: nothing to explain")
                return
            told = [line for line in done.text.splitlines() if "out of memory" in line.lower()]
            is_explained = done.status == 2 and bool(told) and "Traceback" not in done.text
            yield Finding(f"{whole:,} at once: explained", (told or ["not a word"])[0].strip()[:80], is_explained)


def saving(t: Trainings) -> Iterator[Finding]:
    """A BERT-base saved every ten updates: how long training stands still, and whether it changes anything."""
    options = (large_model(t), f"train.max_updates={t.few_updates}")
    without = t.train("saving-without", *options, precision="bf16")
    run = t.train("saving", *options, f"checkpoint.every={t.few_updates // 4}", precision="bf16")
    results = ours.results(run)
    size = sum(path.stat().st_size for path in max((run / "checkpoints").iterdir()).rglob("*") if path.is_file())
    yield Finding(
        f"{results['checkpoints']} checkpoints of {size / 1e9:.2f} GB",
        f"training stood still {results['stall_seconds']:.2f} of {results['seconds']:.1f} s "
        f"({results['save_seconds']:.1f} s of saving)",
    )
    yield same(
        "weights and optimizer with and without saving",
        without,
        run,
        ("updates", "weights", "optimizer", "best model", "predictions"),
    )


@contextmanager
def _little_memory(t: Trainings) -> Iterator[None]:
    """In the block, another process holds most of the GPU's memory."""
    if not t.is_gpu:
        yield
        return
    command = [sys.executable, "-m", "tools.gpu_check.children.ballast", str(_LEFT_ON_GPU)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if not process.stdout.readline().startswith("taken"):
            raise StepFailed("the GPU's memory could not be taken")
        yield
    finally:
        process.communicate()
