"""Find one's way in the schema: all keys, the section and field that a key names."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.section import Section
from accel_cls.recipe.sections.data import Hub

RATE = "train.learning_rate"  # which a search finds where it is `auto`


def all_keys(section: type[Section] = Recipe, above: str = "") -> list[str]:
    """Every key of a recipe that holds a value, in the order of the schema: "name", "train.epochs" …"""
    keys: list[str] = []
    for name, info in section.model_fields.items():
        inner = [found for found in sections_of(info.annotation) if found is not Hub]
        keys += all_keys(inner[0], f"{above}{name}.") if inner else [f"{above}{name}"]
    return keys


def sections_of(annotation: Any) -> list[type[Section]]:
    """The recipe sections that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation] if issubclass(annotation, Section) else []
    if is_union(annotation) or typing.get_origin(annotation) is typing.Annotated:
        return [section for arm in typing.get_args(annotation) for section in sections_of(arm)]
    return []


def values_of(annotation: Any) -> list[type[Section]]:
    """The sections that the values of a field may be which is a mapping with free keys."""
    return sections_of(typing.get_args(annotation)[1]) if typing.get_origin(annotation) is dict else []


def names_of(section: type[Section]) -> list[str]:
    """A section's keys, as recipes have them."""
    return [info.alias or name for name, info in section.model_fields.items()]


def field_of(key: Sequence[Any]) -> tuple[type[Section], Any]:
    """The innermost section that `key` leads into, and the field of it that `key` names (None for none)."""
    section: type[Section] = Recipe
    info = None
    for part in key:
        info = section.model_fields.get(part) if isinstance(part, str) else info
        inner = sections_of(info.annotation) if info is not None else []
        if not inner:
            break
        section = inner[0]
    return section, info


def choices_of(key: str) -> list[str]:
    """The values that a key takes where they are words: of enumerations, and true and false."""
    _, info = field_of(key.split("."))
    return [] if info is None or key not in all_keys() else _words(info.annotation)


def _words(annotation: Any) -> list[str]:
    if annotation is bool:
        return ["true", "false"]
    if typing.get_origin(annotation) is typing.Literal:
        return [choice for choice in typing.get_args(annotation) if isinstance(choice, str)]
    if is_union(annotation) or typing.get_origin(annotation) is typing.Annotated:
        return [word for arm in typing.get_args(annotation) for word in _words(arm)]
    return []


def is_union(annotation: Any) -> bool:
    """Whether a field takes values of several shapes."""
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)
