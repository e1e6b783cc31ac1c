"""What a recipe with `search` has to keep to: keys that can be searched for, values that they take."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from accel_cls.recipe.keys import RATE, all_keys, field_of
from accel_cls.recipe.schema import PATHS, Recipe
from accel_cls.recipe.sections.search import Number, Range
from accel_cls.recipe.values import with_values

Broken = list[tuple[tuple[str, ...], str]]  # the key to blame, what is wrong and what to do
Idle = list[tuple[tuple[str, ...], str, str]]  # a key, why it changes nothing, what to do

# Sections and keys whose values a search cannot choose among by a score: with other data or another measure scores do
# not compare, the best seed is chance, and the rest changes nothing that is learned.
_FIXED = {
    **dict.fromkeys(("data", "task"), "scores on other data, or of another task, do not compare"),
    **dict.fromkeys(("evaluate", "decide"), "it says how answers are judged, and that has to be the same for all"),
    "few_shot": "it says what is learned from, and scores from other examples do not compare",
    "seed": "the best of several seeds is chance; repeat.seeds tells how large that is",
    **dict.fromkeys(("name", "hardware", "output", "checkpoint", "repeat", "search"), "it changes nothing learned"),
}
_FIXED_IN_TRAIN = (
    *("deterministic", "kernels", "log_every", "max_updates", "micro_batch_tokens", "min_micro_batches"),
    *("non_finite", "packing", "trace", "trackers"),
)


def broken_search(
    recipe: Recipe, rules: Callable[[Recipe], Broken], idle_in: Callable[[Recipe], Idle]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with a recipe's `search`.

    Args:
        recipe: any.
        rules: what is wrong with a recipe, such as one that a trial has.
        idle_in: which of its settings change nothing.
    """
    if recipe.search is None:
        return
    if recipe.repeat is not None:
        message = "found it beside repeat; search first, then repeat with the best trial's recipe, best.yaml"
        yield ("search",), message
    if recipe.train.learning_rate == "auto":
        message = (
            f"found auto beside search; put {RATE} into search.over, such as {{from: 1e-5, to: 1e-3, log: true}}, and "
            "leave it out here"
        )
        yield ("train", "learning_rate"), message
        return  # what follows would be said of a recipe that is to be another one
    base = with_values(recipe, {"search": None, "repeat": None})
    if rules(base):
        return  # these come first
    for key, space in recipe.search.over.items():
        message = _why_not(key)
        if message:
            yield ("search", "over", key), message
        else:
            yield from _broken_space(base, key, space, rules, idle_in)


def _why_not(key: str) -> str:
    """Why a key can't be searched for; "" where it can."""
    if key not in all_keys():
        is_section = any(one.startswith(f"{key}.") for one in all_keys())
        able = [] if is_section else [one for one in all_keys() if not _why_not(one)]
        near = difflib.get_close_matches(key, able, n=1)
        hint = f"did you mean {near[0]}?" if near else "expected such as train.learning_rate or train.epochs"
        return f"a recipe has no such key that holds one value; {hint}"
    if tuple(key.split(".")) in PATHS:
        return "can't be searched for: it names a model or files; train a recipe for each, and see accel-cls compare"
    section, _, name = key.partition(".")
    if section in _FIXED:
        return f"can't be searched for: {_FIXED[section]}"
    if key == "augment.copies":
        return "can't be searched for: it changes how long an epoch is, and trials are compared by epochs"
    if section == "train" and name in _FIXED_IN_TRAIN:
        return "can't be searched for: it changes nothing that is learned, or ends all trials alike"
    return ""


def _broken_space(
    base: Recipe,
    key: str,
    space: Range | Sequence[Any],
    rules: Callable[[Recipe], Broken],
    idle_in: Callable[[Recipe], Idle],
) -> Iterator[tuple[tuple[str, ...], str]]:
    place = ("search", "over", key)
    if isinstance(space, Range):
        if not space.low < space.high:
            yield (*place, "to"), f"found {space.high:g}; expected more than `from`, which is {space.low:g}"
            return
        if space.log and space.low <= 0:
            yield (*place, "from"), f"found {space.low:g}; expected more than 0, where log is true: 0 has no logarithm"
            return
        values = {(*place, "from"): space.low, (*place, "to"): space.high}
    else:
        values = {(*place, str(at)): value for at, value in enumerate(space)}
        if len({repr(value) for value in space}) < len(space):
            yield place, "found the same value twice; expected different ones"
    for where, value in values.items():
        message = _why_not_value(base, key, value, rules, idle_in)
        if message:
            yield (where if isinstance(space, Range) else place), message


def _why_not_value(
    base: Recipe, key: str, value: Any, rules: Callable[[Recipe], Broken], idle_in: Callable[[Recipe], Idle]
) -> str:
    """Why a trial can't have a value; "" where it can."""
    if key.startswith("augment.") and base.augment is None:
        return "can't be searched for without a section augment, which says how many copies there are"
    try:
        trial = with_values(base, {key: value})
    except ValidationError as error:
        parts = key.split(".")
        others = [detail["loc"] for detail in error.errors() if [*detail["loc"][: len(parts)]] != parts]
        if others:  # the key's own section is not there, and has keys that have no default
            return f"can't be searched for without {'.'.join(map(str, others[0]))}, which the recipe does not give"
        extra = field_of(parts)[1].json_schema_extra
        why = f": {extra['why']}" if extra["why"] else ""
        return f"found {value!r}; expected {extra['expects']}{why}"
    if broken := rules(trial):
        where, message = broken[0]
        return f"found {value!r}, with which {'.'.join(where)} is wrong: {message}"
    idle = {".".join(where): why for where, why, _ in idle_in(trial)}
    return f"is {idle[key]}; there is nothing to search for" if key in idle else ""


def is_whole(recipe: Recipe, key: str, low: Number, high: Number) -> bool:
    """Whether a key takes whole numbers only between two bounds: these are, and what lies between two is not taken."""
    if not (isinstance(low, int) and isinstance(high, int)):
        return False
    try:
        with_values(recipe, {key: low + 0.5})
    except ValidationError:
        return True
    return False
