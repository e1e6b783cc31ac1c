"""Decide how a command meets a run folder: begin, continue, or leave a finished run alone."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from accel_cls.checkpoint import list_checkpoints, newest_checkpoint, update_of, with_own_name
from accel_cls.errors import UserError
from accel_cls.fitting.arithmetic import with_tokens
from accel_cls.fitting.shortage import read_shortage
from accel_cls.globs import expand
from accel_cls.plan import count_updates
from accel_cls.recipe import Recipe, leaves, recipe_to_yaml
from accel_cls.recipe.keys import field_of
from accel_cls.run_folder import RunFolder, explained, write_json, write_text
from accel_cls.versions import versions

# Keys that change nothing of what an update does; train.non_finite only decides about one that does nothing.
_HARMLESS = ("name", "output", "hardware", "checkpoint", "train.log_every", "train.trace", "train.non_finite")
# Keys that only decide after which update the run ends.
_END = ("train.max_updates", "evaluate.patience")
_EPOCHS = "train.epochs"  # likewise, where no update's learning rate follows from it
# Where the data lie does not matter by itself: the digest of what was read does.
_DATA_FILES = ("data.train", "data.validation")
_TOKENS = "train.micro_batch_tokens"


@dataclass(frozen=True)
class Start:
    """Where a run starts."""

    finished: bool = False  # there is nothing to do
    checkpoint: Path | None = None  # to continue from; None starts at update 0
    tokens: int | None = None  # what train.micro_batch_tokens: auto is in the run that goes on; None: to be found


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
        return count_updates(self.recipe.train, self.examples)


@dataclass(frozen=True)
class Changes:
    """What differs between the run in a folder and what is asked for, a line for each key."""

    training: list[str]  # in what its updates do: such a run does not go on
    end: list[str]  # in where it ends
    harmless: list[str]


def own_and_open_run(folder: RunFolder, asked: Asked, fresh: bool, notes: list[str]) -> Start:
    """Become the owner of the run folder, then `open_run`.

    Raises:
        UserError: where another run owns the folder, where it can't be written, and as `open_run` does.
    """
    with explained(folder):
        refuse_what_is_no_run(folder)  # before a lock is put into a folder that is not ours
        folder.lock.acquire(notes)
        return open_run(folder, asked, fresh, notes)


def refuse_what_is_no_run(folder: RunFolder) -> None:
    """Raise UserError where something else lies at the run folder's place."""
    if folder.path.exists() and not folder.path.is_dir():
        raise UserError(f"output: {folder.path} is a file; name a folder with output=…")
    if not folder.is_empty and not folder.recipe.is_file():
        raise UserError(
            f"output: {folder.path} holds files, but no run of accel_cls; name another folder with output=…"
        )


def open_run(folder: RunFolder, asked: Asked, fresh: bool, notes: list[str]) -> Start:
    """Make the run folder ready. Called by the main process only.

    A folder with an unfinished run of the same recipe and data is continued. One with a run of another
    recipe that is finished, or has no checkpoint to lose, and any with `fresh`, is renamed, never deleted.

    Raises:
        UserError: where the folder holds something else, an unfinished run of another recipe, or one that is
            already further than it is to go.
    """
    refuse_what_is_no_run(folder)
    recipe, start, starts = asked.recipe, Start(), []
    changes = Changes([], [], [])
    if not folder.is_empty:
        changes = changes_of(folder, asked)
        if fresh:
            notes.append(f"--fresh: what was here is kept as {folder.move_aside().name}")
        elif folder.is_finished and not changes.training and not changes.end:
            return Start(finished=True)
        elif changes.training and (folder.is_finished or not list_checkpoints(folder.checkpoints)):
            state = "a finished run" if folder.is_finished else "a run without a checkpoint yet,"
            notes.append(
                f"{folder.path.name} held {state} of another recipe ({'; '.join(changes.training)}); "
                f"it is kept as {folder.move_aside().name}"
            )
        elif changes.training:
            raise UserError(
                f"output: {folder.path} holds an unfinished run that differs from this one:\n"
                + "".join(f"  {change}\n" for change in changes.training)
                + "Continue it with its own recipe, name another folder with output=…, or start over with "
                f"--fresh (it is kept as {folder.path.name}.N)"
            )
        else:
            checkpoint = newest_checkpoint(folder.checkpoints, notes)
            if checkpoint is not None and update_of(checkpoint) > asked.updates:
                raise UserError(_is_beyond(folder, checkpoint, asked, changes))
            if folder.is_finished:
                notes.append(f"the run that ended here is to end elsewhere ({'; '.join(changes.end)})")
                folder.results.unlink()
            checkpoint = with_own_name(checkpoint)
            start = Start(checkpoint=checkpoint, tokens=_tokens(folder, recipe, checkpoint, notes))
            recipe = with_tokens(recipe, start.tokens) if start.tokens else recipe
            starts = _origin(folder).get("starts", [])
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.recipe, recipe_to_yaml(recipe))
    folder.shortage.unlink(missing_ok=True)
    starts.append(
        {
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
            "update": 0 if start.checkpoint is None else update_of(start.checkpoint),
            "hardware": asked.hardware,
            "versions": versions(),
            "changes": [*changes.end, *changes.harmless] if starts else [],
        }
    )
    write_json(folder.origin, {"data": asked.data, "files": _digests(recipe), "starts": starts})
    return start


