"""What no single key of the section `augment` can say."""

from __future__ import annotations

from collections.abc import Iterator

from accel_cls.recipe.schema import Recipe


def broken_augmentation(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    """(key to blame, what is wrong and what to do) for each broken rule of `augment`."""
    augment = recipe.augment
    if augment is None:
        return
    if recipe.model.is_fitted:
        message = "found it beside model.freeze, which fits the head to the texts as they are; leave one of them out"
        yield ("augment",), message
    if len(set(augment.edits)) < len(augment.edits):
        yield ("augment", "edits"), "found the same edit twice; expected each once"
