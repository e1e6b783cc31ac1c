"""The values that a trial may have: of each searched key a range of numbers, or some choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accel_cls.hardware.main_process import float_bits, float_of_bits
from accel_cls.recipe import Recipe, leaves
from accel_cls.recipe.rules.search import is_whole
from accel_cls.recipe.sections.search import Range
from accel_cls.recipe.source import to_yaml_line

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Values = Mapping[str, Any]  # by key: what one trial has


@dataclass(frozen=True)
class Axis:
    """The values of one key: numbers from `low` to `high`, or `choices`."""

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False  # whether only whole numbers
    choices: Sequence[Any] = ()

    @property
    def values(self) -> Sequence[Any]:
        """The choices, or the bounds."""
        return self.choices or (self.low, self.high)

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna import distributions

        if self.choices:
            return distributions.CategoricalDistribution([*self.choices])
        if self.whole:
            return distributions.IntDistribution(int(self.low), int(self.high), self.log)
        return distributions.FloatDistribution(self.low, self.high, self.log)

    def encode(self, value: Any) -> int:
        """A value as the whole number that other processes are told."""
        if self.choices:
            return next(at for at, one in enumerate(self.choices) if _is_same(one, value))
        return int(value) if self.whole else float_bits(value)

    def decode(self, number: int) -> Any:
        """The value again."""
        if self.choices:
            return self.choices[number]
        return number if self.whole else float_of_bits(number)

    def holds(self, value: Any) -> bool:
        """Whether it is one of the values."""
        if self.choices:
            return any(_is_same(one, value) for one in self.choices)
        wanted = int if self.whole else int | float
        return isinstance(value, wanted) and not isinstance(value, bool) and self.low <= value <= self.high

    def in_words(self) -> str:
        """For people: "1e-05 to 0.001, log", "16, 32, 64"."""
        if self.choices:
            return ", ".join(to_yaml_line(one) for one in self.choices)
        return f"{self.low:g} to {self.high:g}{', log' * self.log}{', whole' * self.whole}"


def axes_of(recipe: Recipe) -> list[Axis]:
    """The values of all keys that a recipe's `search` has, in its order."""
    assert recipe.search is not None
    return [
        Axis(key, given.low, given.high, given.log, is_whole(recipe, key, given.low, given.high))
        if isinstance(given, Range)
        else Axis(key, choices=given)
        for key, given in recipe.search.over.items()
    ]


def own_values(recipe: Recipe, axes: Sequence[Axis]) -> dict[str, Any] | None:
    """What the recipe itself has for the searched keys; None where the search does not hold one of them."""
    known = dict(leaves(recipe.model_dump()))
    values = {axis.key: known.get(axis.key) for axis in axes}
    return values if all(axis.holds(values[axis.key]) for axis in axes) else None


def in_words(values: Values) -> str:
    """A trial's values in short: "train.learning_rate=0.000234 train.epochs=3"."""
    return " ".join(f"{key}={short(value)}" for key, value in values.items())


def short(value: Any) -> str:
    """A value as a table shows it: of a fraction four digits."""
    return f"{value:.4g}" if isinstance(value, float) else to_yaml_line(value)


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other
