"""The training loop: one update after the other, in the order in which things happen."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.nn.functional import cross_entropy

from accel_cls.batches import Batches
from accel_cls.checkpoint import Progress, prune_checkpoints, save_checkpoint
from accel_cls.console import Console
from accel_cls.evaluation import Predictions, predict_examples
from accel_cls.hardware.prepare import is_xla, mark_step
from accel_cls.layout import share
from accel_cls.optimizer import clip_gradient, set_rate, take_step
from accel_cls.plan import Plan, is_due, seed_of
from accel_cls.recipe import Recipe
from accel_cls.results import Results
from accel_cls.soundness import Part, Watch
from accel_cls.spans import span, update_done
from accel_cls.trace import Trace


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
    console: Console


def train(t: Training, progress: Progress) -> None:
    """Train from where `progress` stands to the plan's last update, or until patience runs out."""
    recipe, plan, accelerator = t.recipe, t.plan, t.accelerator
    began = time.monotonic() - progress.seconds
    window = _Window(accelerator)
    watch = Watch(t, progress)
    patience = recipe.evaluate.patience or math.inf
    t.model.train()
    while progress.update < plan.updates and progress.evaluations_since_best < patience:
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
            progress.seconds = time.monotonic() - began
            record = window.close()
            t.results.log({"update": progress.update, "epoch": progress.update / plan.updates_per_epoch, **record})
            t.console.log(progress.update, record)

        is_best = False
        if is_due(recipe.evaluate.every, progress.update, plan):
            watch.look()
            is_best = evaluate(t, progress)
            window.restart()
        is_over = progress.evaluations_since_best >= patience
        if is_best or is_over or is_due(recipe.checkpoint.every, progress.update, plan):
            watch.look()
            progress.seconds = time.monotonic() - began
            save_checkpoint(accelerator, t.results.folder.checkpoints, progress)
            if accelerator.is_main_process:
                prune_checkpoints(t.results.folder.checkpoints, recipe.checkpoint.keep, progress.best_update)
            window.restart()
        update_done()
    t.trace.weights(accelerator, t.model)


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
        set_seed(seed_of(t.plan.seed, update, index))
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


def evaluate(t: Training, progress: Progress) -> bool:
    """Score the validation examples; keep the model where it is the best so far, and say whether it is."""
    accelerator = t.accelerator
    t.console.say("evaluating …")
    predictions = predict_examples(
        accelerator,
        t.model,
        t.validation,
        t.plan.layout,
        len(t.validation.class_weights),
    )
    is_best = _judge(t, predictions, progress)
    if is_best:
        t.results.keep(accelerator, t.model, predictions)
    return is_best


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


class _Window:
    """Mean loss and speed since the last line of the log; reads the device only when it is closed."""

    def __init__(self, accelerator: Accelerator):
        self._accelerator = accelerator
        self.restart()

    def restart(self) -> None:
        """Start the clock and the sums anew, as after an evaluation."""
        self._losses: list[torch.Tensor] = []
        self._updates = self._examples = 0
        self._began = time.monotonic()

    def add(self, parts: list[Part], examples: int, rate: float, norm: torch.Tensor | float | None) -> None:
        """Count an update: this process's micro-batches; the examples of all processes; rate and gradient's norm."""
        self._losses += [part.loss for part in parts]
        self._updates += 1
        self._examples += examples
        self._last = rate, norm

    @property
    def is_empty(self) -> bool:
        """Whether no update has been counted."""
        return not self._updates

    def close(self) -> dict[str, float]:
        """The window's line of the log, with rate and norm of its last update."""
        mine = torch.tensor(sum(loss.item() for loss in self._losses), device=self._accelerator.device)
        rate, norm = self._last
        record = {
            "loss": self._accelerator.reduce(mine, "sum").item() / self._updates,
            "learning_rate": rate,
            "grad_norm": float("nan") if norm is None else float(norm),
            "examples_per_second": self._examples / (time.monotonic() - self._began),
        }
        self.restart()
        return record