def _is_beyond(folder: RunFolder, checkpoint: Path, asked: Asked, changes: Changes) -> str:
    ends = f" ({'; '.join(changes.end)})" if changes.end else ""
    return (
        f"output: {folder.path} holds a run that has made {update_of(checkpoint):,} updates already, but this one "
        f"ends after {asked.updates:,}{ends}. Let it end later, name another folder with output=…, or start over "
        f"with --fresh (it is kept as {folder.path.name}.N)"
    )


def changes_of(folder: RunFolder, asked: Asked) -> Changes:
    """What differs between the run in the folder and what is asked for."""
    recipe = asked.recipe
    old = dict(leaves(yaml.safe_load(folder.recipe.read_text(encoding="utf-8"))))
    new = dict(leaves(yaml.safe_load(recipe_to_yaml(recipe))))
    # A run that began before there was a key had what is its default now.
    old = {key: value for key, value in new.items() if value == _default(key)} | old
    differing = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    shortage = read_shortage(folder)
    # `auto` is the number with which the run began; after running out of memory, a smaller one is no other run.
    if _TOKENS in differing and (new[_TOKENS] == "auto" or (shortage is not None and new[_TOKENS] < shortage.tokens)):
        differing.remove(_TOKENS)
    ends = (*_END, _EPOCHS) if _is_endless(old) and _is_endless(new) else _END

    def told(keys: list[str]) -> list[str]:
        return [f"{key}: {old.get(key, 'not set')} → {new.get(key, 'not set')}" for key in keys]

    training = [key for key in differing if not _is_under(key, (*_HARMLESS, *ends, *_DATA_FILES))]
    lines = told(training)
    if training == [_EPOCHS]:
        lines[0] += " (with train.schedule: constant and a train.warmup in updates, the run would go on)"
    origin = _origin(folder)
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


def _origin(folder: RunFolder) -> dict[str, Any]:
    return json.loads(folder.origin.read_text(encoding="utf-8")) if folder.origin.is_file() else {}


def _changed_files(origin: dict[str, Any], recipe: Recipe) -> list[str]:
    """The names of the data files that are not what they were, in one text; none where there are no files."""
    before, now = origin.get("files", {}), _digests(recipe)
    return [", ".join(changed)] if (changed := [path for path in now if before.get(path) != now[path]]) else []


def _digests(recipe: Recipe) -> dict[str, str]:
    """SHA-256 of each data file, by its path: whether data differ is asked of what was read, these only tell where."""
    found = {}
    for source in (recipe.data.train, recipe.data.validation):
        if isinstance(source, str | list):
            with suppress(UserError, OSError):  # it has just been read; who removes it now is told of the content only
                for path in expand(source):
                    with open(path, "rb") as file:
                        found[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _tokens(folder: RunFolder, recipe: Recipe, checkpoint: Path | None, notes: list[str]) -> int | None:
    """What train.micro_batch_tokens: auto is in a run that goes on: what it was, or less after a shortage."""
    asked, shortage = recipe.train.micro_batch_tokens, read_shortage(folder)
    tokens = asked if asked != "auto" else shortage.smaller if shortage is not None else None
    if shortage is not None and tokens is not None and tokens < shortage.tokens:
        notes.append(
            f"this run ran out of memory {shortage.where} with train.micro_batch_tokens {shortage.tokens:,}; it "
            f"goes on with {tokens:,}: from here on updates are cut finer, the same gradient but for dropout's draws"
        )
    elif asked == "auto" and checkpoint is not None:
        tokens = dict(leaves(yaml.safe_load(folder.recipe.read_text(encoding="utf-8"))))[_TOKENS]
        notes.append(f"train.micro_batch_tokens: auto → {tokens:,}, with which this run began")
    return tokens if asked == "auto" else None


def _default(key: str) -> Any:
    _, field = field_of(key.split("."))
    return None if field is None else field.default


def _is_under(key: str, sections: tuple[str, ...]) -> bool:
    return any(f"{key}.".startswith(f"{section}.") for section in sections)
