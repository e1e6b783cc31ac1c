"""Updates as CUDA graphs: the same training as kernel by kernel, near that of other shapes, and without a wait."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from tools.gpu_check.children.no_wait import SAID
from tools.gpu_check.comparing import compared
from tools.gpu_check.findings import Finding
from tools.gpu_check.repeating import large_model, large_name, same, speed
from tools.gpu_check.trainings import Trainings

# On a CPU it fills micro-batches up, too; there is nothing to record.
_GRAPHS, _NO_GRAPHS = "train.cuda_graphs=true", "train.cuda_graphs=false"
_WHOLE = ("train.micro_batch_tokens=4096", "train.min_micro_batches=1")


def passes(t: Trainings) -> Iterator[Finding]:
    """Single passes: FlashAttention over texts of padding beside padded rows, and what a graph makes of dropout."""
    result = t.place / "static_pass.json"
    t.run("tools.gpu_check.children.static_pass", t.device, str(result), env={"CUBLAS_WORKSPACE_CONFIG": ":4096:8"})
    for found in json.loads(result.read_text(encoding="utf-8")):
        yield Finding(**found)


def updates(t: Trainings) -> Iterator[Finding]:
    """Whole trainings: as graphs and without, killed and resumed, beside updates of any shape, and by DDP's sums."""
    other = _NO_GRAPHS if t.is_gpu else _GRAPHS
    models = {"BERT 2×128": (), large_name(t): (large_model(t), f"train.max_updates={t.few_updates}")}
    if not t.is_gpu:
        del models[large_name(t)]  # there is but one kind of attention
    for name, cut in (("one micro-batch", _WHOLE), ("several", ())):
        for model, options in models.items():
            kind = f"{len(cut)}-{len(options)}"
            graphs = t.train(f"graphs-{kind}", _GRAPHS, *cut, *options, precision="bf16")
            called = t.train(f"called-{kind}", other, *cut, *options, precision="bf16")
            yield same(f"{model}, {name}: graphs and not", graphs, called)
    saves = (_GRAPHS, *_WHOLE, f"checkpoint.every={max(1, t.updates // 8)}")
    whole = t.train("graphs-whole", *saves, precision="bf16")
    killed, reached = t.train_killed("graphs-killed", *saves, precision="bf16")
    yield same(f"bf16: killed at update {reached}, resumed", whole, killed)
    without = "model.dropout=0"
    usual = t.train("graphs-padded", without, _NO_GRAPHS, "train.packing=false", precision="bf16")
    yield compared("bf16: as graphs, and padded", t.train("graphs", without, _GRAPHS, precision="bf16"), usual, "bf16")
    alone = t.train("graphs-alone", _GRAPHS, precision="bf16")
    many = "1 process over NCCL" if t.is_gpu else "2 processes over gloo"
    ddp = t.train_ddp("graphs-ddp", _GRAPHS, precision="bf16")
    yield compared(f"bf16, dropout on: {many}, and without", alone, ddp, "bf16")


def no_wait(t: Trainings) -> Iterator[Finding]:
    """A training in which a wait for the device within an update is an error."""
    module = ("tools.gpu_check.children.no_wait",)
    for name, cut in (("one micro-batch", _WHOLE), ("several", ())):
        run = f"no-wait-{len(cut)}"
        done = t.try_to_train(run, _GRAPHS, *cut, "train.trace=false", precision="bf16", module=module)
        lines = done.text.strip().splitlines()
        counted = next((int(line.removeprefix(SAID)) for line in lines if line.startswith(SAID)), 0)
        value = f"{counted} of {t.updates} updates, the others recorded" if done.status == 0 else lines[-1]
        yield Finding(f"{name}: without a wait", value, done.status == 0 and counted > 0)


def compiling(t: Trainings) -> Iterator[Finding]:
    """Texts a second with compiled layers and without, in turn, and the seconds that compiling takes."""
    shared = (_GRAPHS, "train.trace=false", "train.log_every=10", "train.min_micro_batches=1")
    large = (large_model(t), "train.micro_batch_tokens=16384")
    cases = {
        "BERT-base, 16 an update": (*large, "train.batch_size=16", "train.max_updates=100"),
        "BERT-base, 256 an update": (*large, "train.batch_size=256", "train.max_updates=30"),
    }
    for name, options in cases.items():
        speeds, seconds = list[float](), list[float]()
        for compiled in ("false", "true"):
            began = time.monotonic()
            run = t.train(
                f"compile-{len(name)}-{compiled}", f"train.compile={compiled}", *shared, *options, precision="bf16"
            )
            seconds.append(time.monotonic() - began)
            speeds.append(speed(run))
        plain, fused = speeds
        value = (
            f"{plain:,.0f} and {fused:,.0f} texts/s, {fused / plain:.2f}; {seconds[1] - seconds[0]:.0f} s more in all"
        )
        yield Finding(f"{name}: as written, compiled, ratio", value)
