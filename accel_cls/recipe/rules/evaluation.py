"""Rules that span what a recipe says of evaluations and repetitions."""

from __future__ import annotations

from accel_cls.recipe.metrics import METRICS_OF, is_own
from accel_cls.recipe.schema import Recipe

_Broken = list[tuple[tuple[str, ...], str]]  # the key to blame, what is wrong and what to do


def broken_evaluation(recipe: Recipe) -> _Broken:
    """Metrics that the task has not, a best score that is not computed, patience that never runs out."""
    broken: _Broken = []
    metrics, best, known = recipe.evaluate.metrics, recipe.evaluate.best, METRICS_OF[recipe.task]
    if best != "loss" and best not in metrics:
        message = f"found {best!r}; expected 'loss' or one of evaluate.metrics, which are {', '.join(metrics)}"
        broken.append((("evaluate", "best"), message))
    patience, epochs = recipe.evaluate.patience, recipe.train.epochs
    if recipe.model.is_fitted:
        patience = None
    if patience is not None and recipe.evaluate.every == "end":
        message = f"found {patience} beside evaluate.every: end, which is one evaluation; leave one of them out"
        broken.append((("evaluate", "patience"), message))
    if patience is not None and recipe.evaluate.every == "epoch" and patience >= epochs:
        message = (
            f"found {patience}; expected less than train.epochs, which is {epochs}: with one evaluation an epoch, and "
            "the first always the best so far, the run would end before it could stop early"
        )
        broken.append((("evaluate", "patience"), message))
    for name in metrics:
        if name not in known and not is_own(name):
            message = f"found {name}, which {recipe.task} has not; with this task expected some of {', '.join(known)}"
            broken.append((("evaluate", "metrics"), message))
    if len(set(metrics)) < len(metrics):
        twice_named = next(name for name in metrics if metrics.count(name) > 1)
        broken.append((("evaluate", "metrics"), f"{twice_named!r} stands twice; expected each once"))
    return broken


def broken_repeats(recipe: Recipe) -> _Broken:
    """Several trainings by one command, and a part that is held out."""
    broken: _Broken = []
    repeat, fold = recipe.repeat, recipe.data.fold
    if repeat is not None and (repeat.seeds is None) == (repeat.folds is None):
        found = "neither" if repeat.seeds is None else "both"
        broken.append((("repeat",), f"found {found}; expected one of seeds and folds"))
    if repeat is not None and repeat.seeds is not None and recipe.seed + repeat.seeds > 2**32:
        message = f"found {repeat.seeds} from seed {recipe.seed} on; expected the last one to be 4294967295 at most"
        broken.append((("repeat", "seeds"), message))
    if fold is not None and fold.number > fold.of:
        broken.append(
            (("data", "fold", "number"), f"found {fold.number}; expected {fold.of} at most, as data.fold.of")
        )
    if fold is not None and repeat is not None and repeat.folds is not None:
        broken.append((("data", "fold"), "found it beside repeat.folds, which sets it for each run; leave it out"))
    if fold is not None or (repeat is not None and repeat.folds is not None):
        place = "repeat.folds" if fold is None else "data.fold"
        if not isinstance(recipe.data.validation, float):
            message = (
                f"found a source of its own beside {place}, with which a part of data.train is validated on; make it "
                "data.test, which all models are scored by at the end, or list it in data.train, and leave this out"
            )
            broken.append((("data", "validation"), message))
    return broken
