"""Run a model over examples, each exactly once, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout, MicroBatch, share
from accel_cls.devices.prepare import mark_step


@dataclass(frozen=True)
class Predictions:
    """What the model says of each example, in the examples' order, and what is true."""

    logits: np.ndarray  # float32 [examples, outputs]
    labels: np.ndarray  # [examples, ...]: the task's encoded labels


@torch.no_grad()
def forward(
    model: torch.nn.Module, batches: Batches, micro_batches: Iterable[MicroBatch]
) -> Generator[tuple[tuple[int, ...], torch.Tensor]]:
    """Run a model, in evaluation mode, over micro-batches; training and a finished model's predictions both do.

    Yields:
        The examples of each micro-batch, and their logits, float32 [R, outputs] on the device, fillers' after them.
    """
    was_training = model.training
    model.eval()
    try:
        for micro_batch in micro_batches:
            batch = batches.make(micro_batch)
            yield batch.examples, model(**batch.inputs).logits.float()
    finally:
        model.train(was_training)


def predict_examples(
    accelerator: Accelerator,
    model: torch.nn.Module,
    batches: Batches,
    layout: Layout,
    outputs: int,
    told_to_stop: Callable[[], str | None] = lambda: None,
) -> Predictions | str:
    """Run the model over all examples of `batches`, divided among the processes, and gather what it says.

    Args:
        layout: how examples become micro-batches.
        outputs: how many logits the model gives.
        told_to_stop: asked before each pass, equally often on every process, what ends this evaluation.

    Returns:
        The same predictions on every process; or what it was told.
    """
    count, processes = len(batches), accelerator.num_processes
    encoded = batches.encoded
    micro_batches = layout.to_micro_batches(np.arange(count), encoded.lengths, windows=encoded.windows)
    # Collectives need equal shapes everywhere, so each process fills up to the largest share; who holds
    # how many follows from the cut, so nobody has to ask.
    shares = [[part for _, part in share(micro_batches, process, processes)] for process in range(processes)]
    slots = max(sum(len(part.examples) for part in parts) for parts in shares)
    outputs_of = forward(model, batches, shares[accelerator.process_index])
    indices = np.full(slots, -1, np.int64)
    logits = np.zeros((slots, outputs), np.float32)
    found: list[tuple[tuple[int, ...], torch.Tensor]] = []
    for _ in range(max(map(len, shares))):
        cause = told_to_stop()
        if cause is not None:
            outputs_of.close()
            return cause
        found.extend(part for part in [next(outputs_of, None)] if part is not None)
        mark_step(accelerator)
    outputs_of.close()
    filled = 0
    for examples, values in found:
        rows = len(examples)
        # Cut on the host: on XLA each number of rows would be a program of its own.
        logits[filled : filled + rows] = values.cpu().numpy()[:rows]
        indices[filled : filled + rows] = examples
        filled += rows
    gathered_indices = accelerator.gather(torch.from_numpy(indices).to(accelerator.device)).cpu().numpy()
    gathered_logits = accelerator.gather(torch.from_numpy(logits).to(accelerator.device)).cpu().numpy()
    return Predictions(_in_order(gathered_indices, gathered_logits, count), batches.labels)


def _in_order(indices: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Values by index, proven to be there exactly once each; index -1 marks a filled-up slot."""
    real = indices >= 0
    times = np.bincount(indices[real], minlength=count)
    if len(times) != count or (times != 1).any():
        wrong = np.flatnonzero(times != 1)[:5].tolist()
        raise RuntimeError(f"evaluation: {real.sum()} rows came back for {count} examples; not exactly once: {wrong}")
    ordered = np.empty((count, *values.shape[1:]), values.dtype)
    ordered[indices[real]] = values[real]
    return ordered
