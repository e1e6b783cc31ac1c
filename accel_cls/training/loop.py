"""The training loop: one update after the other, in the order in which things happen."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch.nn.functional import cross_entropy

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import share
from accel_cls.batching.plan import Plan, is_due, seed_of
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.checkpoints.saving import Saver
from accel_cls.console import Console
from accel_cls.devices.prepare import is_xla, mark_step, seed_generators
from accel_cls.evaluation.predictions import Predictions, predict_examples
from accel_cls.recipe import Recipe
from accel_cls.runs.artifacts import Results
from accel_cls.stopping import Stopped, Stopping
from accel_cls.training.log_window import Window
from accel_cls.training.non_finite import Part, Watch
from accel_cls.training.optimizer import clip_gradient, set_rate, take_step
from accel_cls.training.spans import span, update_done
from accel_cls.training.trace import Trace


@dataclass(frozen=True)
class Training:
    """All that the loop works with."""

    recipe: Recipe
    plan: Plan
    accelerator: Accelerator
    model: torch.nn.Module  # as accelerate prepared it
    optimizer: torch.optim.Optimizer  # likewise
    train: Batches
    validation: Batches
    results: Results
    trace: Trace
    saver: Saver
    stopping: Stopping
    console: Console


def train(t: Training, progress: Progress) -> None:
    """Train from where `progress` stands to the plan's last update, or until patience runs out.

    Raises:
        Stopped: where the run was told to stop, and has saved what it has.
    """
    recipe, plan, accelerator = t.recipe, t.plan, t.accelerator
    window = Window(accelerator, progress)
    watch = Watch(t, progress)
    t.model.train()
    if _is_unjudged(t, progress):  # the run was stopped before its evaluation, or in it
        settle(t, progress, window, watch)
    while progress.update < plan.updates and not _is_over(t, progress):
        update = progress.update
        rate = plan.rate(progress.steps)
        set_rate(t.optimizer, rate)
        parts = accumulate_gradient(t, update)
        with span("optimizer"):
            norm = clip_gradient(accelerator, t.model, t.optimizer, recipe.train.max_grad_norm or math.inf)
            take_step(accelerator, t.optimizer, norm)
            # On XLA a first gradient and one that is added to it would be two programs.
            t.optimizer.zero_grad(set_to_none=not is_xla(accelerator))
        mark_step(accelerator)
        progress.update += 1
        t.trace.update(progress.update, rate, norm)
        if watch.is_sound(update, parts, rate, norm):
            window.add(parts, len(plan.examples(update)), rate, norm)
        t.console.advance(progress.update)

        is_log_due = progress.update % recipe.train.log_every == 0 or progress.update == plan.updates
        if is_log_due and not window.is_empty:
            watch.look()
            record = window.close()
            t.results.log({"update": progress.update, "epoch": progress.update / plan.updates_per_epoch, **record})
            t.console.log(progress.update, record)
        settle(t, progress, window, watch)
        update_done()
    t.saver.finish()
    t.trace.weights(accelerator, t.model)


def settle(t: Training, progress: Progress, window: Window, watch: Watch) -> None:
    """What follows on an update: evaluate, save, stop, each where it is due."""
    every, minutes = t.recipe.checkpoint.every, t.recipe.checkpoint.minutes or math.inf
    is_long_ago = t.saver.minutes_since_last() >= minutes
    told, is_long_ago = t.stopping.agree(t.accelerator, t.results.folder.path, is_long_ago)
    is_best = False
    if told is None and _is_unjudged(t, progress):
        watch.look()
        with window.paused():
            is_best, told = evaluate(t, progress)
    is_new = progress.update > t.saver.update  # else a checkpoint has it already
    is_wanted = is_best or is_long_ago or _is_over(t, progress) or is_due(every, progress.update, t.plan)
    if is_wanted or (told is not None and is_new):
        watch.look()
        with window.paused():
            window.settle()
            t.saver.save(t.model, t.optimizer, t.results.flush)
    if told is not None:
        t.saver.finish()
        raise Stopped(told)


def _is_over(t: Training, progress: Progress) -> bool:
    """Whether patience has run out."""
    return progress.evaluations_since_best >= (t.recipe.evaluate.patience or math.inf)


def _is_unjudged(t: Training, progress: Progress) -> bool:
    return progress.evaluated < progress.update and is_due(t.recipe.evaluate.every, progress.update, t.plan)


def accumulate_gradient(t: Training, update: int) -> list[Part]:
    """Forward and backward passes of this process's micro-batches of an update.

    The gradient becomes the sum of the per-example losses of the whole update, divided by the update's
    global weight, on every process; where a loss is no finite number, so is the gradient. Returns this
    process's micro-batches: the losses of all processes sum to the update's loss.
    """
    accelerator, processes = t.accelerator, t.accelerator.num_processes
    with span("data"):
        micro_batches = t.plan.micro_batches(update, processes)
        mine = share(micro_batches, accelerator.process_index, processes)
        weight = t.train.weight(t.plan.examples(update))
    smoothing = t.recipe.train.label_smoothing
    parts = []
    for step, (index, micro_batch) in enumerate(mine):
        is_last = step == len(mine) - 1
        with span("data"):
            batch = t.train.make(micro_batch)
        # Dropout's draws depend on the place in the training alone: not on what ran before, nor where.
        seed_generators(accelerator.device, seed_of(t.plan.seed, update, index))
        # DeepSpeed reads this flag to see which backward pass ends the update.
        accelerator.sync_gradients = is_last
        with contextlib.nullcontext() if is_last else accelerator.no_sync(t.model):
            with span("forward"):
                logits = t.model(**batch.inputs).logits.float()
                losses = cross_entropy(logits, batch.labels, reduction="none", label_smoothing=smoothing)
                loss = (losses * batch.weights).sum() / weight
            with span("backward"):
                # Processes average their gradients; times their number, the average is the sum. An infinite loss can
                # have a finite gradient: 0 * inf is nan, and makes all processes see it in the gradient's norm.
                accelerator.backward(loss * (processes + 0 * loss.detach()))
        parts.append(Part(micro_batch.examples, losses.detach(), loss.detach()))
        t.trace.micro_batch(index, micro_batch, parts[-1].loss)
        mark_step(accelerator)
    return parts


def evaluate(t: Training, progress: Progress) -> tuple[bool, str | None]:
    """Score the validation examples, and keep the model where it is the best so far.

    Returns:
        Whether it is; and what told the run to stop in between: then nothing was scored.
    """
    accelerator, folder = t.accelerator, t.results.folder.path
    t.console.say("evaluating …")
    predictions = predict_examples(
        accelerator,
        t.model,
        t.validation,
        t.plan.layout,
        len(t.validation.class_weights),
        lambda: t.stopping.agree(accelerator, folder)[0],
    )
    if isinstance(predictions, str):
        return False, predictions
    is_best = _judge(t, predictions, progress)
    if is_best:
        t.results.keep(accelerator, t.model, predictions)
    progress.evaluated = progress.update
    return is_best, None


def _judge(t: Training, predictions: Predictions, progress: Progress) -> bool:
    """Compute the scores on the main process, compare them with the best; all processes learn the verdict."""
    recipe, accelerator = t.recipe, t.accelerator
    verdict = torch.zeros(1, device=accelerator.device)
    if accelerator.is_main_process:
        scores = t.results.score(predictions, recipe.evaluate.metrics)
        score = scores[recipe.evaluate.best]
        best = progress.best_score
        is_best = best is None or (score < best if recipe.evaluate.best == "loss" else score > best)
        if is_best:
            progress.best_score = score
        verdict += float(is_best)
        epoch = progress.update / t.plan.updates_per_epoch
        t.results.log({"update": progress.update, "epoch": epoch, "evaluation": scores, "best": is_best})
        t.console.evaluation(progress.update, epoch, scores, is_best)
    is_best = bool(accelerator.reduce(verdict, "sum").item())
    progress.best_update = progress.update if is_best else progress.best_update
    progress.evaluations_since_best = 0 if is_best else progress.evaluations_since_best + 1
    return is_best
