"""Decide how a command meets a run folder: begin, continue, or leave a finished run alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from accel_cls.atomic import write_json, write_text
from accel_cls.checkpoints.checkpoint import list_checkpoints, newest_checkpoint, update_of, with_own_name
from accel_cls.errors import UserError
from accel_cls.memory.sizes import with_micro_batch_tokens
from accel_cls.recipe import Recipe, leaves, recipe_to_yaml
from accel_cls.runs.changes import TOKENS, Asked, Changes, changes_of, digests_of, origin_of
from accel_cls.runs.folder import RunFolder, explained
from accel_cls.runs.out_of_memory import read_out_of_memory
from accel_cls.runs.versions import versions


@dataclass(frozen=True)
class Start:
    """Where a run starts."""

    finished: bool = False  # there is nothing to do
    checkpoint: Path | None = None  # to continue from; None starts at update 0
    tokens: int | None = None  # what train.micro_batch_tokens: auto is in the run that goes on; None: to be found


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
    recipe, start = asked.recipe, Start()
    starts: list[dict[str, Any]] = []  # of the run that goes on, and what has changed since the last one
    changed: list[str] = []
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
                raise UserError(_beyond(folder, checkpoint, asked, changes))
            if folder.is_finished:
                notes.append(f"the run that ended here is to end elsewhere ({'; '.join(changes.end)})")
                folder.results.unlink()
            checkpoint = with_own_name(checkpoint)
            start = Start(checkpoint=checkpoint, tokens=_tokens(folder, recipe, checkpoint, notes))
            recipe = with_micro_batch_tokens(recipe, start.tokens) if start.tokens else recipe
            starts, changed = origin_of(folder).get("starts", []), [*changes.end, *changes.harmless]
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.recipe, recipe_to_yaml(recipe))
    folder.out_of_memory.unlink(missing_ok=True)
    starts.append(
        {
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
            "update": 0 if start.checkpoint is None else update_of(start.checkpoint),
            "hardware": asked.hardware,
            "versions": versions(),
            "changes": changed,
        }
    )
    write_json(folder.origin, {"data": asked.data, "files": digests_of(recipe), "starts": starts})
    return start


def _beyond(folder: RunFolder, checkpoint: Path, asked: Asked, changes: Changes) -> str:
    ends = f" ({'; '.join(changes.end)})" if changes.end else ""
    return (
        f"output: {folder.path} holds a run that has made {update_of(checkpoint):,} updates already, but this one "
        f"ends after {asked.updates:,}{ends}. Let it end later, name another folder with output=…, or start over "
        f"with --fresh (it is kept as {folder.path.name}.N)"
    )


def _tokens(folder: RunFolder, recipe: Recipe, checkpoint: Path | None, notes: list[str]) -> int | None:
    """What train.micro_batch_tokens: auto is in a run that goes on: what it was; less where memory had run out."""
    asked, note = recipe.train.micro_batch_tokens, read_out_of_memory(folder)
    tokens = asked if asked != "auto" else note.smaller if note is not None else None
    if note is not None and tokens is not None and tokens < note.tokens:
        notes.append(
            f"this run ran out of memory {note.where} with train.micro_batch_tokens {note.tokens:,}; it goes on "
            f"with {tokens:,}: from here on updates are cut finer, the same gradient but for dropout's draws"
        )
    elif asked == "auto" and checkpoint is not None:
        tokens = dict(leaves(yaml.safe_load(folder.recipe.read_text(encoding="utf-8"))))[TOKENS]
        notes.append(f"train.micro_batch_tokens: auto → {tokens:,}, with which this run began")
    return tokens if asked == "auto" else None
