"""All that the loop, and what it calls, works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator

from accel_cls.batching.batches import Batches
from accel_cls.batching.pair_batches import PairBatches
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.checkpoints.saving import Saver
from accel_cls.console import Console
from accel_cls.recipe import Recipe
from accel_cls.runs.artifacts import Artifacts
from accel_cls.stopping import Stopping
from accel_cls.training.averaging import Average
from accel_cls.training.non_finite import NonFiniteGuard
from accel_cls.training.objective import MicroBatchLoss, Objective
from accel_cls.training.trace import Trace
from accel_cls.training.unfreezing import Unfreezing

# Is told of each evaluation, on all processes, and of its scores on the main one; may end the training by raising.
Watch = Callable[[Progress, Mapping[str, float]], None]
Norm = torch.Tensor | float | None  # of a gradient; None where DeepSpeed keeps it to itself
# Makes an update as `loop.make_update` does, another way.
MakeUpdate = Callable[["Training", int, float], tuple[list[MicroBatchLoss], Norm]]


@dataclass(frozen=True)
class Training:
    """One training, as its parts."""

    recipe: Recipe
    plan: Plan
    accelerator: Accelerator
    model: torch.nn.Module  # as accelerate prepared it
    optimizer: torch.optim.Optimizer  # likewise
    objective: Objective
    train: Batches | PairBatches
    validation: Batches
    artifacts: Artifacts
    trace: Trace
    saver: Saver
    guard: NonFiniteGuard
    stopping: Stopping
    console: Console
    average: Average = field(default_factory=Average)
    unfreezing: Unfreezing = field(default_factory=Unfreezing)
    make_update: MakeUpdate | None = None  # in place of the loop's own
    watch: Watch | None = None
    before_evaluation: Callable[[], None] = lambda: None  # what it takes to make the model answer
