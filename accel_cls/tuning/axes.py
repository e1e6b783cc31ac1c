"""What a search varies: some keys of the recipe, and the values that each takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from pydantic import ValidationError

from accel_cls.errors import UserError
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.keys import RATE, field_of
from accel_cls.recipe.source import read_scalar

Values = Mapping[str, float]  # by key: one candidate
Axes = Mapping[str, Sequence[float]]  # by key: all values

EPOCHS = "train.epochs"
_SMALL = 512  # a pretrained encoder's hidden size up to which it stands, and needs, larger steps


def learning_rates(hidden: int | None) -> list[float]:
    """Five rates, each about three times the one before; in the middle what such models mostly want.

    Args:
        hidden: a pretrained encoder's hidden size; None for a model from nothing.
    """
    if hidden is None:
        return [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
    return [1e-5, 3e-5, 1e-4, 3e-4, 1e-3] if hidden <= _SMALL else [3e-6, 1e-5, 3e-5, 1e-4, 3e-4]


# The keys that a search can vary, and the values that each takes unless others are named; none: it stays as it is.
SEARCHED: dict[str, Callable[[int | None], Sequence[float]]] = {
    RATE: learning_rates,
    "train.head_rate": lambda hidden: (),
    EPOCHS: lambda hidden: (),
}


def axes_of(asked: Axes, hidden: int | None) -> dict[str, list[float]]:
    """All that a search varies: the values that were asked for, else those that go with the model."""
    found = {key: [*asked.get(key, usual(hidden))] for key, usual in SEARCHED.items()}
    return {key: values for key, values in found.items() if values}


def candidates_of(axes: Axes) -> list[dict[str, float]]:
    """Every combination of the axes' values, in the order in which they stand."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def wanted_axes(recipe: Recipe, tries: Sequence[str], is_search: bool) -> dict[str, list[float]]:
    """What a command line asks a search for, by key.

    Raises:
        UserError: for what a search can't try, and where no search is asked for or can be made for the recipe.
    """
    if tries and not is_search:
        raise UserError(f"--try: found {tries[0]!r}; expected it with --tune only")
    if is_search and recipe.model.is_fitted:
        raise UserError(
            f"model.freeze: found {recipe.model.freeze}: no rate is used, so that there is none to search for"
        )
    if is_search and recipe.train.max_updates is not None:
        raise UserError(
            f"train.max_updates: found {recipe.train.max_updates}, but the search is made for the whole schedule; "
            "leave it out, or write ~train.max_updates"
        )
    axes = parse_axes(tries, recipe)
    if is_search and RATE in axes and len(candidates_of(axes)) == 1:
        raise UserError(f"--try: found one candidate, {' '.join(tries)}; expected two or more to choose from")
    return axes


def parse_axes(texts: Sequence[str], recipe: Recipe) -> dict[str, list[float]]:
    """Parse what was asked for, such as `train.learning_rate=1e-4,3e-4`.

    Raises:
        UserError: where it names no key that can be searched, or a value that the key does not take.
    """
    axes: dict[str, list[float]] = {}
    for text in texts:
        key, equals, listed = text.partition("=")
        if key not in SEARCHED or not equals or key in axes:
            raise UserError(
                f"--try: found {text!r}; expected a key and its values, such as train.learning_rate=1e-4,3e-4, once "
                f"for each of {', '.join(SEARCHED)}"
            )
        values = [read_scalar(part.strip()) for part in listed.split(",")]
        for value in values:
            try:
                with_values(recipe, {key: value})
            except ValidationError:
                expects = field_of(key.split("."))[1].json_schema_extra["expects"]
                raise UserError(f"--try: {key}: found {value!r} in {text!r}; expected {expects}") from None
        if len(set(values)) < len(values) or not all(isinstance(value, int | float) for value in values):
            raise UserError(f"--try: {key}: found {listed!r}; expected different numbers")
        axes[key] = values
    return axes


def in_words(values: Values) -> str:
    """A candidate as overrides have it: `train.learning_rate=0.001`."""
    return " ".join(f"{key}={value!r}" for key, value in values.items())
