"""DDP's buckets of gradients, in an order that does not depend on when a run was started.

torch's DistributedDataParallel sums gradients in buckets. It fills them in the order of the parameters at first, and
after the first backward pass anew, in the order in which gradients came. Where in a bucket a number lies decides in
which order the processes' summands are added, and of three or more that changes the last bit: a run that goes on would
have the first order where the uninterrupted one has the second.
"""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch.nn.parallel import DistributedDataParallel

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import share
from accel_cls.batching.pair_batches import PairBatches
from accel_cls.batching.plan import Plan
from accel_cls.devices.prepare import zero_gradients
from accel_cls.training.objective import Objective


def settle_buckets(
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    train: Batches | PairBatches,
    plan: Plan,
) -> None:
    """Make one backward pass that changes no weight, so that DDP has its final order before the first update.

    Called by all processes. Two summands have no order, and other ways to share a training no such buckets.

    Args:
        accelerator: the run's.
        model: as accelerate has prepared it.
        optimizer: likewise.
        objective: what is minimized.
        train: the training examples.
        plan: whose first update lends its first micro-batches.
    """
    processes = accelerator.num_processes
    if processes < 3 or not isinstance(model, DistributedDataParallel):
        return
    _, micro_batch = share(plan.micro_batches(0, processes), accelerator.process_index, processes)[0]
    model.train()
    losses = objective.losses(model, train.make(micro_batch))
    losses.sum().backward()  # not by the accelerator: nothing of it counts, nor for fp16's scaler
    zero_gradients(accelerator, optimizer)
