"""What no single key of the section `loss` can say: what a task or a model has not; idle settings."""

from __future__ import annotations

from collections.abc import Iterator

from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.sections.loss import FOCAL, GENERALIZED
from accel_cls.recipe.sections.model import Scratch

_Broken = Iterator[tuple[tuple[str, ...], str]]
_KINDS = {FOCAL: ("single_label", "multi_label"), GENERALIZED: ("single_label",)}


def broken_losses(recipe: Recipe) -> _Broken:
    """(key to blame, what is wrong and what to do) for each broken rule of what is minimized."""
    loss, task = recipe.loss, recipe.task
    if loss.logit_adjustment:
        yield from _broken_adjustment(recipe)
    if recipe.model.is_fitted:
        yield from _broken_when_frozen(recipe)
        return
    if task not in (tasks := _KINDS.get(loss.kind, (task,))):
        message = f"found {loss.kind!r} beside task: {task}; it is for {' and '.join(tasks)}: leave it out"
        yield ("loss", "kind"), message
    if loss.contrastive and task not in ("single_label", "ordinal"):
        message = f"found {loss.contrastive:g} beside task: {task}; texts are alike or not where each has one class"
        yield ("loss", "contrastive"), f"{message}: leave it out"
    if loss.r_drop and _dropout(recipe) == 0:
        message = f"found {loss.r_drop:g} beside a dropout of 0, with which both passes of a text are the same"
        yield ("loss", "r_drop"), f"{message}; set model.dropout, to 0.1 say, or leave this out"
    if loss.adversarial and recipe.model.name is None and _scratch(recipe).architecture == "ngrams":
        message = f"found {loss.adversarial!r} beside model.scratch.architecture: ngrams, whose tokens have no "
        yield ("loss", "adversarial"), f"{message}embeddings to move: leave it out, or take a bert"
    if recipe.train.sampling == "balanced":
        yield from _broken_sampling(recipe)


def _broken_adjustment(recipe: Recipe) -> _Broken:
    key, found = ("loss", "logit_adjustment"), f"found {recipe.loss.logit_adjustment:g} beside"
    if recipe.task != "single_label":
        yield key, f"{found} task: {recipe.task}; it is for texts that have one class each: leave it out"
    if isinstance(recipe.train.class_weights, str):
        message = f"{found} train.class_weights: {recipe.train.class_weights}: rare classes would be raised twice"
        yield key, f"{message}; leave one of the two out"
    if recipe.train.sampling == "balanced":
        message = f"{found} train.sampling: balanced, by which all classes are equally frequent already"
        yield key, f"{message}; leave one of the two out"
    if recipe.distill is not None:
        message = f"{found} distill, whose teacher answers with classes as frequent as they are"
        yield key, f"{message}; leave one of the two out"


def _broken_sampling(recipe: Recipe) -> _Broken:
    weights = recipe.train.class_weights
    if recipe.task == "regression":
        yield ("train", "sampling"), "found 'balanced' beside task: regression, which has no classes: leave it out"
    elif isinstance(weights, str):
        message = f"found 'balanced' beside train.class_weights: {weights}: rare classes would be raised twice"
        yield ("train", "sampling"), f"{message}; leave one of the two out"


def _broken_when_frozen(recipe: Recipe) -> _Broken:
    loss = recipe.loss
    found = {
        ("loss", "kind"): loss.kind != "cross_entropy",
        ("loss", "r_drop"): loss.r_drop > 0,
        ("loss", "contrastive"): loss.contrastive > 0,
        ("loss", "adversarial"): loss.adversarial is not None,
        ("train", "sampling"): recipe.train.sampling != "all",
    }
    message = "model.freeze fits the head to all training texts at once, by cross-entropy; leave one of the two out"
    return ((key, message) for key, is_there in found.items() if is_there)


def idle_losses(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Settings that are right but change nothing: (key, why it changes nothing, what to do) for each."""
    loss = recipe.loss
    needed = {
        "focal_gamma": (loss.kind == FOCAL, f"loss.kind: {FOCAL}"),
        "gce_q": (loss.kind == GENERALIZED, f"loss.kind: {GENERALIZED}"),
        "contrastive_temperature": (loss.contrastive > 0, "loss.contrastive"),
        "adversarial_size": (loss.adversarial is not None, "loss.adversarial"),
        "adversarial_steps": (loss.adversarial == "pgd", "loss.adversarial: pgd"),
    }
    for key, (is_used, by) in needed.items():
        if key in loss.model_fields_set and not is_used:
            yield ("loss", key), f"not used: it is for {by}", "remove it"
    if "effective_beta" in recipe.train.model_fields_set and recipe.train.class_weights != "effective":
        yield ("train", "effective_beta"), "not used: it is for train.class_weights: effective", "remove it"


def _scratch(recipe: Recipe) -> Scratch:
    return recipe.model.scratch or Scratch()


def _dropout(recipe: Recipe) -> float | None:
    """As far as the recipe says it; None for a pretrained model's own."""
    model = recipe.model
    return model.dropout if model.dropout is not None or model.name is not None else _scratch(recipe).dropout
