"""The runs that a recipe with `repeat` stands for: each a recipe of its own, which can be trained alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from accel_cls.recipe import Recipe, with_values

_ALONE = {"repeat": None, "refit": False}


@dataclass(frozen=True)
class Repetition:
    """One of them."""

    name: str  # of its run folder, in the recipe's: "seed-43", "fold-2"
    recipe: Recipe


def repetitions_of(recipe: Recipe) -> list[Repetition]:
    """All runs, in order; of a recipe without `repeat` none.

    With seeds, the split stays the first one's: were other rows judged, scores would differ by the rows. With folds,
    only these differ.
    """
    repeat, data = recipe.repeat, recipe.data
    if repeat is None:
        return []
    split_seed = recipe.seed if data.split_seed is None else data.split_seed
    if repeat.seeds is not None:
        return [
            _repetition(recipe, f"seed-{seed}", {"seed": seed, "data.split_seed": split_seed})
            for seed in range(recipe.seed, recipe.seed + repeat.seeds)
        ]
    assert repeat.folds is not None
    return [
        _repetition(recipe, f"fold-{number}", {"data.fold": {"number": number, "of": repeat.folds}})
        for number in range(1, repeat.folds + 1)
    ]


def first_run_of(recipe: Recipe) -> Recipe:
    """What stands for all runs where data and plan are looked at: the first of them, in the recipe's own folder.

    A recipe without `repeat` is what it is.
    """
    runs = repetitions_of(recipe)
    return with_values(runs[0].recipe, {"output": recipe.output, "name": recipe.name}) if runs else recipe


def _repetition(recipe: Recipe, name: str, values: dict[str, Any]) -> Repetition:
    own = {"name": f"{recipe.name}, {name}", "output": os.path.join(recipe.output, name)} | _ALONE
    return Repetition(name, with_values(recipe, values | own))
