"""Where a recipe's run stands, and what the command that starts it would do. Looks only, and changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from accel_cls.checkpoints.checkpoint import find_fault, list_checkpoints, update_of
from accel_cls.console import Console
from accel_cls.data.corpus import load_corpus
from accel_cls.profiles import shell
from accel_cls.recipe import Recipe
from accel_cls.runs.changes import Asked, changes_of
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.report import read_results
from accel_cls.tasks import task_of


@dataclass(frozen=True)
class Saved:
    """A checkpoint, and what is wrong with it."""

    name: str
    update: int
    fault: str | None


@dataclass(frozen=True)
class State:
    """Where a run stands."""

    folder: str
    state: str  # none, something else, unfinished, finished
    logged: int | None = None  # the last update in metrics.jsonl
    checkpoints: Sequence[Saved] = ()  # the newest first
    changes: Sequence[str] = ()  # in the recipe or the data, after which the run can't be continued
    end: Sequence[str] = ()  # in the recipe: only where the run ends
    harmless: Sequence[str] = ()  # in the recipe: nothing of what it does
    scores: dict[str, float] = field(default_factory=dict)
    next: str = ""  # what the command would do
    command: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


def state_of(path: str, recipe: Recipe, overrides: Sequence[str]) -> State:
    """Look at a recipe's run folder.

    Raises:
        UserError: where the data can't be read, since they are a part of what a run is.
    """
    folder, command = RunFolder(recipe.output), shell(["accel-cls", "launch", path, *overrides])
    where = min(os.path.relpath(folder.path), str(folder.path), key=len)
    if folder.is_empty:
        return State(where, "none", next="begins a new run, at update 0", command=command)
    if not folder.recipe.is_file():
        refused = "is refused, since this is no run of accel_cls; name another folder with output=…"
        return State(where, "something else", next=refused, command=command)
    corpus = load_corpus(recipe, task_of(recipe))
    asked = Asked(recipe, corpus.digest, len(corpus.train.labels))
    differing = changes_of(folder, asked)
    checkpoints = [Saved(one.name, update_of(one), find_fault(one)) for one in list_checkpoints(folder.checkpoints)]
    newest = next((one for one in checkpoints if one.fault is None), None)
    scores = read_results(folder)["scores"] if folder.is_finished else {}
    if differing.training and (folder.is_finished or not checkpoints):
        what = "keeps this run under another name, and begins a new one, at update 0"
    elif differing.training:
        what = "is refused: continue with the recipe of this run, name another folder with output=…, or add --fresh"
    elif folder.is_finished and not differing.end:
        what = "shows the result again and trains nothing; with --fresh it trains again"
    elif newest is None:
        what = "begins again at update 0, since no checkpoint verifies"
    elif newest.update > asked.updates:
        what = f"is refused, since this run has made more than its {asked.updates:,} updates already; let it end later"
    else:
        what = f"goes on from update {newest.update:,}"
    return State(
        folder=where,
        state="finished" if folder.is_finished else "unfinished",
        logged=_last_logged(folder),
        checkpoints=checkpoints,
        changes=differing.training,
        end=differing.end,
        harmless=differing.harmless,
        scores=scores,
        next=what,
        command=command,
    )


def show_state(state: State, console: Console) -> None:
    """Show it to a person, with the command last."""
    kinds = {"none": "no run yet", "something else": "holds something else than a run"}
    text = kinds.get(state.state, state.state)
    if state.logged is not None:
        text += f", logged up to update {state.logged:,}"
    lines = [("run", f"{state.folder}: {text}")]
    if state.scores:
        lines.append(("best", ", ".join(f"{name} {score:.4f}" for name, score in state.scores.items())))
    for one in state.checkpoints:
        lines.append(("checkpoint", f"{one.name}: {'verified' if one.fault is None else one.fault}"))
    if state.state in ("unfinished", "finished") and not state.checkpoints:
        lines.append(("checkpoint", "none yet"))
    lines += [("differs", change) for change in (*state.changes, *state.end, *state.harmless)]
    lines.append(("this command", state.next))
    console.section("state", lines)
    console.print(f"\n$ {state.command}")


def _last_logged(folder: RunFolder) -> int | None:
    """The last update of metrics.jsonl; a last line that was cut off does not count."""
    if not folder.metrics.is_file():
        return None
    for line in reversed(folder.metrics.read_text(encoding="utf-8", errors="replace").splitlines()):
        try:
            return int(json.loads(line)["update"])
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return None
