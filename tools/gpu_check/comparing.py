"""Is it the same training as on the CPU, and the same answers: within the tolerances of `accel-cls parity`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tools.gpu_check.findings import Finding
from tools.gpu_check.trainings import Trainings

_WITHOUT_DROPOUT = "model.dropout=0"  # each kind of device draws random numbers of its own
_TEXTS = 200  # that are classified on both
# Probabilities of a finished model, fp32 on both: logits of a dozen layers are 1e-6 off.
_APART = 1e-4
# Times parity's tolerance, where two kinds of device have had a part in one training: 2.9e-5 in a gradient's norm was
# seen on an H200 after 60 updates, of rounding that has had 40 updates to grow.
_CROSSED = 10


def parity(t: Trainings) -> Iterator[Finding]:
    """The CPU's training and the device's, in fp32, packed and padded; DDP; micro-batches that are cut otherwise."""
    for name, packing in (("packed", "true"), ("padded", "false")):
        options = (_WITHOUT_DROPOUT, f"train.packing={packing}")
        cpu = t.train(f"parity-cpu-{name}", *options, device="cpu")
        gpu = t.train(f"parity-{name}", *options)
        yield compared(f"fp32, {name}: CPU and {t.where}", cpu, gpu, "no")
    alone = t.train("parity-alone")
    ddp = t.train_ddp("parity-ddp")
    many = "1 process over NCCL" if t.is_gpu else "2 processes over gloo"
    yield compared(f"fp32, dropout on: DDP, {many}, and without", alone, ddp, "no")
    for precision, word in (("fp32", "no"), ("bf16", "bf16"), *([("fp16", "fp16")] if t.is_gpu else [])):
        options = (_WITHOUT_DROPOUT, "train.min_micro_batches=1")
        fine, coarse = (
            t.train(f"cut-{precision}-{tokens}", *options, f"train.micro_batch_tokens={tokens}", precision=precision)
            for tokens in (256, 2048)
        )
        yield compared(f"{precision}: micro-batches of 256 and 2,048 tokens", fine, coarse, word)


def crossing(t: Trainings) -> Iterator[Finding]:
    """A run that begins on the device, goes on on the CPU, and ends on the device, against one that stayed."""
    third = t.updates // 3
    options = (_WITHOUT_DROPOUT, f"evaluate.every={third}")  # each part ends with an evaluation
    whole = t.train("crossing-whole", *options, f"train.max_updates={3 * third}")
    for part, device in enumerate((t.device, "cpu", t.device), start=1):
        run = t.train("crossing", *options, f"train.max_updates={part * third}", device=device)
    what = f"fp32: {t.where}, CPU, {t.where}, and {t.where} throughout"
    yield compared(what, whole, run, "no", _CROSSED)


def answers(t: Trainings) -> Iterator[Finding]:
    """The evaluation inside a training on the device, and `predict` there and on the CPU: the same probabilities."""
    run = t.train("answers")
    evaluated = _probabilities(run / "predictions.csv", _TEXTS)
    texts = t.place / "texts.csv"
    with open(texts, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["review"], *([text] for text in evaluated)])
    found = {"evaluation": evaluated}
    for where, env in ((t.device, {}), ("cpu", {"CUDA_VISIBLE_DEVICES": ""})):
        out = t.place / f"answers-{where}.jsonl"
        command = ("accel_cls.predict", str(run), "--file", str(texts), "--column", "review", "--out", str(out))
        t.run(*command, env=env)
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        found[f"predict on the {'CPU' if where == 'cpu' else 'GPU'}"] = {
            line["review"]: line["probabilities"] for line in lines
        }
    *others, (_, cpu) = found.items()
    for name, probabilities in others:
        apart = max(abs(probabilities[text][label] - p) for text, row in cpu.items() for label, p in row.items())
        what = f"fp32, {len(cpu)} texts: {name}, and on the CPU"
        yield Finding(what, f"at most {apart:.1e} apart", apart <= _APART)


def compared(what: str, one: Path, other: Path, precision: str, times: float = 1) -> Finding:
    """Two trainings within parity's tolerance for a precision, by accelerate's word for it, or so many times that."""
    from accel_cls.parity.compare import TrainedRun, compare
    from accel_cls.parity.verdict import TOLERANCES, Tolerance, is_within

    found = compare(TrainedRun.of(one), TrainedRun.of(other))
    value = (
        f"loss {found.loss.max():.1e}, gradient norm {found.gradient.max():.1e}, weights {found.weights:.1e}, "
        f"probability {found.probability:.1e}"
    )
    allowed = Tolerance(**{name: times * most for name, most in asdict(TOLERANCES[precision]).items()})
    return Finding(what, value, found.examples is None and found.rows and is_within(found, allowed))


def _probabilities(path: Path, most: int) -> dict[str, dict[str, float]]:
    """By text, of a run's predictions.csv, as far as no two rows have the same text."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))[:most]
    names = [name for name in rows[0] if name.startswith("p(")]
    return {row["text"]: {name[2:-1]: float(row[name]) for name in names} for row in rows}
