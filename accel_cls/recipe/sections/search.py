"""The recipe's section `search`: which values are searched for, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from accel_cls.recipe.section import Section, setting

Number = int | float
Choice = bool | int | float | str


class Range(Section):
    """Numbers from one bound to another, both included."""

    model_config = ConfigDict(serialize_by_alias=True)

    low: Number = setting(..., "a number that the key takes", "the lowest value", alias="from")
    high: Number = setting(..., "a number that the key takes, above `from`", "the highest value", alias="to")
    log: bool = setting(
        False,
        "true or false",
        "draw the value's logarithm evenly, as is right for rates, where 1e-5 is as far from 1e-4 as that from 1e-3",
    )


Choices = Annotated[list[Choice], Field(min_length=2)]


class Search(Section):
    """Search for values of other keys by Optuna: trials one after the other, the best of which is the result.

    docs/craft.md says how, and what the best trial's score is worth.
    """

    trials: int = setting(
        20,
        "a whole number from 2 to 1000",
        "how many trials, interrupted, pruned and diverged ones included; with more of them a finished search goes on",
        "of one there is nothing to choose",
        ge=2,
        le=1000,
    )
    over: Annotated[dict[str, Range | Choices], Field(min_length=1)] = setting(
        ...,
        "keys of the recipe, each with {from: 1e-5, to: 1e-3, log: true} or a list of two values or more",
        "the keys that a trial has its own values of, and the values that these may have",
        "without a key there is nothing to search for",
    )
    pruner: Literal["median", "hyperband", "none"] = setting(
        "median",
        "'median', 'hyperband' or 'none'",
        "which trials end early, by their score on the validation rows: those that are worse than the median of the "
        "trials before at the same place; by successive halving with several budgets (Li et al. 2018); or none",
    )
