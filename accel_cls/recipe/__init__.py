"""Recipes: read, merge, override, check, write. Imports neither torch nor anything else that is slow."""

from __future__ import annotations

import difflib
import os
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from accel_cls.profiles import profile_names
from accel_cls.recipe.errors import Origin, Problem, RecipeError
from accel_cls.recipe.rules import broken_rules
from accel_cls.recipe.schema import PATHS, Hub, Recipe, Section
from accel_cls.recipe.source import Node, merge, read_chain, read_override, to_yaml

__all__ = ["Hub", "Origin", "Problem", "Recipe", "RecipeError", "load_recipe", "recipe_to_yaml", "resolve_recipe"]

Key = tuple[Any, ...]
_OUT_OF_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "string_too_long")


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in `path`, with what it extends and the `key=value` overrides merged in and checked.

    Raises:
        RecipeError: with every mistake found, each with its file, line and column or its override.
    """
    return resolve_recipe(path, overrides)[0]


def resolve_recipe(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Recipe, Node]:
    """As `load_recipe`, and the tree that it was made from, whose nodes know where each value was written."""
    problems: list[Problem] = []
    tree = read_chain(_expanded(path), problems)
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
        problems.extend(_explain(error, tree))
    else:
        problems.extend(Problem(_origin(tree, key), ".".join(key), message) for key, message in broken_rules(recipe))
    if problems:
        problems = list(dict.fromkeys(problems))
        raise RecipeError(sorted(problems, key=lambda p: (p.origin.source, p.origin.line or 0, p.origin.column or 0)))
    return recipe, tree


def recipe_to_yaml(recipe: Recipe) -> str:
    """Every value of the recipe, those that defaults decided included, as YAML that `load_recipe` reads."""
    plain = recipe.model_dump(mode="python", exclude_none=True)
    if recipe.model.name is not None:
        plain["model"].pop("scratch", None)
    return to_yaml(plain)


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
            del node.value[key]
        elif isinstance(value.value, dict):
            _check_keys(value, [s for info in infos for s in _sections(info.annotation)], inner, problems)


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
    if _is_union(annotation) or typing.get_origin(annotation) is typing.Annotated:
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


def _without_tags(location: Sequence[Any]) -> list[Any]:
    """A pydantic error's location without the names of union arms, which no user has written."""
    parts: list[Any] = []
    section: type[Section] | None = Recipe
    is_tag = False
    for part in location:
        if is_tag:
            is_tag = False
            continue
        parts.append(part)
        info = section.model_fields.get(part) if section is not None and isinstance(part, str) else None
        if info is not None:
            arms = typing.get_args(info.annotation) if _is_union(info.annotation) else ()
            is_tag = len([arm for arm in arms if arm is not type(None)]) > 1
        inner = _sections(info.annotation) if info is not None else []
        section = inner[0] if inner else None
    return parts


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _shown(value: Any) -> str:
    """A value as an error message repeats it: whole where it is short."""
    text = repr(value)
    if len(text) <= 60:
        return text
    return f"a mapping of {len(value)} keys" if isinstance(value, dict) else text[:57] + "..."


def _explain(error: ValidationError, tree: Node) -> Iterator[Problem]:
    """pydantic's errors in this project's words, one for each place."""
    found: dict[tuple[str, Origin], Problem] = {}
    details = error.errors(include_url=False)
    # A field that takes several shapes fails once for each; only of some is the value out of range.
    out_of_range = {tuple(_without_tags(d["loc"])) for d in details if d["type"] in _OUT_OF_RANGE}
    for detail in details:
        location = _without_tags(detail["loc"])
        walked = list(_walk(tree, location))
        parts = [part for part, _ in walked]
        if detail["type"] == "missing":
            parts.append(location[-1])
            problem = Problem(
                _origin(tree, parts), _dotted(parts), f"required, but not given; expected {_expected(parts)}"
            )
        elif detail["type"] == "extra_forbidden":
            *above, key = parts
            section = _field(above)[0] if above else Recipe
            owner = walked[-2][1] if len(walked) > 1 else tree
            near = difflib.get_close_matches(key, section.model_fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(section.model_fields)}"
            problem = Problem(owner.key_origins[key], _dotted(parts), f"unknown key; {hint}")
        else:
            value = walked[-1][1].plain() if walked else tree.plain()
            message = f"found {_shown(value)}; expected {_expected(parts)}"
            if tuple(location) in out_of_range and (why := _said_of(parts, "why")):
                message += f": {why}"
            if isinstance(value, str) and detail["type"] == "literal_error":
                choices = [c.strip(" '") for c in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
                near = difflib.get_close_matches(value, choices, n=1)
                message += f"; did you mean {near[0]}?" if near else ""
            problem = Problem(_origin(tree, parts), _dotted(parts), message)
        found.setdefault((problem.key, problem.origin), problem)
    keys = [problem.key for problem in found.values()]
    # A field that takes several shapes fails once for each; only what is said of the innermost key helps.
    yield from (p for p in found.values() if not any(key.startswith((p.key + ".", p.key + "[")) for key in keys))


def _expected(parts: Sequence[Any]) -> str:
    return _said_of(parts, "expects") or "a mapping of keys"


def _said_of(parts: Sequence[Any], what: str) -> str:
    """What the schema says of a field in words: what it "expects", or "why" its range ends where it ends."""
    info = _field(parts)[1]
    return str(info.json_schema_extra[what]) if info is not None else ""
