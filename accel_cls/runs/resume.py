"""What a command does with the run folder that it names: begin, go on, show a finished run, set it aside, refuse.

`decide` says it, and changes nothing; `open_run` does it. `accel-cls resume` shows the same decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from accel_cls.atomic import write_json, write_text
from accel_cls.checkpoints.checkpoint import list_checkpoints, newest_checkpoint, update_of, with_own_name
from accel_cls.errors import UserError
from accel_cls.memory.sizes import with_micro_batch_tokens
from accel_cls.recipe import Recipe, RecipeError, leaves, read_plain, recipe_to_yaml, with_values
from accel_cls.recipe.keys import RATE
from accel_cls.runs.changes import (
    TOKENS,
    Changes,
    RunSpec,
    changes_of,
    digests_of,
    found_of,
    origin_of,
    teacher_digest,
)
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.runs.out_of_memory import read_out_of_memory
from accel_cls.runs.refitted import restore_selected
from accel_cls.runs.versions import versions


@dataclass(frozen=True)
class Start:
    """Where a run starts."""

    finished: bool = False  # there is nothing to do
    checkpoint: Path | None = None  # to continue from; None starts at update 0
    # What `auto` is in the run that goes on, of train.micro_batch_tokens and train.learning_rate; None: to be found.
    tokens: int | None = None
    rate: float | None = None


class Action(StrEnum):
    """What a command can do with a run folder."""

    BEGIN = "begin"  # a new run, in an empty folder
    CONTINUE = "continue"  # the run that is there
    SHOW = "show"  # a finished run's result, without training
    SET_ASIDE = "set aside"  # rename what is there, and begin a new run
    REFUSE = "refuse"


@dataclass(frozen=True)
class Decision:
    """What a command does with a run folder, and why."""

    action: Action
    why: str = ""  # of a refusal, or of what is set aside
    advice: str = ""  # of a refusal: what to do instead
    changes: Changes = field(default_factory=Changes)
    checkpoint: Path | None = None  # to continue from; None: none verifies, and the run starts at update 0 again
    tokens: int | None = None  # as in `Start`
    rate: float | None = None  # likewise
    notes: tuple[str, ...] = ()

    def refusal(self, folder: RunFolder) -> str:
        """The message of a refusal."""
        if not self.changes.training:
            return f"output: {folder.path} {self.why}; {self.advice}"
        lines = "".join(f"  {change}\n" for change in self.changes.training)
        return f"output: {folder.path} {self.why}:\n{lines}{self.advice[:1].upper()}{self.advice[1:]}"


def lock_and_open_run(folder: RunFolder, spec: RunSpec, fresh: bool, notes: list[str]) -> Start:
    """Take the run folder's lock, then `open_run`.

    Raises:
        UserError: where another run owns the folder, where it can't be written, and as `open_run` does.
    """
    with disk_errors_explained(folder):
        lock_run(folder, notes)
        return open_run(folder, spec, fresh, notes)


def lock_run(folder: RunFolder, notes: list[str]) -> None:
    """Take the run folder's lock.

    Raises:
        UserError: where another run owns the folder, and where it is no folder for a run.
    """
    known = decide_without_data(folder)  # before a lock is put into a folder that is not ours
    if known is not None and known.action == Action.REFUSE:
        raise UserError(known.refusal(folder))
    folder.lock.acquire(notes)


def open_run(folder: RunFolder, spec: RunSpec, fresh: bool, notes: list[str]) -> Start:
    """Do what `decide` says, and record this start. Called by rank 0 only; nothing is ever deleted but renamed.

    Raises:
        UserError: where the command is refused.
    """
    decision = decide(folder, spec, fresh)
    notes += decision.notes
    if decision.action == Action.REFUSE:
        raise UserError(decision.refusal(folder))
    if decision.action == Action.SHOW:
        return Start(finished=True)
    starts: list[dict[str, Any]] = []
    changed: Sequence[str] = []
    found: dict[str, float] = {}
    if decision.action == Action.SET_ASIDE:
        notes.append(f"{decision.why} is kept as {folder.set_aside().name}")
    elif decision.action == Action.CONTINUE:
        folder.results.unlink(missing_ok=True)
        restore_selected(folder)
        starts, changed, found = origin_of(folder).get("starts", []), decision.changes.allowed, found_of(folder)
    checkpoint = with_own_name(decision.checkpoint)
    recipe = with_micro_batch_tokens(spec.recipe, decision.tokens) if decision.tokens else spec.recipe
    recipe = with_values(recipe, {RATE: decision.rate}) if decision.rate else recipe
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.recipe, recipe_to_yaml(recipe))
    folder.out_of_memory.unlink(missing_ok=True)
    starts.append(
        {
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
            "update": 0 if checkpoint is None else update_of(checkpoint),
            "hardware": spec.hardware,
            "precision": spec.precision,
            "versions": versions(),
            "changes": changed,
        }
    )
    origin: dict[str, Any] = {"data": spec.data, "test": spec.test, "files": digests_of(recipe), "starts": starts}
    if spec.pretraining:
        origin["pretraining"] = True
    teacher = teacher_digest(recipe)
    _write_origin(folder, origin if teacher is None else origin | {"teacher": teacher}, found)
    return Start(checkpoint=checkpoint, tokens=decision.tokens, rate=decision.rate)


def record_found(folder: RunFolder, recipe: Recipe, found: dict[str, float]) -> None:
    """Put what a search has found into the run's recipe, and beside it that it was found. Called by rank 0 only."""
    with disk_errors_explained(folder):
        _write_origin(folder, origin_of(folder), found)  # first: a run that is ended in between still says `auto`
        write_text(folder.recipe, recipe_to_yaml(recipe))


