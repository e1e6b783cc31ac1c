"""The recipes that come with the project: listed by what their headers say, and copied with what they need."""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from accel_cls.errors import UserError
from accel_cls.recipe.json_schema import SCHEMA_FILE
from accel_cls.recipe.source import Node, read_file
from accel_cls.shipped import shipped_folder


@dataclass(frozen=True)
class Shipped:
    """A shipped recipe and what its header says of it."""

    name: str  # "food", "hardware/gpu"
    path: Path
    purpose: str
    needs: str
    measured: str
    commands: tuple[str, ...]


def shipped_recipes() -> list[Shipped]:
    """All shipped recipes, by name; those in folders last."""
    top = shipped_folder("recipes")
    found = [_describe(path, top) for path in top.rglob("*.yaml")]
    return sorted(found, key=lambda recipe: (recipe.name.count("/"), recipe.name))


def copy_recipe(name: str, to: Path) -> list[Path]:
    """Copy a shipped recipe, what it extends, its sample data and the schema; paths inside stay right.

    Returns the files written, the recipe first.

    Raises:
        UserError: where there is no such recipe, or a file is there already.
    """
    top = shipped_folder("recipes")
    known = {recipe.name: recipe.path for recipe in shipped_recipes()}
    wanted = known.get(name.removesuffix(".yaml"))
    if wanted is None:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`accel-cls recipes` lists them"
        raise UserError(f"{name}: there is no such shipped recipe; {hint}")
    to = to.expanduser()
    sources = [*dict.fromkeys(_belongings(wanted)), top / SCHEMA_FILE]
    targets = [to / source.relative_to(top) for source in sources]
    there = [
        (source, target)
        for source, target in zip(sources, targets, strict=True)
        if target.exists() and target.read_bytes() != source.read_bytes()
    ]
    if there:
        raise UserError(f"{there[0][1]} is there already, and different; copy to another folder")
    for source, target in zip(sources, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return targets


def _belongings(recipe: Path) -> Iterator[Path]:
    """A recipe, the recipes that it extends, and the data files beside them that they name."""
    yield recipe
    tree = read_file(recipe, [])
    assert tree is not None, recipe  # a shipped recipe
    parent = tree.value.get("extends")
    if parent is not None:
        yield from _belongings((recipe.parent / parent.value).resolve())
    data = tree.value.get("data", Node({}, tree.origin)).value
    for key in ("train", "validation"):
        value = data[key].plain() if key in data else None
        if isinstance(value, str) and (recipe.parent / value).is_file():
            yield (recipe.parent / value).resolve()


def _describe(path: Path, top: Path) -> Shipped:
    """Read a recipe's header: a purpose, `Needs:`, `Measured:`, and commands, which are indented."""
    said: dict[str, list[str]] = {"purpose": [], "needs": [], "measured": []}
    commands: list[str] = []
    at = "purpose"
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if text.startswith("yaml-language-server:"):
            continue
        if line.startswith("#   "):
            commands.append(text)
            continue
        begins = re.match(r"(Needs|Measured): ", text)
        if begins:
            at, text = begins[1].lower(), text[begins.end() :]
        said[at].append(text)
    purpose, needs, measured = (" ".join(" ".join(lines).split()) for lines in said.values())
    name = str(path.relative_to(top).with_suffix("")).replace("\\", "/")
    return Shipped(name, path, purpose, needs, measured, tuple(commands))
