"""The training loop: one update after the other, in the order in which things happen."""

from __future__ import annotations

import contextlib
import math

from accel_cls.batching.layout import share
from accel_cls.batching.plan import is_due, seed_of
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.devices.prepare import mark_step, seed_generators, zero_gradients
from accel_cls.stopping import Stopped
from accel_cls.training.evaluation import evaluate, evaluate_average, is_worth_trying
from accel_cls.training.log_window import LogWindow
from accel_cls.training.objective import MicroBatchLoss
from accel_cls.training.optimizer import clip_gradient, set_rate, take_step
from accel_cls.training.spans import span, update_done
from accel_cls.training.training import Norm, Training


def train(t: Training, progress: Progress) -> None:
    """Train from where `progress` stands to the plan's last update, or until patience runs out.

    Raises:
        Stopped: where the run was told to stop, and has saved what it has.
    """
    recipe, plan = t.recipe, t.plan
    window = LogWindow(t.accelerator, progress)
    t.model.train()
    if _is_evaluation_due(t, progress):  # the run was stopped before its evaluation, or in it; or begins with one
        after_update(t, progress, window)
    while progress.update < plan.updates and not _is_patience_over(t, progress):
        update = progress.update
        rate = plan.rate(progress.steps)
        losses, norm = (t.make_update or make_update)(t, update, rate)
        progress.update += 1
        t.trace.update(progress.update, rate, norm)
        if t.guard.counts(update, losses, rate, norm):
            window.add(losses, len(plan.examples(update)), rate, norm)
            t.average.add_update(progress.steps)
        t.console.advance(progress.update)

        is_log_due = progress.update % recipe.train.log_every == 0 or progress.update == plan.updates
        if is_log_due and not window.is_empty:
            t.guard.check_pending()
            record = window.close()
            t.artifacts.log({"update": progress.update, "epoch": progress.update / plan.updates_per_epoch, **record})
            t.console.log(progress.update, record)
        after_update(t, progress, window)
        update_done()
    _try_average(t, progress)
    t.saver.finish()
    t.trace.weights(t.accelerator, t.model)


def make_update(t: Training, update: int, rate: float) -> tuple[list[MicroBatchLoss], Norm]:
    """One update, counted from 0: forward and backward passes, then a step at this rate.

    Returns:
        This process's micro-batches; the gradient's norm before it was clipped, the same on all processes.
    """
    set_rate(t.optimizer, rate)
    losses = accumulate_gradient(t, update)
    t.unfreezing.drop_closed(update)
    with span("optimizer"):
        norm = clip_gradient(t.accelerator, t.model, t.optimizer, t.recipe.train.max_grad_norm or math.inf)
        take_step(t.accelerator, t.optimizer, norm)
        zero_gradients(t.accelerator, t.optimizer)
    mark_step(t.accelerator)
    return losses, norm


def accumulate_gradient(t: Training, update: int) -> list[MicroBatchLoss]:
    """Forward and backward passes of this process's micro-batches of an update.

    The gradient becomes the sum of the per-example losses of the whole update, divided by the update's
    global weight, on every process; where a loss is not finite, neither is the gradient. Returns this
    process's micro-batches: the losses of all processes sum to the update's loss.
    """
    accelerator, processes = t.accelerator, t.accelerator.num_processes
    with span("data"):
        micro_batches = t.plan.micro_batches(update, processes)
        mine = share(micro_batches, accelerator.process_index, processes)
        weight = t.objective.weight(t.plan.examples(update))
    done = []
    for step, (index, micro_batch) in enumerate(mine):
        is_last = step == len(mine) - 1
        with span("data"):
            batch = t.train.make(micro_batch, update)
        # Dropout's draws depend on the place in the training alone: not on what ran before, nor where.
        seed_generators(accelerator.device, seed_of(t.plan.seed, update, index))
        # DeepSpeed reads this flag to see which backward pass ends the update.
        accelerator.sync_gradients = is_last
        with contextlib.nullcontext() if is_last else accelerator.no_sync(t.model):
            with span("forward"):
                losses = t.objective.losses(t.model, batch)
                loss = (losses * batch.mask).sum() / weight
            with span("backward"):
                # Processes average their gradients; times their number, the average is the sum. An infinite loss can
                # have a finite gradient: 0 * inf is nan, and makes all processes see it in the gradient's norm.
                accelerator.backward(loss * (processes + 0 * loss.detach()))
        done.append(MicroBatchLoss(batch.examples, losses.detach(), loss.detach()))
        t.trace.micro_batch(index, micro_batch, done[-1].loss)
        mark_step(accelerator)
    return done


def after_update(t: Training, progress: Progress, window: LogWindow) -> None:
    """Evaluate, save, stop, each where it is due."""
    every, minutes = t.recipe.checkpoint.every, t.recipe.checkpoint.minutes or math.inf
    is_long_ago = t.saver.minutes_since_last() >= minutes
    cause, is_long_ago = t.stopping.agree(t.accelerator, t.artifacts.folder.path, is_long_ago)
    is_best = False
    if cause is None and _is_evaluation_due(t, progress):
        t.guard.check_pending()
        with window.paused(), t.average.judged():
            t.before_evaluation()
            is_best, cause = evaluate(t, progress)
            if t.watch is not None and cause is None:
                window.synchronize()
                t.watch(progress, t.artifacts.scores)  # before the checkpoint: what it says is made again, or known
        if cause is None:
            t.average.add_evaluation()
    is_new = progress.update > t.saver.update  # else a checkpoint has it already
    is_over = _is_patience_over(t, progress)
    is_wanted = is_best or is_long_ago or is_over or is_due(every, progress.update, t.plan)
    # Before the first update there is nothing to go on from.
    if progress.update and (is_wanted or (cause is not None and is_new)):
        t.guard.check_pending()
        with window.paused():
            window.synchronize()
            t.saver.save(t.model, t.optimizer, t.artifacts.flush)
    if cause is not None:
        t.saver.finish()
        raise Stopped(cause)


def _try_average(t: Training, progress: Progress) -> None:
    """Judge the mean that is made at the end where there is one, and perhaps keep it."""
    mean = t.average.at_end()
    if mean is None or not is_worth_trying(t, progress, mean):
        return
    with mean.in_place():
        cause = evaluate_average(t, progress, mean)
    if cause is not None:
        t.saver.finish()
        raise Stopped(cause)


def _is_patience_over(t: Training, progress: Progress) -> bool:
    return progress.evaluations_since_best >= (t.recipe.evaluate.patience or math.inf)


def _is_evaluation_due(t: Training, progress: Progress) -> bool:
    return progress.evaluated < progress.update and is_due(t.recipe.evaluate.every, progress.update, t.plan)
