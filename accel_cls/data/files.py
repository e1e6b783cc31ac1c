"""The data files that a path, a glob or a list of them names."""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from accel_cls.data.data_file import ending_of
from accel_cls.errors import UserError, shown


def expand(source: str | list[str]) -> list[Path]:
    """The files that a path, a glob or a list of them names, each once under its first name, in a stable order."""
    found: dict[str, Path] = {}
    for pattern in [source] if isinstance(source, str) else source:
        try:
            matches = _matches(pattern)
        except (OSError, ValueError, re.error) as error:  # too long, a NUL
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{shown(pattern)}: there is no such data file: {reason}") from error
        if not matches:
            raise UserError(f"{pattern}: there is no such data file{hint(Path(pattern))}")
        for match in matches:
            found.setdefault(os.path.realpath(match), match)
    return list(found.values())


def _matches(pattern: str) -> list[Path]:
    """The files that a path or a glob names. Devices and pipes are none: they may have no end."""
    if Path(pattern).is_file():
        return [Path(pattern)]
    before, deep, after = pattern.partition("**/")
    if not deep:
        return sorted(Path(match) for match in glob.glob(pattern) if Path(match).is_file())
    # Not by glob itself, which follows links that lead in a circle.
    folders = dict.fromkeys(f for top in glob.glob(before or ".") for f in _folders(Path(top), set()))
    return sorted({match for folder in folders for match in _matches(os.path.join(glob.escape(str(folder)), after))})


def _folders(top: Path, seen: set[str]) -> Iterator[Path]:
    """A folder and all within it that are not hidden, each once, however many links lead there."""
    real = os.path.realpath(top)
    if real in seen or not top.is_dir():
        return
    seen.add(real)
    yield top
    for inner in sorted(top.iterdir()):
        if not inner.name.startswith("."):
            yield from _folders(inner, seen)


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` of the library datasets has written a folder."""
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _hint_for_folder(path: Path) -> str:
    """What to name instead of a folder."""
    if is_saved(path):
        here = path if path.is_absolute() else f"./{path}"
        what = "only a folder that datasets' save_to_disk has written"
        return f", {what}; a recipe reads it by {{hub: {here}, split: train}}"
    endings = (ending_of(one) for one in sorted(path.iterdir()) if one.is_file())
    ending = next((ending for ending in endings if ending), None)
    return (
        f", only a folder; name the files in it, such as {path / f'*{ending}'}"
        if ending
        else ", only a folder without one"
    )


def hint(path: Path) -> str:
    """What stands there instead of a data file, or what is called nearly so."""
    if path.is_dir():
        return _hint_for_folder(path)
    if path.exists():
        return ", only a pipe or a device; write its content to a file"
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*")], n=1)
    return f"; did you mean {near[0]}?" if near else ""
