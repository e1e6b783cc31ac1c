"""A recipe with other values under some of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accel_cls.recipe.schema import Recipe


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """A recipe with other values under some dotted keys, each checked by itself.

    Raises:
        ValidationError: pydantic's, for a value that its key does not take.
    """
    plain = recipe.model_dump(exclude_unset=True)
    for key, value in values.items():
        *sections, name = key.split(".")
        section = plain
        for part in sections:
            section = section.setdefault(part, {})
        section[name] = value
    return Recipe.model_validate(plain)
