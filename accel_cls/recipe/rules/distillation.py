"""What no single key of the section `distill` can say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from accel_cls.recipe.schema import Recipe


def broken_distillation(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    """(key to blame, what is wrong and what to do) for each broken rule of `distill`."""
    distill = recipe.distill
    if distill is None:
        return
    if Path(distill.teacher) in (Path(recipe.output), Path(recipe.output) / "model"):
        message = "found the run's own output, which this training writes; name a finished run, or another output"
        yield ("distill", "teacher"), message
    if recipe.model.is_fitted:
        message = "found it beside model.freeze, which fits the head to labels, in one go; leave one of the two out"
        yield ("distill",), message
    if recipe.model.dropout_samples > 1:
        message = "found it beside model.dropout_samples, whose several answers a teacher has not"
        yield ("distill",), f"{message}; leave one of the two out"
    if distill.texts is not None:
        yield from _broken_without_labels(recipe)
    if distill.texts is not None and not distill.weight:
        message = "found them beside distill.weight 0, with which nothing is learned of texts without labels; leave "
        yield ("distill", "texts"), message + "them out, or give the teacher a weight"


def _broken_without_labels(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    """What looks at the classes of all texts that are learned."""
    if recipe.loss.contrastive:
        message = f"found {recipe.loss.contrastive:g} beside distill.texts, which have no labels"
        yield ("loss", "contrastive"), f"{message}; leave one of the two out"
    if recipe.train.sampling == "balanced":
        message = "found 'balanced' beside distill.texts, which have no classes; leave one of the two out"
        yield ("train", "sampling"), message


def idle_in_distillation(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is right but changes nothing; see `idle_settings`."""
    if recipe.task == "regression" and recipe.distill and "temperature" in recipe.distill.model_fields_set:
        yield ("distill", "temperature"), "not used: a number has no probabilities to soften", "remove it"
