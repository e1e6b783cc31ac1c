"""Folders, files and hub ids that a recipe names."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from accel_cls.errors import listed
from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.sections.data import Hub

_Broken = list[tuple[tuple[str, ...], str]]  # the key to blame, what is wrong and what to do


def names_the_hub(recipe: Recipe) -> bool:
    """Whether the recipe names a hub id, which alone allows a network access."""
    return any(is_hub_id(name) for _, name in _hub_ids_or_folders(recipe))


def is_path(written: str, absolute: str) -> bool:
    """Whether what may be a name or a path is a path: it exists, is written like one, or would lie in a folder.

    A hub id org/name has no folder `org` beside it.
    """
    if written.startswith(("./", "../", "/")) or "\\" in written or os.path.isabs(written):
        return True
    return os.path.exists(absolute) or ("/" in written and os.path.isdir(os.path.dirname(absolute)))


def is_hub_id(name: str) -> bool:
    """Whether a name of a loaded recipe is a hub id: no folder, and no path to one that is missing."""
    return not os.path.isabs(name) and not Path(name).exists()


def missing_folders(recipe: Recipe) -> _Broken:
    """Folders of models and hub data sets that are not there; what is written as a path is looked up nowhere else."""
    missing = [(key, said) for key, name in _hub_ids_or_folders(recipe) if (said := missing_folder(name)) is not None]
    if recipe.distill is not None and not Path(recipe.distill.teacher).exists():
        path = Path(recipe.distill.teacher)
        said = f"there is no folder {_short(path)!r}; train the teacher first, or name a run that is there"
        missing.append((("distill", "teacher"), said + _hint_for_folder(path)))
    return missing


def missing_folder(name: str) -> str | None:
    """What is said of a model's or data set's absolute path where nothing is there; None for all else."""
    if not os.path.isabs(name) or Path(name).exists():
        return None
    hint = _hint_for_folder(Path(name))
    return f"there is no folder {_short(Path(name))!r}, and a path is not looked up on the hub{hint}"


def _short(path: Path) -> str:
    """A path as it is shortest from here."""
    return min(os.path.relpath(path), str(path), key=len)


def _hub_ids_or_folders(recipe: Recipe) -> list[tuple[tuple[str, ...], str]]:
    """What names a hub id or a folder, with its key."""
    data = recipe.data
    sources = {"train": data.train, "validation": data.validation, "test": data.test}
    named: list[tuple[tuple[str, ...], str]] = [
        (("data", key, "hub"), source.hub) for key, source in sources.items() if isinstance(source, Hub)
    ]
    return named if recipe.model.name is None else [*named, (("model", "name"), recipe.model.name)]


def _hint_for_folder(path: Path) -> str:
    """What is called nearly so, or what is in the folder where it would lie."""
    if "\\" in str(path) and os.sep == "/":
        return "; write paths with /"
    there = sorted(one.name for one in path.parent.iterdir() if one.is_dir()) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; in {os.path.relpath(path.parent)} are the folders {listed(there, 5)}" if there else ""
