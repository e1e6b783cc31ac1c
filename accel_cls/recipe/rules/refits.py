"""Rules of `refit`: what it can't stand beside, and what leaves it without an effect."""

from __future__ import annotations

from accel_cls.recipe.schema import Recipe


def broken_refit(recipe: Recipe) -> list[tuple[tuple[str, ...], str]]:
    """Evaluations decide about something that a training without them could not repeat."""
    if not recipe.is_refitted or recipe.average is None or recipe.average.last is None:
        return []
    why = "found true beside average.last, which evaluations decide about; leave one of them out, or use average.ema"
    return [(("refit",), why)]


def idle_refit(recipe: Recipe) -> list[tuple[tuple[str, ...], str, str]]:
    """Where several trainings are compared, or few examples are looked at."""
    if not recipe.refit or recipe.is_refitted:
        return []
    if recipe.repeat is not None:
        why = "not used, since no model of those that repeat trains is chosen"
    elif recipe.search is not None:
        why = "not used by the trials of a search, which are compared by the validation examples; best.yaml has it"
    elif recipe.data.fold is not None:
        why = "not used, since data.fold makes it one of several trainings that are compared"
    else:
        why = "not used, since few_shot.examples leaves other labelled texts unlearned"
    return [(("refit",), why, "remove it, or write refit: false")]