def _write_origin(folder: RunFolder, origin: dict[str, Any], found: dict[str, float]) -> None:
    write_json(folder.origin, origin | ({"found": found} if found else {}))


def decide_without_data(folder: RunFolder) -> Decision | None:
    """What is decided before the data are read: where no run is in the folder. None where one is."""
    if folder.path.exists() and not folder.path.is_dir():
        return Decision(Action.REFUSE, "is a file", "name a folder with output=…")
    if folder.path.is_symlink() and not folder.path.exists():
        why = f"is a link to {folder.path.readlink()}, which is not there"
        return Decision(Action.REFUSE, why, "make that folder, or name another one with output=…")
    if folder.is_empty:
        return Decision(Action.BEGIN)
    if not folder.recipe.is_file():
        return Decision(Action.REFUSE, "holds files, but no run of accel_cls", "name another folder with output=…")
    return None


def decide(folder: RunFolder, spec: RunSpec, fresh: bool = False) -> Decision:
    """What a command does with a run folder; nothing in it is changed.

    An unfinished run of the same recipe, data and precision goes on. One of others that is finished, or has no
    checkpoint to lose, and any with `fresh`, is set aside.
    """
    known = decide_without_data(folder)
    if known is not None:
        return known
    if fresh:
        return Decision(Action.SET_ASIDE, "--fresh: what was here")
    elsewhere = f"name another folder with output=…, or start over with --fresh (it is kept as {folder.path.name}.N)"
    try:
        changes = changes_of(folder, spec)
    except RecipeError as error:
        return Decision(Action.REFUSE, f"holds a run whose recipe can't be read:\n{error}\n", elsewhere)
    has_checkpoints = bool(list_checkpoints(folder.checkpoints) or folder.repetitions or folder.trials)
    if changes.training and (folder.is_finished or not has_checkpoints):
        state = "a finished run" if folder.is_finished else "a run without a checkpoint yet,"
        why = f"{folder.path.name} held {state} of another recipe ({'; '.join(changes.training)}); it"
        return Decision(Action.SET_ASIDE, why, changes=changes)
    if changes.training:
        advice = f"continue it with its own recipe, {elsewhere}"
        return Decision(Action.REFUSE, "holds an unfinished run that differs from this one", advice, changes)
    if folder.is_finished and not changes.end and not changes.judged:
        return Decision(Action.SHOW, changes=changes)
    notes: list[str] = []
    checkpoint = newest_checkpoint(folder.checkpoints, notes)
    ends = f" ({'; '.join(changes.end)})" if changes.end else ""
    if checkpoint is not None and update_of(checkpoint) > spec.updates:
        why = f"holds a run that has made {update_of(checkpoint):,} updates already, but this one ends after "
        return Decision(Action.REFUSE, f"{why}{spec.updates:,}{ends}", f"let it end later, {elsewhere}", changes)
    if folder.is_finished and changes.end:
        notes.append(f"the run that ended here is to end elsewhere{ends}")
    if folder.is_finished and changes.judged:
        notes.append(f"the run that ended here is to be judged anew ({'; '.join(changes.judged)})")
    tokens = _tokens(folder, spec.recipe, checkpoint, notes)
    rate = found_of(folder)[RATE] if spec.recipe.train.learning_rate == "auto" and checkpoint is not None else None
    if rate is not None:
        notes.append(f"{RATE}: auto → {rate:g}, which the search before this run has found")
    return Decision(Action.CONTINUE, "", "", changes, checkpoint, tokens, rate, tuple(notes))


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
        tokens = dict(leaves(read_plain(folder.recipe)))[TOKENS]
        notes.append(f"train.micro_batch_tokens: auto → {tokens:,}, with which this run began")
    return tokens if asked == "auto" else None
