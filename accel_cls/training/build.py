"""What the loop works with, made of what is trained and of where it runs."""

from __future__ import annotations

import functools

import torch
from accelerate import Accelerator

from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.checkpoints.saving import Saver
from accel_cls.console import Console
from accel_cls.devices.prepare import is_xla
from accel_cls.memory.forecast import averaged_copies
from accel_cls.memory.search import Search, find_micro_batch_tokens
from accel_cls.memory.sizes import MicroBatchSizes, with_micro_batch_tokens
from accel_cls.recipe import Recipe
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.tracking import Tracking
from accel_cls.stopping import Stopping
from accel_cls.training.averaging import Average
from accel_cls.training.inputs import Inputs
from accel_cls.training.non_finite import NonFiniteGuard
from accel_cls.training.trace import Trace
from accel_cls.training.training import Training
from accel_cls.training.unfreezing import Unfreezing


def resolve_micro_batch_tokens(
    recipe: Recipe, inputs: Inputs, accelerator: Accelerator, known: int | None, notes: list[str]
) -> tuple[Recipe, MicroBatchSizes, str | None]:
    """Find the number that `train.micro_batch_tokens: auto` stands for. Called by all processes.

    Args:
        known: the number with which the run began, where it goes on.

    Returns:
        The recipe with a number; the sizes that come into question; what the number is remembered under, None where
        the recipe has named one.

    Raises:
        UserError: where not even the smallest micro-batch fits.
    """
    sizes = MicroBatchSizes.of(recipe, inputs.texts.learned.lengths, is_xla(accelerator), inputs.texts.learned.windows)
    if recipe.train.micro_batch_tokens != "auto":
        return recipe, sizes, None
    outline = functools.partial(inputs.outline, recipe)
    batches = inputs.learned_batches(accelerator.device)
    copies = averaged_copies(recipe, accelerator.device)
    search = Search.of(accelerator, sizes, inputs.model, outline, batches, copies)
    tokens = known or find_micro_batch_tokens(search, notes)
    return with_micro_batch_tokens(recipe, tokens), sizes, search.key


def build_training(
    recipe: Recipe,
    plan: Plan,
    inputs: Inputs,
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    average: Average,
    unfreezing: Unfreezing,
    folder: RunFolder,
    stopping: Stopping,
    console: Console,
) -> Training:
    """What the loop works with; model and optimizer as accelerate has prepared them.

    Raises:
        UserError: where the recipe wants what the hardware can't do.
    """
    corpus, fixed = inputs.corpus, plan.layout.tokens if is_xla(accelerator) else None
    artifacts = inputs.artifacts(folder, recipe, Tracking(accelerator, folder, recipe), accelerator.is_main_process)
    saver = Saver(accelerator, folder.checkpoints, recipe.checkpoint.keep, console, progress, average.tensors)
    policy, rows = recipe.train.non_finite, inputs.learned_rows()
    return Training(
        recipe,
        plan,
        accelerator,
        model,
        optimizer,
        inputs.objective(recipe),
        inputs.update_batches(accelerator.device, fixed, plan.batch_size),
        inputs.batches(inputs.texts.validation, corpus.validation, accelerator.device, fixed),
        artifacts,
        Trace(folder.trace if recipe.train.trace else None, accelerator.process_index),
        saver,
        NonFiniteGuard(policy, accelerator, optimizer, plan, rows, progress, artifacts, saver, console),
        stopping,
        console,
        average,
        unfreezing,
    )
