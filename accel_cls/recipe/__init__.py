"""Recipes: read, merge, override, check, write. Imports neither torch nor anything else that is slow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from accel_cls.profiles import profile_names
from accel_cls.recipe.errors import Origin, Problem, RecipeError
from accel_cls.recipe.keys import sections_of
from accel_cls.recipe.messages import explain_errors
from accel_cls.recipe.places import is_path, missing_folders
from accel_cls.recipe.rules import broken_rules
from accel_cls.recipe.rules.training import missing_adapters
from accel_cls.recipe.schema import PATHS, Recipe
from accel_cls.recipe.section import Section
from accel_cls.recipe.sections.data import Hub
from accel_cls.recipe.source import Node, leaves, merge, origin_of, read_chain, read_override, read_plain, to_yaml
from accel_cls.recipe.trackers import missing_trackers
from accel_cls.recipe.values import with_values

__all__ = [
    "Hub",
    "Origin",
    "Problem",
    "Recipe",
    "RecipeError",
    "leaves",
    "load_recipe",
    "load_to_train",
    "read_plain",
    "recipe_to_plain",
    "recipe_to_yaml",
    "resolve_recipe",
    "with_values",
]

Key = tuple[Any, ...]


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in `path`, with what it extends and the `key=value` overrides merged in and checked.

    Raises:
        RecipeError: with every mistake found, each with its file, line and column or its override.
    """
    return resolve_recipe(path, overrides)[0]


def load_to_train(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """As `load_recipe`, for a command that reads what the recipe names.

    Raises:
        RecipeError: also where a folder is not there that it names by its path, or a tracker or peft is not installed.
    """
    recipe, tree = resolve_recipe(path, overrides)
    missing = missing_folders(recipe)
    if (lacking := missing_trackers(recipe.train.trackers)) is not None:
        missing.append((("train", "trackers"), lacking))
    if (lacking := missing_adapters(recipe)) is not None:
        missing.append((("model", "lora"), lacking))
    if missing:
        raise RecipeError([Problem(origin_of(tree, key), ".".join(key), message) for key, message in missing])
    return recipe


def resolve_recipe(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Recipe, Node]:
    """As `load_recipe`, and the tree that it was made from, whose nodes know where each value was written."""
    problems: list[Problem] = []
    tree = read_chain(_expanded(path), problems)
    has_gaps = any(p.key == "extends" or tree is None or p.origin.source != tree.origin.source for p in problems)
    for text in overrides:
        override = read_override(text, problems)
        if tree is not None and override is not None:
            tree = merge(tree, override)
    if tree is None:
        raise RecipeError(problems)
    _check_keys(tree, [Recipe], "", problems)
    for key in PATHS:
        _resolve_path(tree, key)
    try:
        recipe = Recipe.model_validate(tree.plain())
    except ValidationError as error:
        problems.extend(explain_errors(error, tree, has_gaps))
    else:
        problems.extend(Problem(origin_of(tree, key), ".".join(key), message) for key, message in broken_rules(recipe))
    if problems:
        problems = list(dict.fromkeys(problems))
        raise RecipeError(sorted(problems, key=lambda p: (p.origin.source, p.origin.line or 0, p.origin.column or 0)))
    return recipe, tree


def recipe_to_plain(recipe: Recipe) -> dict[str, Any]:
    """Every value of the recipe, those that defaults decided included, as plain Python values."""
    plain = recipe.model_dump(mode="python", exclude_none=True)
    if recipe.model.name is not None:
        plain["model"].pop("scratch", None)
    return plain


def recipe_to_yaml(recipe: Recipe) -> str:
    """The same as YAML that `load_recipe` and `read_plain` read."""
    return to_yaml(recipe_to_plain(recipe))


def _expanded(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user
        return Path(path)


def _check_keys(node: Node, sections: list[type[Section]], path: str, problems: list[Problem]) -> None:
    """Refuse keys that are no texts, and reset what is null to its default by leaving it out.

    An unknown key stays, null or not, so that it is reported. Where no section says which keys there are,
    as in `data.labels`, keys may be anything.
    """
    for key, value in list(node.value.items()):
        inner = f"{path}.{key}" if path else str(key)
        if sections and not isinstance(key, str):
            shown = {"True": "true", "False": "false", "None": "null"}.get(str(key), key)
            problems.append(Problem(node.key_origins[key], path, f"found the key {shown}; expected a name"))
            del node.value[key]
            continue
        infos = [section.model_fields[key] for section in sections if key in section.model_fields]
        if value.value is None and (infos or not sections):
            node.resets[key] = node.value.pop(key)
        elif isinstance(value.value, dict):
            _check_keys(value, [s for info in infos for s in sections_of(info.annotation)], inner, problems)


def _resolve_path(tree: Node, key: Key) -> None:
    """Make the path strings under `key` absolute, each against the place where it was written."""
    kind = PATHS[key]
    node: Node | None = tree
    for part in key:
        node = node.value.get(part) if node is not None and isinstance(node.value, dict) else None
    if node is None:
        return
    for leaf in node.value if isinstance(node.value, list) else [node]:
        if not isinstance(leaf.value, str) or not leaf.value or "\0" in leaf.value:
            continue
        if key == ("hardware",) and leaf.value in ("auto", "default", *profile_names()):
            continue  # also where a folder of that name lies beside the recipe
        written = os.path.expanduser(leaf.value)
        absolute = os.path.normpath(leaf.origin.folder / written)
        if kind == "output":
            leaf.value = os.path.normpath(Path.cwd() / written)
        elif kind == "input" or is_path(written, absolute):
            leaf.value = absolute
