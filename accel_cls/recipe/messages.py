"""What pydantic finds wrong with a recipe, in this project's words: found, expected, why, and the near miss."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from accel_cls.recipe.errors import Origin, Problem
from accel_cls.recipe.keys import all_keys, field_of, is_union, names_of, sections_of, values_of
from accel_cls.recipe.other_names import OTHER_NAMES, OTHER_SECTIONS
from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.section import Section
from accel_cls.recipe.source import Node, origin_of, read_scalar, to_yaml_line, walk

_OUT_OF_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "string_too_long")


def _dotted(parts: Sequence[Any]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


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
            arms = typing.get_args(info.annotation) if is_union(info.annotation) else ()
            is_tag = len([arm for arm in arms if arm is not type(None)]) > 1
        inner = sections_of(info.annotation) if info is not None else []
        section = inner[0] if inner else None
    return parts


def _shown(value: Any) -> str:
    """A value as an error message repeats it: as YAML has it, whole where it is short."""
    text = repr(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else to_yaml_line(value)
    if len(text) <= 60:
        return text
    return f"a mapping of {len(value)} keys" if isinstance(value, dict) else text[:57] + "..."


def _hint_for_key(key: str, section: type[Section]) -> str:
    """What may have been meant by a key that does not exist: by its meaning, else by its letters."""
    if hint := hint_by_meaning(key):
        return hint
    names = names_of(section)
    near = difflib.get_close_matches(key, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"expected one of {', '.join(names)}"


def _section_at(above: Sequence[Any]) -> type[Section]:
    """The section that holds what stands under these keys, also within a mapping whose keys are free."""
    section, info = field_of(above)
    inner = values_of(info.annotation) if info is not None else []
    return inner[0] if inner else section


def hint_by_meaning(key: str) -> str:
    """What a key is called here that stands in another section, or that other frameworks have; "" for none.

    Args:
        key: its last part, or all of it, such as "train.lr".
    """
    name = key.rpartition(".")[2].replace("-", "_")
    if name == "extends":
        return "only a file can extend another one, in a line of its own"
    same = [one for one in all_keys() if one.rpartition(".")[2] == name]
    same = [one for one in same if not one.startswith("pretrain.")] or same  # whose epochs are meant more rarely
    meant = OTHER_NAMES.get(name) or OTHER_SECTIONS.get(name, "")
    if meant and meant not in (*all_keys(), *OTHER_SECTIONS.values()):
        return meant
    return f"did you mean {' or '.join(same or [meant])}?" if same or meant else ""


def _hint_for_value(value: Any, detail: Any) -> str:
    """What may have been meant by a value that is not taken."""
    if not isinstance(value, str):
        return ""
    if detail["type"] == "literal_error":
        choices = [c.strip(" '") for c in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        near = difflib.get_close_matches(value, choices, n=1)
        return f"; did you mean {near[0]}?" if near else ""
    if detail["type"] in ("int_type", "float_type") and not isinstance(read_scalar(value), str):
        return "; write it without quotes"
    return ""


def explain_errors(error: ValidationError, tree: Node, has_gaps: bool) -> Iterator[Problem]:
    """pydantic's errors in this project's words, one for each place.

    Where a recipe that is extended could not be read (`has_gaps`), what is missing may stand in there.
    """
    found: dict[tuple[str, Origin], Problem] = {}
    details = error.errors(include_url=False)
    # A field that takes several shapes fails once for each; only of some is the value out of range.
    out_of_range = {tuple(_without_tags(d["loc"])) for d in details if d["type"] in _OUT_OF_RANGE}
    for detail in details:
        location = _without_tags(detail["loc"])
        walked = list(walk(tree, location))
        parts = [part for part, _ in walked]
        if detail["type"] == "missing":
            if has_gaps:
                continue
            owner = walked[-1][1] if walked else tree
            parts.append(location[-1])
            origin = owner.key_origins.get(location[-1], owner.origin)  # the key itself where its value is null
            problem = Problem(origin, _dotted(parts), f"required, but not given; expected {_expected(parts)}")
        elif detail["type"] == "extra_forbidden":
            *above, key = parts
            section = _section_at(above)
            owner = walked[-2][1] if len(walked) > 1 else tree
            message = f"unknown key; {_hint_for_key(key, section)}"
            problem = Problem(owner.key_origins[key], _dotted(parts), message)
        else:
            value = walked[-1][1].plain() if walked else tree.plain()
            message = f"found {_shown(value)}; expected {_expected(parts)}"
            if tuple(location) in out_of_range and (why := _said_of(parts, "why")):
                message += f": {why}"
            message += _hint_for_value(value, detail)
            problem = Problem(origin_of(tree, parts), _dotted(parts), message)
        found.setdefault((problem.key, problem.origin), problem)
    keys = [problem.key for problem in found.values()]
    # A field that takes several shapes fails once for each; only what is said of the innermost key helps.
    yield from (p for p in found.values() if not any(key.startswith((p.key + ".", p.key + "[")) for key in keys))


def _expected(parts: Sequence[Any]) -> str:
    return _said_of(parts, "expects") or "a mapping of keys"


def _said_of(parts: Sequence[Any], what: str) -> str:
    """What the schema says of a field in words: what it "expects", or "why" its range ends where it ends."""
    info = field_of(parts)[1]
    return str(info.json_schema_extra[what]) if info is not None else ""
