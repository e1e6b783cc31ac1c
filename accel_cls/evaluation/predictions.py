"""Score a model on examples, each exactly once, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout, share
from accel_cls.devices.prepare import mark_step


@dataclass(frozen=True)
class Predictions:
    """What the model says of each example, in the examples' order."""

    logits: np.ndarray  # float32 [examples, classes]
    labels: np.ndarray  # int64 [examples]: the true classes

    @property
    def classes(self) -> np.ndarray:
        """The predicted class ids, int64 [examples]."""
        return self.logits.argmax(1)

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax over the classes, float64 [examples, classes]."""
        shifted = self.logits.astype(np.float64) - self.logits.max(1, keepdims=True)
        exp = np.exp(shifted)
        return exp / exp.sum(1, keepdims=True)

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats, without class weights."""
        true = self.probabilities[np.arange(len(self.labels)), self.labels]
        return float(-np.log(np.maximum(true, np.finfo(np.float64).tiny)).mean())


@torch.no_grad()
def predict_examples(
    accelerator: Accelerator,
    model: torch.nn.Module,
    batches: Batches,
    layout: Layout,
    classes: int,
    told_to_stop: Callable[[], str | None] = lambda: None,
) -> Predictions | str:
    """Run the model over all examples of `batches`, divided among the processes, and gather what it says.

    Args:
        layout: how examples become micro-batches.
        classes: how many logits the model gives.
        told_to_stop: asked before each pass, equally often on every process, what ends this evaluation.

    Returns:
        The same predictions on every process; or what it was told.
    """
    count, processes = len(batches.labels), accelerator.num_processes
    micro_batches = layout.to_micro_batches(np.arange(count), batches.encoded.lengths)
    # Collectives need equal shapes everywhere, so each process fills up to the largest share; who holds
    # how many follows from the cut, so nobody has to ask.
    shares = [share(micro_batches, process, processes) for process in range(processes)]
    slots = max(sum(len(part.examples) for _, part in mine) for mine in shares)
    mine = [part for _, part in shares[accelerator.process_index]]
    model.eval()
    outputs = []
    cause = None
    for turn in range(max(map(len, shares))):
        cause = told_to_stop()
        if cause is not None:
            break
        if turn < len(mine):
            outputs.append(model(**batches.make(mine[turn]).inputs).logits.float())
            mark_step(accelerator)
    model.train()
    if cause is not None:
        return cause
    indices = np.full(slots, -1, np.int64)
    logits = np.zeros((slots, classes), np.float32)
    filled = 0
    for part, output in zip(mine, outputs, strict=True):
        rows = len(part.examples)
        # Cut on the host: on XLA each number of rows would be a program of its own.
        logits[filled : filled + rows] = output.cpu().numpy()[:rows]
        indices[filled : filled + rows] = part.examples
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
