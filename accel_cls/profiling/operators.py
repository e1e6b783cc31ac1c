"""Updates under torch's profiler: a trace file, and each operator's own time, by kind in plain words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from accel_cls.profiling.measurements import BETWEEN, PARTS, Operator
from accel_cls.profiling.stopwatch import MeasurementDone

# Kinds that take in all that an operator of theirs calls; the first that is found counts.
_BY_ANY_CALLER = {
    "optimizer": r"^optimizer$|^Optimizer\.",
    "making micro-batches": r"^data$",
    "dropout": r"dropout|Dropout|bernoulli|::random_",
    "attention": r"scaled_dot_product|ScaledDotProduct|flash_attention|efficient_attention|::_?softmax|^Softmax"
    r"|: Softmax|^_Attention|^_Rearrange|^_Take|^_Put",
}
# Kinds by an operator's own name, or that of the nearest operator that calls it.
_BY_NEAREST_CALLER = {
    "matrix products": r"::_?(linear|mkldnn_linear|addmm|mm|bmm|baddbmm|matmul|addmv|addmm_activation)(_backward)?$"
    r"|(Addmm|Mm|Bmm|Linear|MkldnnLinear)\w*Backward",
    "normalization": r"layer_norm|LayerNorm|rms_norm|RMSNorm|RmsNorm|group_norm|batch_norm",
    "activation": r"::(gelu|relu|silu|tanh|sigmoid|mish|hardtanh|leaky_relu)|(Gelu|Relu|Silu|Tanh|Sigmoid)\w*Backward",
    "embeddings": r"embedding|Embedding|index_select",
    "loss": r"cross_entropy|nll_loss|NllLoss|log_softmax|LogSoftmax",
    "exchange of gradients": r"c10d|gloo|nccl|all_?reduce|all_?gather|reduce_?scatter|FSDP",
    "casts and copies": r"::(to|_to_copy|copy_|contiguous|clone|cat|stack|zero_|fill_|pin_memory)$"
    r"|(ToCopy|Copy|Clone|Cat)\w*Backward",
}
OTHER = "other"
KINDS = (*_BY_ANY_CALLER, *_BY_NEAREST_CALLER, BETWEEN, OTHER)


# What the profiler notes lies between freed tensors, so that new ones don't fit there and take memory that the system
# has to clear first: with a BERT-base on two cores 130 to 190 MB and 200 ms an update, which no training pays.
_ROOM = 2**30  # bytes


class ProfilerSpans:
    """Names the parts of an update to torch's profiler, and ends the training after so many updates."""

    def __init__(self, updates: int):
        self._left = updates
        self._open: list[record_function] = []
        self.begin("update")

    def begin(self, part: str) -> None:
        """A part begins."""
        self._open.append(record_function(part))
        self._open[-1].__enter__()

    def end(self, part: str) -> None:
        """The part that began last ends."""
        self._open.pop().__exit__(None, None, None)

    def update_done(self) -> None:
        """An update has ended. Raises MeasurementDone after the last one."""
        self.end("update")
        self._left -= 1
        if not self._left:
            raise MeasurementDone
        self.begin("update")


def profile_updates(
    run: Callable[[ProfilerSpans], None], updates: int, device: torch.device, path: Path
) -> list[Operator]:
    """Run some updates under torch's profiler, write the trace (.json.gz), and return what each operator took."""
    activities = [ProfilerActivity.CPU]
    if device.type in ("cuda", "xpu"):
        activities.append(ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.XPU)
    if device.type == "cpu":
        preallocate_memory()
    with profile(activities=activities) as profiler:
        run(ProfilerSpans(updates))
    profiler.export_chrome_trace(str(path))
    on_device = len(activities) > 1
    calls: defaultdict[tuple[str, str], float] = defaultdict(float)
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for event in profiler.events() or ():
        if event.device_type != DeviceType.CPU:
            continue  # a kernel: its time is in the operator that started it
        microseconds = event.self_device_time_total if on_device else event.self_cpu_time_total
        key = event.name, operator_kind(_names(event))
        calls[key] += 1 / updates
        seconds[key] += microseconds / 1e6 / updates
    found = [Operator(*key, calls[key], seconds[key]) for key in calls if seconds[key] > 0]
    return sorted(found, key=lambda operator: -operator.seconds)


def preallocate_memory() -> None:
    """Have this process, on a CPU, hold 1 GiB of memory that the system has cleared and `keep_memory` keeps."""
    # In parts: glibc never keeps a block of 1 GiB.
    _ = [torch.empty(_ROOM // 4, dtype=torch.uint8).fill_(0) for _ in range(4)]


def operator_kind(names: list[str]) -> str:
    """The kind of an operator, given its name and the names of those that called it, from the inside out."""
    for kind, pattern in _BY_ANY_CALLER.items():
        if any(re.search(pattern, name) for name in names):
            return kind
    if names[0] in (*PARTS, "update", "DistributedDataParallel.forward"):
        return BETWEEN
    for name in names:
        for kind, pattern in _BY_NEAREST_CALLER.items():
            if re.search(pattern, name):
                return kind
    return OTHER


def _names(event: Any) -> list[str]:
    names = []
    while event is not None:
        names.append(event.name)
        event = event.cpu_parent
    return names
