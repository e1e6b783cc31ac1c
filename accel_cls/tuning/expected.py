"""What train.learning_rate: auto will be, as far as that is known before a training."""

from __future__ import annotations

import os

from accel_cls.models.configuration import hidden_size_of
from accel_cls.recipe import Recipe
from accel_cls.recipe.keys import RATE
from accel_cls.recipe.sections.train import DEFAULT_RATE
from accel_cls.runs.folder import RunFolder
from accel_cls.tuning.axes import learning_rates
from accel_cls.tuning.record import found_for


def expected_rate(recipe: Recipe, data: str) -> tuple[float, str]:
    """The rate that a search has found, else the one in the middle of those that one would try; and which it is.

    Args:
        recipe: with `auto`.
        data: the corpus's digest.

    Raises:
        UserError: where the model's configuration can't be read.
    """
    if recipe.model.is_fitted:
        return DEFAULT_RATE, "which model.freeze does not use"
    folder = RunFolder(recipe.output)
    record = found_for(folder, recipe, data)
    if record is not None:
        return record.values[
            RATE
        ], f"found by the search in {min(os.path.relpath(folder.search), str(folder.search), key=len)}"
    rates = learning_rates(hidden_size_of(recipe.model.name))
    tried = ", ".join(f"{rate:g}" for rate in rates)
    why = f"if the search, which comes first and takes about as long as the training, finds no better of {tried}"
    return rates[len(rates) // 2], why
