"""What differs between the run in a folder and what a command asks for: what matters, and what does not."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml

from accel_cls.batching.plan import count_updates
from accel_cls.data.files import expand
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe, leaves, recipe_to_yaml
from accel_cls.recipe.keys import field_of
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.out_of_memory import read_out_of_memory

# Keys that change nothing of what an update does; train.non_finite only decides about one that does nothing.
_HARMLESS = ("name", "output", "hardware", "checkpoint", "train.log_every", "train.trace", "train.non_finite")
# Keys that only decide after which update the run ends.
_END = ("train.max_updates", "evaluate.patience")
_EPOCHS = "train.epochs"  # likewise, where no update's learning rate follows from it
# Where the data lie does not matter by itself: the digest of what was read does.
_DATA_FILES = ("data.train", "data.validation")
TOKENS = "train.micro_batch_tokens"


@dataclass(frozen=True)
class Asked:
    """What a command asks a run folder for."""

    recipe: Recipe
    data: str  # digest of the data
    examples: int  # to learn from
    hardware: str = ""  # as people call it

    @property
    def updates(self) -> int:
        """After how many updates the run ends at the latest."""
        train = self.recipe.train
        return count_updates(self.examples, train.batch_size, train.epochs, train.max_updates)


@dataclass(frozen=True)
class Changes:
    """What differs between the run in a folder and what is asked for, a line for each key."""

    training: list[str]  # in what its updates do: such a run does not go on
    end: list[str]  # in where it ends
    harmless: list[str]


def changes_of(folder: RunFolder, asked: Asked) -> Changes:
    """What differs between the run in the folder and what is asked for."""
    recipe = asked.recipe
    old = dict(leaves(yaml.safe_load(folder.recipe.read_text(encoding="utf-8"))))
    new = dict(leaves(yaml.safe_load(recipe_to_yaml(recipe))))
    # A run that began before there was a key had what is its default now.
    old = {key: value for key, value in new.items() if value == _default(key)} | old
    differing = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    note = read_out_of_memory(folder)
    # `auto` is the number with which the run began; after running out of memory, a smaller one is no other run.
    if TOKENS in differing and (new[TOKENS] == "auto" or (note is not None and new[TOKENS] < note.tokens)):
        differing.remove(TOKENS)
    ends = (*_END, _EPOCHS) if _is_endless(old) and _is_endless(new) else _END

    def told(keys: list[str]) -> list[str]:
        return [f"{key}: {old.get(key, 'not set')} → {new.get(key, 'not set')}" for key in keys]

    training = [key for key in differing if not _is_under(key, (*_HARMLESS, *ends, *_DATA_FILES))]
    lines = told(training)
    if training == [_EPOCHS]:
        lines[0] += " (with train.schedule: constant and a train.warmup in updates, the run would go on)"
    origin = origin_of(folder)
    if origin.get("data", asked.data) != asked.data:
        lines += told([key for key in differing if _is_under(key, _DATA_FILES)])
        lines = lines or [": ".join(["the data files' content", *_changed_files(origin, recipe)])]
    return Changes(
        lines,
        told([key for key in differing if _is_under(key, ends)]),
        told([key for key in differing if _is_under(key, (*_HARMLESS, *_DATA_FILES))]),
    )


def _is_endless(values: dict[str, Any]) -> bool:
    """Whether the learning rate of an update is the same, however many epochs a recipe of these values has."""
    return values.get("train.schedule") == "constant" and isinstance(values.get("train.warmup"), int)


def origin_of(folder: RunFolder) -> dict[str, Any]:
    """What is recorded of a run's data and starts; empty where nothing is."""
    return json.loads(folder.origin.read_text(encoding="utf-8")) if folder.origin.is_file() else {}


def _changed_files(origin: dict[str, Any], recipe: Recipe) -> list[str]:
    """The names of the data files that are not what they were, in one text; none where there are no files."""
    before, now = origin.get("files", {}), digests_of(recipe)
    return [", ".join(changed)] if (changed := [path for path in now if before.get(path) != now[path]]) else []


def digests_of(recipe: Recipe) -> dict[str, str]:
    """SHA-256 of each data file, by its path: whether data differ is asked of what was read, these only tell where."""
    found = {}
    for source in (recipe.data.train, recipe.data.validation):
        if isinstance(source, str | list):
            with suppress(UserError, OSError):  # it has just been read; who removes it now is told of the content only
                for path in expand(source):
                    with open(path, "rb") as file:
                        found[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _default(key: str) -> Any:
    _, field = field_of(key.split("."))
    return None if field is None else field.default


def _is_under(key: str, sections: tuple[str, ...]) -> bool:
    return any(f"{key}.".startswith(f"{section}.") for section in sections)
