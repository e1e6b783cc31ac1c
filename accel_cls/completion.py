"""What a shell offers where a command is half typed: recipes, run folders, hardware profiles, keys and values.

bash puts a space behind the only offer. So a key alone is offered with its values, and a folder with what is in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from accel_cls.profiles import profile_names
from accel_cls.recipe.keys import all_keys, choices_of


def complete_recipe(incomplete: str) -> list[str]:
    """Recipe files, and folders on the way to them."""
    return _paths(incomplete, lambda path: path.suffix in (".yaml", ".yml") and path.is_file())


def complete_run(incomplete: str) -> list[str]:
    """Run folders and model folders, and folders on the way to them."""
    return _paths(incomplete, lambda path: any((path / name).exists() for name in ("origin.json", "config.json")))


def complete_hardware(incomplete: str) -> list[str]:
    """Profiles by their names; of a list between commas the last one."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _hardware() if name.startswith(last)]


def complete_override(ctx: typer.Context, incomplete: str) -> list[str]:
    """Recipe keys that begin so, `key=` or `~key`; behind a key the values that it takes.

    Args:
        ctx: knows the words before.
        incomplete: what has been typed of the word.
    """
    before = [word for value in ctx.params.values() if isinstance(value, list | tuple) for word in value]
    if before and _is_equals_sign_typed():
        return _values(before[-1], "")
    if before[-1:] == ["="] and len(before) > 1:
        return _values(before[-2], incomplete)
    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={one}" for one in _values(key, value)]
    start = "~" if key.startswith("~") else ""
    keys = [one for one in all_keys() if one.startswith(key.removeprefix("~"))]
    if len(keys) == 1 and not start and (values := _values(keys[0], "")):
        return [f"{keys[0]}={one}" for one in values]
    return [f"{start}{one}{'' if start else '='}" for one in keys]


def _is_equals_sign_typed() -> bool:
    """Whether the word is "=": bash makes three words of `key=value`, of which click is not told the second."""
    words, at = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    return at.isdecimal() and int(at) < len(words) and words[int(at)] == "="


def _values(key: str, incomplete: str) -> list[str]:
    """What a recipe may have under a key, where that can be listed."""
    if key == "hardware":
        return [name for name in _hardware() if name.startswith(incomplete)]
    return [choice for choice in choices_of(key) if choice.startswith(incomplete)]


def _hardware() -> Iterable[str]:
    return ("auto", "default", *profile_names())


def _paths(incomplete: str, is_wanted: Callable[[Path], bool]) -> list[str]:
    """What is wanted in the folder that has been typed, and folders there. Hidden ones have to be typed."""
    folder, name = os.path.split(incomplete)
    try:
        found = sorted(Path(folder or ".").expanduser().iterdir())
    except (OSError, RuntimeError):  # there is none; no such user
        return []
    begun = [path for path in found if path.name.startswith(name) and (name or not path.name.startswith("."))]
    offered = {os.path.join(folder, path.name): path for path in begun if is_wanted(path) or path.is_dir()}
    if len(offered) == 1:
        ((only, path),) = offered.items()
        return [only] if is_wanted(path) else _paths(f"{only}/", is_wanted) or [f"{only}/"]
    return [written + ("" if is_wanted(path) else "/") for written, path in offered.items()]
