"""Every value of a recipe with its origin: a default, a line of a file, an override, the hardware profile."""

from __future__ import annotations

import difflib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic_core import PydanticUndefined

from accel_cls.errors import UserError
from accel_cls.profiles import find_profile, profile_content
from accel_cls.recipe import resolve_recipe
from accel_cls.recipe.messages import hint_by_meaning
from accel_cls.recipe.rules import idle_settings
from accel_cls.recipe.section import Section
from accel_cls.recipe.sections.model import Scratch
from accel_cls.recipe.source import Node, to_yaml_line

if TYPE_CHECKING:
    from accel_cls.console import Console


@dataclass(frozen=True)
class Setting:
    """One value in force, and how it came to be."""

    key: str  # "train.epochs"
    value: Any
    origin: str
    replaced: tuple[tuple[Any, str], ...]  # (value, origin) of what stood there before, the latest first
    default: str  # as YAML; "required" where there is none
    expects: str
    why: str  # why its range ends where it ends, "" where it has none
    help: str
    idle: str  # why it changes nothing, "" where it does

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        replaced = [{"value": value, "origin": origin} for value, origin in self.replaced]
        return asdict(self) | {"value": _plain(self.value), "replaced": replaced}


def explain(path: str | Path, overrides: Sequence[str] = (), keys: Sequence[str] = ()) -> list[Setting]:
    """The settings of a recipe, in the order of the reference; all, or those of the keys and sections named.

    Raises:
        RecipeError: where the recipe is wrong.
        UserError: where a key does not exist.
    """
    recipe, tree = resolve_recipe(path, overrides)
    idle = {".".join(key): why for key, why, _ in idle_settings(recipe)}
    settings = [*_settings(recipe, tree, "", idle), *_of_profile(recipe.hardware)]
    for key in keys:
        if not any(_is_under(setting.key, key) for setting in settings):
            known = {
                part for s in settings for part in (s.key, s.key.rpartition(".")[0], s.key.split(".")[-1]) if part
            }
            near = difflib.get_close_matches(key, sorted(known), n=1)
            ends = [s.key for s in settings if near and s.key.endswith(f".{near[0]}")]
            hint = f"did you mean {ends[0] if ends else near[0]}?" if near else "see docs/recipe-reference.md"
            raise UserError(f"{key!r}: a recipe has no such value; {hint_by_meaning(key) or hint}")
    return [s for s in settings if not keys or any(_is_under(s.key, key) for key in keys)]


def in_full(setting: Setting) -> str:
    """All that is known of one setting, over several lines."""
    lines = [f"{setting.key}: {as_written(setting.value)}", f"  from      {setting.origin}"]
    for at, (value, origin) in enumerate(setting.replaced):
        lines.append(f"  {'replaces' if at == 0 else '':<8}  {as_written(value)}, {origin}")
    if setting.default:
        lines.append(f"  default   {setting.default}")
    lines.append(f"  takes     {setting.expects}")
    if setting.why:
        lines.append(f"  since     {setting.why}")
    lines.append(f"  meaning   {setting.help}")
    if setting.idle:
        lines.append(f"  here      {setting.idle}")
    return "\n".join(lines)


def show(settings: Sequence[Setting], console: Console) -> None:
    """Print settings as a table for each section."""
    for section, members in itertools.groupby(settings, key=lambda s: s.key.rpartition(".")[0]):
        console.section(section or "recipe", [])
        console.table(
            ["key", "value", "from", "meaning"],
            [
                [
                    s.key.rpartition(".")[2],
                    as_written(s.value),
                    s.origin + _before(s),
                    s.help + (f"; here {s.idle}" if s.idle else ""),
                ]
                for s in members
            ],
        )


def _before(setting: Setting) -> str:
    """What the nearest other file said, where it differs."""
    said = [as_written(value) for value, _ in setting.replaced]
    return f" (before: {said[0]})" if said and said[0] != as_written(setting.value) else ""


def as_written(value: Any) -> str:
    """A value on one line, as a recipe would have it; a path under the current folder relative to it."""
    value = _plain(value)
    if isinstance(value, str) and os.path.isabs(value) and Path(value).is_relative_to(Path.cwd()):
        value = os.path.relpath(value)
    return to_yaml_line(value)


def _plain(value: Any) -> Any:
    """A value without sections, which are mappings."""
    if isinstance(value, Section):
        return value.model_dump(exclude_none=True)
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else value


def _is_under(key: str, asked: str) -> bool:
    return key == asked or key.startswith(f"{asked}.")


def _settings(
    section: Section, node: Node | None, above: str, idle: dict[str, str], reset: Node | None = None
) -> Iterator[Setting]:
    """The settings of a section; `reset` is the null that has set all of it back to its defaults."""
    for name, info in type(section).model_fields.items():
        key = f"{above}.{name}" if above else name
        value = getattr(section, name)
        inner = node.value.get(name) if node is not None and isinstance(node.value, dict) else None
        if key == "model.scratch" and value is None and getattr(section, "name", None) is None:
            value = Scratch()  # what null stands for
        if isinstance(value, Section) and key not in idle:
            yield from _settings(
                value, inner, key, idle, reset or (node.resets.get(name) if node is not None else None)
            )
            continue
        extra: Any = info.json_schema_extra
        yield Setting(
            key=key,
            value=value,
            origin=_origin(name, inner, node, reset),
            replaced=tuple(_replaced(inner or (node.resets.get(name) if node is not None else None))),
            default="required" if info.default is PydanticUndefined else as_written(info.default),
            expects=extra["expects"],
            why=extra["why"],
            help=info.description or "",
            idle=idle.get(key, ""),
        )


def _origin(name: str, node: Node | None, parent: Node | None, reset: Node | None) -> str:
    if node is not None:
        return str(node.origin)
    # A key that was there and whose value is gone was null: back to the default. Or its section was.
    by = (parent.resets.get(name) if parent is not None else None) or reset
    return f"default, reset by {by.origin}" if by is not None else "default"


def _replaced(node: Node | None) -> Iterator[tuple[Any, str]]:
    while node is not None and (node := node.replaced) is not None:
        yield node.plain(), str(node.origin)


def _of_profile(hardware: str) -> Iterator[Setting]:
    """What the hardware profile adds: the lines of its file."""
    profile = find_profile(hardware)
    if profile is None:
        return
    relative = min(os.path.relpath(profile.path), str(profile.path), key=len)
    places = {}
    if profile.path.suffix != ".json":  # which may be no YAML
        top = yaml.compose(profile.path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        assert isinstance(top, yaml.MappingNode), profile.path  # read_profile has seen a mapping
        places = {key.value: f":{key.start_mark.line + 1}:{value.start_mark.column + 1}" for key, value in top.value}
    meaning = "a setting of accelerate's, from the hardware profile"
    for key, value in profile_content(profile.path).items():
        place = f"{relative}{places.get(str(key), '')}"
        yield Setting(f"profile.{key}", value, place, (), "", "what accelerate takes", "", meaning, "")
