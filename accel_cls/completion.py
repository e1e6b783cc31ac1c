"""What a shell offers where a command is half typed: recipes, run folders, hardware profiles, keys and values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from accel_cls.profiles import profile_names
from accel_cls.recipe.keys import all_keys, choices_of


def complete_recipe(incomplete: str) -> list[str]:
    """Recipe files, and folders on the way to them."""
    return _paths(incomplete, lambda path: path.suffix in (".yaml", ".yml"))


def complete_run(incomplete: str) -> list[str]:
    """Run folders and model folders, and folders on the way to them."""
    return _paths(incomplete, lambda path: False)


def complete_hardware(incomplete: str) -> list[str]:
    """Profiles by their names; of a list between commas the last one."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _hardware() if name.startswith(last)]


def complete_override(args: list[str], incomplete: str) -> list[str]:
    """Recipe keys that begin so, `key=` or `~key`; behind a key the values that it takes.

    Args:
        args: the words before. bash makes three words of `key=value`; other shells make one.
        incomplete: what has been typed of the word.
    """
    if incomplete == "=" and args:
        return _values(args[-1], "")
    if len(args) > 1 and args[-1] == "=":
        return _values(args[-2], incomplete)
    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={one}" for one in _values(key, value)]
    start = "~" if key.startswith("~") else ""
    return [f"{start}{one}{'' if start else '='}" for one in all_keys() if one.startswith(key.removeprefix("~"))]


def _values(key: str, incomplete: str) -> list[str]:
    """What a recipe may have under a key, where that can be listed."""
    if key == "hardware":
        return [name for name in _hardware() if name.startswith(incomplete)]
    if key in ("data.train", "data.validation", "model.name", "output"):
        return _paths(incomplete, lambda path: key.startswith("data."))
    return [choice for choice in choices_of(key) if choice.startswith(incomplete)]


def _hardware() -> Iterable[str]:
    return ("auto", "default", *profile_names())


def _paths(incomplete: str, is_wanted: Callable[[Path], bool]) -> list[str]:
    """Files that are wanted, and folders, in the folder that has been typed. Hidden ones have to be typed."""
    folder, name = os.path.split(incomplete)
    try:
        found = sorted(Path(folder or ".").expanduser().iterdir())
    except (OSError, RuntimeError):  # there is none; no such user
        return []
    paths = [path for path in found if path.name.startswith(name) and (name or not path.name.startswith("."))]
    return [
        os.path.join(folder, path.name) + ("/" if path.is_dir() else "")
        for path in paths
        if path.is_dir() or is_wanted(path)
    ]
