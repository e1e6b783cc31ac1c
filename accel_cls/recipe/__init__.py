"""Recipes: read, merge, override, check, write. Imports neither torch nor anything else that is slow."""

from __future__ import annotations

import difflib
import os
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from accel_cls.recipe.errors import Origin, Problem, RecipeError
from accel_cls.recipe.schema import PATHS, Hub, Recipe, Section, broken_rules
from accel_cls.recipe.source import Node, merge, read_chain, read_override

__all__ = ["Hub", "Origin", "Problem", "Recipe", "RecipeError", "load_recipe", "recipe_to_yaml"]

Key = tuple[Any, ...]


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in `path`, with what it extends and the `key=value` overrides merged in and checked.

    Raises:
        RecipeError: with every mistake found, each with its file, line and column or its override.
    """
    problems: list[Problem] = []
    tree = read_chain(Path(path).expanduser(), problems)
    for text in overrides:
        override = read_override(text, problems)
        if tree is not None and override is not None:
            tree = merge(tree, override)
    if tree is None:
        raise RecipeError(problems)
    for key in PATHS:
        _resolve_path(tree, key)
    try:
        recipe = Recipe.model_validate(tree.plain())
    except ValidationError as error:
        problems.extend(_explain(error, tree))
    else:
        problems.extend(Problem(_origin(tree, key), ".".join(key), message) for key, message in broken_rules(recipe))
    if problems:
        order = {problem: i for i, problem in enumerate(problems)}
        raise RecipeError(sorted(order, key=lambda p: (p.origin.source, p.origin.line or 0, order[p])))
    return recipe


def recipe_to_yaml(recipe: Recipe) -> str:
    """Every value of the recipe, those that defaults decided included, as YAML that `load_recipe` reads."""
    plain = recipe.model_dump(mode="python", exclude_none=True)
    if recipe.model.name is not None:
        plain["model"].pop("scratch", None)
    return yaml.safe_dump(plain, allow_unicode=True, sort_keys=False)


def _resolve_path(tree: Node, key: Key) -> None:
    """Make the path strings under `key` absolute, each against the place where it was written."""
    kind = PATHS[key]
    node: Node | None = tree
    for part in key:
        node = node.value.get(part) if node is not None and isinstance(node.value, dict) else None
    if node is None:
        return
    for leaf in node.value if isinstance(node.value, list) else [node]:
        if not isinstance(leaf.value, str) or not leaf.value:
            continue
        written = os.path.expanduser(leaf.value)
        absolute = os.path.normpath(leaf.origin.folder / written)
        if kind == "output":
            leaf.value = os.path.normpath(Path.cwd() / written)
        elif kind == "input" or written.startswith(("./", "../", "/")) or os.path.exists(absolute):
            leaf.value = absolute


def _walk(tree: Node, key: Sequence[Any]) -> Iterator[tuple[Any, Node]]:
    """The nodes along `key` as far as they exist, skipping the parts that pydantic adds for unions."""
    node = tree
    for part in key:
        value = node.value
        if part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value)):
            node = value[part]
            yield part, node


def _origin(tree: Node, key: Sequence[Any]) -> Origin:
    """Where the value under `key` was written; where it was not, its nearest ancestor."""
    origin = tree.origin
    for _, node in _walk(tree, key):
        origin = node.origin
    return origin


def _dotted(parts: Sequence[Any]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _sections(annotation: Any) -> list[type[Section]]:
    """The recipe sections that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation] if issubclass(annotation, Section) else []
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return [section for arm in typing.get_args(annotation) for section in _sections(arm)]
    return []


def _field(key: Sequence[Any]) -> tuple[type[Section], Any]:
    """The innermost section that `key` leads into, and the field of it that `key` names (None for none)."""
    section: type[Section] = Recipe
    info = None
    for part in key:
        info = section.model_fields.get(part) if isinstance(part, str) else info
        inner = _sections(info.annotation) if info is not None else []
        if not inner:
            break
        section = inner[0]
    return section, info


def _explain(error: ValidationError, tree: Node) -> Iterator[Problem]:
    """pydantic's errors in this project's words, one for each place."""
    found: dict[tuple[str, Origin], Problem] = {}
    for detail in error.errors(include_url=False):
        walked = list(_walk(tree, detail["loc"]))
        parts = [part for part, _ in walked]
        if detail["type"] == "missing":
            parts.append(detail["loc"][-1])
            info = _field(parts)[1]
            expects = (info.json_schema_extra or {}).get("expects", "a value") if info else "a value"
            problem = Problem(_origin(tree, parts), _dotted(parts), f"required, but not given; expected {expects}")
        elif detail["type"] == "extra_forbidden":
            *above, key = parts
            section = _field(above)[0] if above else Recipe
            owner = walked[-2][1] if len(walked) > 1 else tree
            message = "unknown key"
            near = difflib.get_close_matches(str(key), section.model_fields, n=1)
            if near:
                message += f"; did you mean {near[0]}?"
            else:
                message += f"; expected one of {', '.join(section.model_fields)}"
            problem = Problem(owner.key_origins[key], _dotted(parts), message)
        else:
            value = walked[-1][1].plain() if walked else tree.plain()
            info = _field(parts)[1]
            expects = (info.json_schema_extra or {}).get("expects", "something else") if info else "a mapping"
            shown = "a mapping" if isinstance(value, dict) else repr(value)
            message = f"found {shown}; expected {expects}"
            if isinstance(value, str) and detail["type"] == "literal_error":
                choices = [c.strip(" '") for c in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
                near = difflib.get_close_matches(value, choices, n=1)
                message += f"; did you mean {near[0]}?" if near else ""
            problem = Problem(_origin(tree, parts), _dotted(parts), message)
        found.setdefault((problem.key, problem.origin), problem)
    keys = [problem.key for problem in found.values()]
    # A field that takes several shapes fails once for each; only what is said of the innermost key helps.
    yield from (p for p in found.values() if not any(key.startswith(p.key + ".") for key in keys))
