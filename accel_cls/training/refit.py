"""Train a recipe once more in the end, on its validation examples, too.

Until then they have said which model of the training is the best one, and what it is worth. A model that is trained
as long on all labelled examples is a little better still, and nobody can tell by how much but test rows: AutoGluon's
`refit_full`, scikit-learn's `refit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from shutil import rmtree
from typing import Any

from accelerate import Accelerator

from accel_cls.batching.pairs import count_examples
from accel_cls.batching.plan import count_updates
from accel_cls.data.corpus import Corpus, with_validation_learned
from accel_cls.hardware.main_process import decided_by_main, float_bits, float_of_bits
from accel_cls.recipe import Recipe, with_values
from accel_cls.runs.changes import RunSpec, changes_of
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.refitted import put_refitted
from accel_cls.training.fit import Fitted, Session, fit, open_on_main
from accel_cls.training.series import Series

# What a fit of the head alone has none of, and is refused beside it.
_OF_UPDATES: dict[str, Any] = {
    "model.lora": None,
    "train.unfreeze": None,
    "loss.kind": "cross_entropy",
    "loss.r_drop": 0.0,
    "loss.contrastive": 0.0,
    "loss.adversarial": None,
    "train.sampling": "all",
    "train.cuda_graphs": "auto",
    "average": None,
    "distill": None,
}


def refit(session: Session, corpus: Corpus, folder: RunFolder, fitted: Fitted) -> dict[str, Any]:
    """Train on all labelled examples, in a run folder inside the run's, and put that model in place of the best one.

    Called by all processes; a start that finds a part of it done goes on from there.

    Args:
        session: the run's; its model and optimizer have been let go.
        corpus: the run's.
        folder: the run's, with the best model.
        fitted: what came of the run's training.

    Returns:
        Of results.json: `examples`, `epoch`, `updates` and `seconds`; or `why_not`, where the best model stays.

    Raises:
        Stopped: where it was told to stop, and has saved what it has.
    """
    whole = with_validation_learned(corpus, fitted.recipe)
    inner = RunFolder(folder.refit)
    accelerator, ended = session.hardware.accelerator, list[Fitted]()
    share = _start_share(accelerator, folder)
    epoch = (fitted.progress.update if share else fitted.progress.best_update) / fitted.plan.updates_per_epoch
    recipe = refit_recipe(fitted, whole, inner, epoch, share)
    decided_by_main(accelerator, 0, lambda: _drop_another(inner, recipe, whole))
    told = f"on all {len(whole.train):,} labelled examples, up to where the best model was"
    session.console.section("refit", [("trains anew", told)])

    def work(inside: Session) -> None:
        start = open_on_main(inside, inner, recipe, whole)
        ended.append(fit(inside, recipe, whole, inner, start, []))

    series = Series(session, folder)
    with series.going_on(lambda: "the training; its refit is not"):
        diverged = series.train(inner, work, shows="progress")
    if diverged is not None or not ended[-1].progress.best_update:
        return {"why_not": f"it has diverged: {diverged or 'its last scores are no finite numbers'}"}

    def put() -> Sequence[int]:
        put_refitted(folder)
        return ()

    decided_by_main(accelerator, 0, put)
    [one] = ended
    return {
        "examples": len(whole.train),
        "epoch": epoch,
        "updates": 0 if one.recipe.model.is_fitted else one.progress.update,
        "seconds": round(one.progress.seconds, 1),
    }


def refit_recipe(fitted: Fitted, whole: Corpus, inner: RunFolder, epoch: float, start_share: float) -> Recipe:
    """The recipe of a refit: the run's, which ends where its best model was, at the same place of the same schedule.

    Args:
        fitted: what came of the run's training.
        whole: with validation examples to learn.
        inner: the refit's folder.
        epoch: where the best model was; 0 where it is the one before the first update.
        start_share: what `average.start: auto` has come to.
    """
    recipe = fitted.recipe
    own: dict[str, Any] = {"name": f"{recipe.name}, refit", "output": str(inner.path), "refit": False}
    own |= {"evaluate.every": "end", "evaluate.patience": None, "train.trackers": [], "checkpoint.keep": 1}
    if recipe.average is not None and recipe.average.start == "auto":
        own["average"] = {"start": start_share} if start_share else None
    if not epoch:  # a head that was fitted: what the refit does is to fit it
        own |= {"model.freeze": "encoder", **_OF_UPDATES}
    elif not recipe.model.is_fitted:
        per_epoch = count_updates(count_examples(recipe, whole), recipe.train.batch_size, 1)
        own["train.max_updates"] = max(1, round(epoch * per_epoch))
    return with_values(recipe, own)


def _start_share(accelerator: Accelerator, folder: RunFolder) -> float:
    """How much the weights before the first update count in the kept ones, as was tried at the end; 0: not at all.

    Called by all processes.
    """
    [bits] = decided_by_main(accelerator, 1, lambda: [float_bits(folder.start_share())])
    return float_of_bits(bits)


def _drop_another(inner: RunFolder, recipe: Recipe, whole: Corpus) -> Sequence[int]:
    """Delete what an earlier refit has left that ended elsewhere, or learned something else."""
    if inner.is_run:
        changes = changes_of(inner, RunSpec(recipe, whole.digest, count_examples(recipe, whole)))
        if changes.training or changes.end:
            rmtree(inner.path)
    return ()
