"""Evaluate while a training goes on: score the validation examples, keep the best model."""

from __future__ import annotations

import math

import torch

from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.evaluation.metrics.scores import is_about_as_good, is_better
from accel_cls.evaluation.predictions import Predictions, predict_examples
from accel_cls.hardware.main_process import decided_by_main
from accel_cls.training.averaging import Mean
from accel_cls.training.training import Training


def evaluate(t: Training, progress: Progress) -> tuple[bool, str | None]:
    """Score the validation examples, and keep the model where it is the best so far. Called by all processes.

    Returns:
        Whether it is; and what told the run to stop in between: then nothing was scored.
    """
    predictions = _predict(t)
    if isinstance(predictions, str):
        return False, predictions
    is_best = _score(t, predictions, progress)
    if is_best:
        t.artifacts.keep(t.accelerator, t.model, predictions)
    progress.evaluated = progress.update
    return is_best, None


def is_worth_trying(t: Training, progress: Progress, mean: Mean) -> bool:
    """Whether the start, where it is a part of a mean, is about as good as the best evaluation.

    Called by all processes.
    """
    if not mean.has_start:
        return True

    def decide() -> list[int]:
        t.artifacts.flush()
        key, best = t.artifacts.best_by, progress.best_score
        start = t.artifacts.folder.evaluations()[0]["evaluation"][key]
        is_close = best is not None and is_about_as_good(key, start, best)
        if best is not None and not is_close:
            t.console.note(f"{mean.told} is not tried: {key} was {start:.4f} there, and is {best:.4f} at the best")
        return [is_close]

    return bool(decided_by_main(t.accelerator, 1, decide)[0])


def evaluate_average(t: Training, progress: Progress, mean: Mean) -> str | None:
    """Score a model with averaged weights, and keep it where it is good enough beside the best evaluation, see `Mean`.

    Called by all processes. No evaluation of the training: it counts for neither patience nor the best checkpoint.

    Returns:
        What told the run to stop in between: then nothing was scored.
    """
    predictions = _predict(t)
    if isinstance(predictions, str):
        return predictions
    found = torch.zeros(1, device=t.accelerator.device)
    if t.accelerator.is_main_process:
        scores, key = t.artifacts.score(predictions), t.artifacts.best_by
        score, best = scores[key], progress.best_score
        is_kept = math.isfinite(score) and (best is None or _is_kept(mean, key, score, best))
        found += float(is_kept)
        epoch = progress.update / t.plan.updates_per_epoch
        t.artifacts.log({"update": progress.update, "epoch": epoch, **mean.facts, "scores": scores, "kept": is_kept})
        than = "none" if best is None else f"{best:.4f}"
        t.console.note(
            f"{mean.told} has {key} {score:.4f}, the best evaluation {than}: {'kept' if is_kept else 'not kept'}"
        )
    if bool(t.accelerator.reduce(found, "sum")):
        t.artifacts.keep(t.accelerator, t.model, predictions)
    return None


def _is_kept(mean: Mean, key: str, score: float, best: float) -> bool:
    return is_about_as_good(key, score, best) if mean.has_start else not is_better(key, best, score)


def _predict(t: Training) -> Predictions | str:
    """What a model says of the validation examples, or what told the run to stop."""
    t.console.set_state("evaluating …")
    return predict_examples(
        t.accelerator,
        t.model,
        t.validation,
        t.plan.layout,
        len(t.artifacts.classes),
        lambda: t.stopping.agree(t.accelerator, t.artifacts.folder.path)[0],
    )


def _score(t: Training, predictions: Predictions, progress: Progress) -> bool:
    """Compute the scores on rank 0 and compare them with the best; all processes get the result."""
    found = torch.zeros(2, device=t.accelerator.device)  # whether it is the best so far, and whether a gain
    if t.accelerator.is_main_process:
        scores = t.artifacts.score(predictions)
        score = scores[t.artifacts.best_by]
        is_best = is_better(t.artifacts.best_by, score, progress.best_score)
        is_gain = is_better(t.artifacts.best_by, score, progress.gain_score, t.artifacts.min_gain)
        progress.best_score = score if is_best else progress.best_score
        progress.gain_score = score if is_gain else progress.gain_score
        found += torch.tensor([is_best, is_gain], device=t.accelerator.device)
        epoch = progress.update / t.plan.updates_per_epoch
        t.artifacts.log({"update": progress.update, "epoch": epoch, "evaluation": scores, "best": is_best})
        t.console.evaluation(progress.update, epoch, scores, is_best)
        for name in (name for name, value in scores.items() if not abs(value) < float("inf")):
            t.console.note(f"{name} is {scores[name]}, no finite number, after update {progress.update}: not the best")
    is_best, is_gain = map(bool, t.accelerator.reduce(found, "sum").tolist())
    progress.best_update = progress.update if is_best else progress.best_update
    progress.evaluations_since_best = 0 if is_gain else progress.evaluations_since_best + 1
    return is_best
