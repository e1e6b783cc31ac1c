"""Rules of `refit`: what it can't stand beside, and what leaves it without an effect."""

from __future__ import annotations

from accel_cls.recipe.schema import Recipe


def broken_refit(recipe: Recipe) -> list[tuple[tuple[str, ...], str]]:
    """What evaluations decide about, which has none to go by then; promises that would be another model's."""
    if not recipe.is_refitted:
        return []
    broken = []
    if recipe.average is not None and recipe.average.last is not None:
        broken.append("average.last, which evaluations decide about; leave one of them out, or use average.ema")
    if recipe.decide is not None:
        broken.append(
            "decide, whose promises hold for a model that has not learned its validation rows; write refit: false, or "
            "leave out decide"
        )
    return [(("refit",), f"found true beside {why}") for why in broken]


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
