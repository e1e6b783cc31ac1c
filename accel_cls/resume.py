"""Decide how a command meets a run folder: begin, continue, or leave a finished run alone."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from accel_cls.checkpoint import list_checkpoints, newest_checkpoint, with_own_name
from accel_cls.errors import UserError
from accel_cls.fitting.arithmetic import with_tokens
from accel_cls.fitting.shortage import read_shortage
from accel_cls.globs import expand
from accel_cls.recipe import Recipe, leaves, recipe_to_yaml
from accel_cls.recipe.keys import field_of
from accel_cls.run_folder import RunFolder, explained, write_json, write_text
from accel_cls.versions import versions

# Keys that change nothing of what an update does; train.non_finite only decides about one that does nothing.
_HARMLESS = ("name", "output", "hardware", "checkpoint", "train.log_every", "train.trace", "train.non_finite")
# Keys that only decide after which update the run ends.
_END = ("train.max_updates", "evaluate.patience")
# Where the data lie does not matter by itself: the digest of what was read does.
_DATA_FILES = ("data.train", "data.validation")
_TOKENS = "train.micro_batch_tokens"


@dataclass(frozen=True)
class Start:
    """Where a run starts."""

    finished: bool = False  # there is nothing to do
    checkpoint: Path | None = None  # to continue from; None starts at update 0
    tokens: int | None = None  # what train.micro_batch_tokens: auto is in the run that goes on; None: to be found


def own_and_open_run(folder: RunFolder, recipe: Recipe, data_digest: str, fresh: bool, notes: list[str]) -> Start:
    """Become the owner of the run folder, then `open_run`.

    Raises:
        UserError: where another run owns the folder, where it can't be written, and as `open_run` does.
    """
    with explained(folder):
        refuse_what_is_no_run(folder)  # before a lock is put into a folder that is not ours
        folder.lock.acquire(notes)
        return open_run(folder, recipe, data_digest, fresh, notes)


def refuse_what_is_no_run(folder: RunFolder) -> None:
    """Raise UserError where something else lies at the run folder's place."""
    if folder.path.exists() and not folder.path.is_dir():
        raise UserError(f"output: {folder.path} is a file; name a folder with output=…")
    if not folder.is_empty and not folder.recipe.is_file():
        raise UserError(
            f"output: {folder.path} holds files, but no run of accel_cls; name another folder with output=…"
        )


def open_run(folder: RunFolder, recipe: Recipe, data_digest: str, fresh: bool, notes: list[str]) -> Start:
    """Make the run folder ready. Called by the main process only.

    A folder with an unfinished run of the same recipe and data is continued. One with a run of another
    recipe that is finished, or has no checkpoint to lose, and any with `fresh`, is renamed, never deleted.

    Raises:
        UserError: where the folder holds something else, or an unfinished run of another recipe.
    """
    refuse_what_is_no_run(folder)
    start = Start()
    if not folder.is_empty:
        changes, end = changes_of(folder, recipe, data_digest)
        if fresh:
            notes.append(f"--fresh: what was here is kept as {folder.move_aside().name}")
        elif folder.is_finished and not changes and not end:
            return Start(finished=True)
        elif changes and (folder.is_finished or not list_checkpoints(folder.checkpoints)):
            state = "a finished run" if folder.is_finished else "a run without a checkpoint yet,"
            notes.append(
                f"{folder.path.name} held {state} of another recipe ({'; '.join(changes)}); "
                f"it is kept as {folder.move_aside().name}"
            )
        elif changes:
            raise UserError(
                f"output: {folder.path} holds an unfinished run that differs from this one:\n"
                + "".join(f"  {change}\n" for change in changes)
                + "Continue it with its own recipe, name another folder with output=…, or start over with "
                f"--fresh (it is kept as {folder.path.name}.N)"
            )
        else:
            if folder.is_finished:
                notes.append(f"the run that ended here is to end elsewhere ({'; '.join(end)})")
                folder.results.unlink()
            checkpoint = with_own_name(newest_checkpoint(folder.checkpoints, notes))
            start = Start(checkpoint=checkpoint, tokens=_tokens(folder, recipe, checkpoint, notes))
            recipe = with_tokens(recipe, start.tokens) if start.tokens else recipe
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.recipe, recipe_to_yaml(recipe))
    folder.shortage.unlink(missing_ok=True)
    write_json(folder.origin, {"data": data_digest, "files": _digests(recipe), "versions": versions()})
    return start


def changes_of(folder: RunFolder, recipe: Recipe, data_digest: str) -> tuple[list[str], list[str]]:
    """What differs between the run in the folder and this one, a line each: in its updates, and in its end."""
    old = dict(leaves(yaml.safe_load(folder.recipe.read_text(encoding="utf-8"))))
    new = dict(leaves(yaml.safe_load(recipe_to_yaml(recipe))))
    # A run that began before there was a key had what is its default now.
    old = {key: value for key, value in new.items() if value == _default(key)} | old
    differing = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    shortage = read_shortage(folder)
    # `auto` is the number with which the run began; after running out of memory, a smaller one is no other run.
    if _TOKENS in differing and (new[_TOKENS] == "auto" or (shortage is not None and new[_TOKENS] < shortage.tokens)):
        differing.remove(_TOKENS)

    def told(keys: list[str]) -> list[str]:
        return [f"{key}: {old.get(key, 'not set')} → {new.get(key, 'not set')}" for key in keys]

    changes = told([key for key in differing if not _is_under(key, (*_HARMLESS, *_END, *_DATA_FILES))])
    origin: dict[str, Any] = {}
    if folder.origin.is_file():
        origin = json.loads(folder.origin.read_text(encoding="utf-8"))
    if origin.get("data", data_digest) != data_digest:
        changes += told([key for key in differing if _is_under(key, _DATA_FILES)])
        changes = changes or [": ".join(["the data files' content", *_changed_files(origin, recipe)])]
    return changes, told([key for key in differing if _is_under(key, _END)])


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
