"""What no single key can say of how a model is trained: choices that contradict each other, or that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Literal

from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.sections.average import Average
from accel_cls.recipe.sections.model import Scratch

_Key = tuple[str, ...]
# Of a model whose layers are asked for: the key, and whether the recipe has it.
_OF_LAYERS = {
    ("train", "layer_decay"): lambda recipe: recipe.train.layer_decay != 1,
    ("train", "unfreeze"): lambda recipe: recipe.train.unfreeze is not None,
    ("train", "gradient_checkpointing"): lambda recipe: recipe.train.gradient_checkpointing,
    ("model", "freeze"): lambda recipe: recipe.model.freeze is not None and not recipe.model.is_fitted,
    ("model", "lora"): lambda recipe: recipe.model.lora is not None,
}


def broken_training(recipe: Recipe) -> Iterator[tuple[_Key, str]]:
    """(key to blame, what is wrong and what to do) for each choice of a training that can't be made so."""
    if recipe.train.learning_rate == "auto" and recipe.train.max_updates is not None:
        message = (
            f"found {recipe.train.max_updates} beside train.learning_rate: auto, whose search is made for the whole "
            "schedule; leave it out, or give a rate (accel-cls tune finds one)"
        )
        yield ("train", "max_updates"), message
    yield from _broken_layers(recipe)
    yield from _broken_schedule(recipe)
    yield from _broken_average(recipe)


def _broken_layers(recipe: Recipe) -> Iterator[tuple[_Key, str]]:
    model, train = recipe.model, recipe.train
    if model.name is None and (model.scratch or Scratch()).architecture == "ngrams":
        for key, is_there in _OF_LAYERS.items():
            if is_there(recipe):
                yield key, "found beside a model of architecture ngrams, which has no layers; leave one of the two out"
    if model.freeze is not None and model.lora is not None:
        yield (
            ("model", "lora"),
            f"found beside model.freeze: {model.freeze}, but with adapters all else of the encoder is frozen; leave "
            "one of the two out",
        )
    if train.unfreeze is not None and (model.freeze is not None or model.lora is not None):
        other = "lora" if model.freeze is None else "freeze"
        what = "would be opened again" if other == "freeze" else "never opens"
        message = (
            f"found {train.unfreeze:g} beside model.{other}: what is frozen by it {what}; leave one of the two out"
        )
        yield ("train", "unfreeze"), message


def _broken_schedule(recipe: Recipe) -> Iterator[tuple[_Key, str]]:
    train = recipe.train
    if train.schedule == "inverse_sqrt" and not train.warmup:
        message = (
            "found 0 beside train.schedule: inverse_sqrt, which falls by the length of the warm-up; expected more, "
            "such as 0.1"
        )
        yield ("train", "warmup"), message
    if train.schedule == "wsd" and isinstance(train.warmup, float) and train.warmup + train.decay > 1:
        message = f"found {train.decay:g} beside train.warmup {train.warmup:g}; expected 1 together at most"
        yield ("train", "decay"), message


def _broken_average(recipe: Recipe) -> Iterator[tuple[_Key, str]]:
    average, epochs = recipe.average, recipe.train.epochs
    if average is None:
        return
    found = [key for key in ("ema", "last", "start") if getattr(average, key) is not None]
    if len(found) != 1:
        yield ("average",), f"found {' and '.join(found) or 'none'}; expected one of ema, last and start"
    elif average.start is not None and (recipe.model.name is None or recipe.train.head_init != "probe"):
        which = "a model that begins at random" if recipe.model.name is None else "a head that begins at random"
        message = f"found {average.start} beside {which}, which is nothing to go back to: leave it out"
        add = "" if recipe.model.name is None else ", or set train.head_init: probe"
        yield ("average", "start"), message + add
    elif (key := _compares_evaluations(average)) is not None and recipe.evaluate.every == "end":
        message = f"found {getattr(average, key)} beside evaluate.every: end, which is one evaluation"
        yield ("average", key), message
    elif average.last is not None and recipe.evaluate.every == "epoch" and average.last > epochs:
        message = (
            f"found {average.last}; expected train.epochs at most, which is {epochs}: there is an evaluation an epoch"
        )
        yield ("average", "last"), message


def _compares_evaluations(average: Average) -> Literal["last", "start"] | None:
    """The key that asks for several evaluations to go by, where one does."""
    if average.start == "auto":
        return "start"
    return None if average.last is None else "last"


def missing_adapters(recipe: Recipe) -> str | None:
    """What is wrong and what to do where a recipe asks for adapters, and peft is not installed; None else."""
    if recipe.model.lora is None or find_spec("peft") is not None:
        return None
    return "peft is not installed here: pip install peft, or leave it out"


def idle_in_training(recipe: Recipe) -> Iterator[tuple[_Key, str, str]]:
    """Settings of a training that change nothing: (key, why it changes nothing, what to do) for each."""
    for key, schedule in (("decay", "wsd"), ("power", "polynomial")):
        if key in recipe.train.model_fields_set and recipe.train.schedule != schedule:
            yield ("train", key), f"not used: it is for train.schedule: {schedule}", "remove it"
