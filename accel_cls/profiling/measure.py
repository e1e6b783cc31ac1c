"""Measure some updates of a training, in each of its processes, instead of going to its end."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import torch

from accel_cls.batching.batches import Batch
from accel_cls.batching.layout import share
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.devices.prepare import is_xla
from accel_cls.errors import UserError
from accel_cls.memory.available import peak_device_memory, reset_peak_device_memory
from accel_cls.profiles import precision_name
from accel_cls.profiling.flops import matmul_seconds, peak_flops, training_flops
from accel_cls.profiling.measurements import (
    PARTS,
    PROFILED_UPDATES,
    WARM_UP_UPDATES,
    Cut,
    ProcessMeasurements,
    Request,
    Update,
)
from accel_cls.profiling.operators import profile_updates
from accel_cls.profiling.stopwatch import DeviceClock, MeasurementDone, Stopwatch, UpdateTimestamps, hook_all_reduce
from accel_cls.training.loop import train
from accel_cls.training.spans import SpanObserver, observe_spans
from accel_cls.training.training import Training

_NEVER = 10**9


def measure(t: Training, progress: Progress, hardware: str, request: Request) -> None:
    """Train for some updates and leave this process's measurements and trace in a folder. Called by all processes.

    The recipe's own loop runs, without evaluations and checkpoints, over as many epochs as it takes.

    Raises:
        UserError: on XLA.
    """
    if is_xla(t.accelerator):
        raise UserError("this command times what runs one by one, but XLA runs whole programs; use its own profiler")
    t = _endless(t, WARM_UP_UPDATES + request.updates + PROFILED_UPDATES)
    device, process = t.accelerator.device, t.accelerator.process_index
    clock = DeviceClock(device)
    stopwatch = Stopwatch(clock, WARM_UP_UPDATES + request.updates)
    is_hooked = hook_all_reduce(t.model, stopwatch.gradient_ready)
    reset_peak_device_memory(device)
    _train(t, progress, stopwatch)
    memory = _peak_memory(device)  # torch's profiler will take some
    path = request.folder / f"trace-{process}.json.gz"
    operators = profile_updates(lambda spans: _train(t, progress, spans), PROFILED_UPDATES, device, path)
    t.accelerator.wait_for_everyone()  # at a time, so that they share the machine as in training
    peaks = peak_flops(device)
    tokens = [count_tokens(t.train.make(part))[1] for part in t.plan.micro_batches(WARM_UP_UPDATES)]
    is_fp32_on_cpu = device.type == "cpu" and t.accelerator.mixed_precision == "no" and not t.accelerator.is_fsdp2
    products = matmul_seconds(t.model, int(np.median(tokens))) if is_fp32_on_cpu else {}
    updates, passes, lengths = [], [], []
    for number, timestamps in enumerate(stopwatch.updates[WARM_UP_UPDATES:], start=WARM_UP_UPDATES):
        update, sizes, real = _update_of(t, number, timestamps, clock)
        updates.append(update)
        passes += list(zip(sizes, _seconds_of_passes(timestamps, clock), strict=True))
        lengths += real
    model = t.accelerator.unwrap_model(t.model)
    ProcessMeasurements(
        process=process,
        hardware=hardware,
        device=device.type,
        precision=precision_name(t.accelerator.mixed_precision),
        updates=updates if is_hooked and clock.is_shared else [replace(update, ready=None) for update in updates],
        passes=passes,
        flops=training_flops(model.config, np.array(lengths), t.plan.layout.packed, t.recipe.loss.work),
        peaks=peaks,
        products=products,
        memory=memory,
        traced=PROFILED_UPDATES,
        operators=operators,
        trace=path.name,
        tokens=t.plan.layout.tokens,
        cuts=_cuts(t.plan, t.accelerator.num_processes),
    ).write(request.folder)


def count_tokens(batch: Batch) -> tuple[int, int]:
    """Real tokens of a micro-batch, and those that go through the model, padding included."""
    if "packing" in batch.inputs:
        return batch.inputs["packing"].real, batch.inputs["input_ids"].numel()
    mask = batch.inputs["attention_mask"]
    return int(mask.sum()), mask.numel()


def _train(t: Training, progress: Progress, observer: SpanObserver) -> None:
    with observe_spans(observer):
        try:
            train(t, progress)
        except MeasurementDone:
            return
    raise AssertionError("the training ended before enough of it was measured")


def _endless(t: Training, updates: int) -> Training:
    """The same training with updates enough and nothing between them."""
    recipe = t.recipe.model_copy(
        update={
            "evaluate": t.recipe.evaluate.model_copy(update={"every": _NEVER, "patience": None}),
            "checkpoint": t.recipe.checkpoint.model_copy(update={"every": _NEVER}),
        }
    )
    epochs = max(t.plan.epochs, updates // t.plan.updates_per_epoch + 2)
    return replace(t, recipe=recipe, plan=replace(t.plan, epochs=epochs, max_updates=None))


def _update_of(
    t: Training, number: int, timestamps: UpdateTimestamps, clock: DeviceClock
) -> tuple[Update, list[int], list[int]]:
    """An update as it ran; the padded tokens of each micro-batch; the length of each text."""
    processes = t.accelerator.num_processes
    mine = [part for _, part in share(t.plan.micro_batches(number, processes), t.accelerator.process_index, processes)]
    # Made once more: what the tensors say is what went through the model.
    tokens = [count_tokens(t.train.make(part)) for part in mine]
    examples = [example for part in mine for example in part.examples]
    parts = dict.fromkeys(PARTS, 0.0)
    for name, begun, ended in timestamps.parts:
        parts[name] += clock.elapsed(begun, ended)
    update = Update(
        seconds=clock.elapsed(timestamps.began, timestamps.ended),
        parts=parts,
        ready=timestamps.ready,
        examples=len(examples),
        # A process that only keeps step has a token that counts for nothing.
        real=sum(real for (real, _), part in zip(tokens, mine, strict=True) if part.examples),
        padded=sum(padded for _, padded in tokens),
        micro_batches=sum(bool(part.examples) for part in mine),
    )
    return update, [padded for _, padded in tokens], t.train.text_lengths(examples).tolist()


def _seconds_of_passes(timestamps: UpdateTimestamps, clock: DeviceClock) -> list[float]:
    """Of each micro-batch, the seconds of its forward and backward passes."""
    forward, backward = (
        [clock.elapsed(begun, ended) for name, begun, ended in timestamps.parts if name == part]
        for part in ("forward", "backward")
    )
    return [there + back for there, back in zip(forward, backward, strict=True)]


def _cuts(plan: Plan, processes: int) -> list[Cut]:
    """The plan's own cut, then what smaller micro-batches, more of them, and larger updates would make of it."""
    sizes = [plan.layout.tokens // 2**halvings for halvings in range(6)]
    plans = [
        ("train.micro_batch_tokens", size, replace(plan, layout=replace(plan.layout, tokens=size))) for size in sizes
    ]
    plans = [one for one in plans if one[1] >= plan.layout.longest]
    numbers = [processes * times for times in range(1, 5) if processes * times > plan.min_micro_batches]
    plans += [("train.min_micro_batches", least, replace(plan, min_micro_batches=least)) for least in numbers]
    double = 2 * plan.batch_size
    plans.append(("train.batch_size", double, replace(plan, batch_size=double)))
    found = [(key, value, other.micro_batch_stats(processes)) for key, value, other in plans]
    return [Cut(key, value, cut.padding, cut.micro_batches, cut.busy) for key, value, cut in found]


def _peak_memory(device: torch.device) -> int | None:
    """The most memory in use so far: on a GPU by torch, on a CPU by the whole process since its start."""
    if device.type != "cpu" or sys.platform == "win32":
        return peak_device_memory(device)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # bytes there, kB elsewhere
