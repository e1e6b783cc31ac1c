"""Does the device repeat itself: the same command twice, and killed and resumed, by SHA-256; and what that costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contestants import ours
from tools.gpu_check.findings import Finding
from tools.gpu_check.trainings import Trainings

# A BERT-base, whose heads of 64 have other attention kernels than the recipe's of 32; on a CPU it is too slow.
BASE = "{layers: 12, hidden: 768, heads: 12, vocabulary: 5000, dropout: 0.1}"
_SMALL = "{layers: 2, hidden: 64, heads: 2, vocabulary: 500, dropout: 0.1}"
_DIGITS = 12  # of a hash


def large_model(t: Trainings) -> str:
    """The override that has a model trained which keeps a GPU busy."""
    return f"model.scratch={BASE if t.is_gpu else _SMALL}"


def large_name(t: Trainings) -> str:
    """What that model is called."""
    return "BERT-base" if t.is_gpu else "BERT 2×64"


def same_bits(t: Trainings) -> Iterator[Finding]:
    """In each precision: once, once more, and killed and resumed."""
    for precision in ("bf16", "fp16", "fp32") if t.is_gpu else ("fp32", "bf16"):
        saves = f"checkpoint.every={max(1, t.updates // 8)}"  # how often is counted, and has to be the same
        whole = t.train(f"bits-{precision}", saves, precision=precision)
        again = t.train(f"bits-{precision}-again", saves, precision=precision)
        yield same(f"{precision}: the same command twice", whole, again)
        if precision == "bf16" and not t.is_gpu:  # the step itself is seen to work
            continue
        killed, reached = t.train_killed(f"bits-{precision}-killed", saves, precision=precision)
        yield same(f"{precision}: killed at update {reached}, resumed", whole, killed)


def same_bits_large(t: Trainings) -> Iterator[Finding]:
    """The same command twice with a BERT-base, packed and padded."""
    for packing in ("true", "false"):
        options = (large_model(t), f"train.packing={packing}", f"train.max_updates={t.few_updates}")
        whole, again = (t.train(f"large-{packing}-{i}", *options, precision="bf16") for i in (1, 2))
        yield same(f"bf16, {large_name(t)}, {'packed' if packing == 'true' else 'padded'}: twice", whole, again)


def cost_of_determinism(t: Trainings) -> Iterator[Finding]:
    """Texts a second with deterministic algorithms and without, in turn; without, the bits may differ."""
    models = {
        "BERT 2×128, 32 an update": ("train.max_updates=300",),
        "BERT-base, 32 an update": (large_model(t), "train.max_updates=30"),
    }
    for name, model in models.items():
        speeds: dict[str, list[float]] = {"true": [], "false": []}
        for turn in range(2):
            for value, found in speeds.items():
                options = (f"train.deterministic={value}", "train.trace=false", "train.log_every=10", *model)
                run = t.train(f"cost-{len(model)}-{value}-{turn}", *options, precision="bf16")
                found.append(speed(run))
        exact, free = (statistics.mean(found) for found in speeds.values())
        yield Finding(
            f"{name}: deterministic, not, ratio", f"{exact:,.0f} and {free:,.0f} texts/s, {exact / free:.2f}"
        )


def same(what: str, one: Path, other: Path, parts: Sequence[str] | None = None) -> Finding:
    """Whether two runs left the same to the last bit, and else where they differ first.

    Args:
        what: is compared.
        one: a run folder.
        other: another.
        parts: of `accel_cls.proving.fingerprint.PARTS`; None for all.
    """
    from accel_cls.proving.fingerprint import Fingerprint, differences

    a, b = Fingerprint.of(one), Fingerprint.of(other)
    found = [line for line in differences(a, b) if parts is None or line.split(":")[0] in parts]
    value = f"weights {a.hash('weights')[:_DIGITS]}, optimizer {a.hash('optimizer')[:_DIGITS]}"
    return Finding(what, found[0] if found else value, not found)


def speed(run: Path) -> float:
    """Texts a second in the second half of a training: by then the allocator has what it needs."""
    speeds = ours.speeds(run)
    return statistics.mean(speeds[len(speeds) // 2 :])
