"""What a command asks of a recipe that it was given."""

from __future__ import annotations

from accel_cls.errors import UserError
from accel_cls.recipe.schema import Recipe


def require_one_training(recipe: Recipe, who: str) -> None:
    """Raise UserError where a recipe is trained several times, for what looks at one training."""
    found = None
    if recipe.repeat is not None:
        found = ("repeat.seeds", recipe.repeat.seeds) if recipe.repeat.seeds else ("repeat.folds", recipe.repeat.folds)
    elif recipe.search is not None:
        found = ("search.trials", recipe.search.trials)
    if found is not None:
        key, count = found
        section = key.partition(".")[0]
        raise UserError(
            f"{key}: found {count}, so many trainings; {who} looks at one. Leave it out, as ~{section} does"
        )


def require_updates(recipe: Recipe) -> None:
    """Raise UserError where a recipe trains by no updates: for what measures or compares these."""
    if recipe.model.is_fitted:
        raise UserError(
            "model.freeze: found 'encoder', with which there are no updates to look at: the head is fitted in one go. "
            "Leave it out, as ~model.freeze does"
        )
