"""Where a recipe's run stands, and what the command that starts it would do. Looks only, and changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from accel_cls.batching.pairs import count_examples
from accel_cls.checkpoints.checkpoint import find_fault, list_checkpoints, update_of
from accel_cls.console import Console
from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.profiles import find_profile, precision_name, profile_to_launch, shell
from accel_cls.recipe import Recipe, load_recipe
from accel_cls.recipe.repeats import first_run_of, repetitions_of
from accel_cls.runs.changes import RunSpec
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.results import read_results
from accel_cls.runs.resume import Action, Decision, decide, decide_without_data
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
    state: str  # none, something else, running, unfinished, finished
    logged: int | None = None  # the last update in metrics.jsonl
    checkpoints: Sequence[Saved] = ()  # the newest first
    changes: Sequence[str] = ()  # in the recipe or the data, after which the run can't be continued
    end: Sequence[str] = ()  # in the recipe: only where the run ends
    harmless: Sequence[str] = ()  # in the recipe: nothing of what it does
    scores: dict[str, float] = field(default_factory=dict)
    runs: Sequence[str] = ()  # of a recipe with `repeat` or `search`, each with its state
    action: str = ""  # what the command would do: begin, continue, show, set aside, refuse
    next: str = ""  # the same in words
    command: str | None = None  # that does so; None where it would be refused
    instead: Sequence[tuple[str, str]] = ()  # commands that would not be, and what each does

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
    decision = decide_without_data(folder)
    is_refused = decision is not None and decision.action == Action.REFUSE
    if not is_refused and (taken := folder.lock.refusal()) is not None:
        next_ = f"is refused: {taken.removeprefix('output: ')}"
        return State(where, "running", _last_logged(folder), action=Action.REFUSE, next=next_)
    if decision is not None:
        state = "none" if decision.action == Action.BEGIN else "something else"
        next_ = _in_words(decision)
        return State(where, state, action=decision.action, next=next_, command=None if is_refused else command)
    decision = decide(folder, _spec_of(recipe))
    is_refused = decision.action == Action.REFUSE
    runs = [*_runs(recipe)]
    return State(
        folder=where,
        state="finished" if folder.is_finished else "unfinished",
        logged=_last_logged(folder),
        checkpoints=[Saved(one.name, update_of(one), find_fault(one)) for one in list_checkpoints(folder.checkpoints)],
        changes=decision.changes.training,
        end=[*decision.changes.end, *decision.changes.judged],
        harmless=decision.changes.harmless,
        scores=read_results(folder)["scores"] if folder.is_finished and not runs else {},
        runs=runs,
        action=decision.action,
        next=_in_words(decision) if not runs or decision.action != Action.CONTINUE else "goes on with the runs",
        command=None if is_refused else command,
        instead=[*_instead(folder, where, command)] if is_refused else (),
    )


def _runs(recipe: Recipe) -> Iterator[str]:
    """The runs of a recipe with `repeat`, or trials of one with `search` so far, each with where it stands."""
    for run in repetitions_of(recipe):
        folder = RunFolder(run.recipe.output)
        state = "finished" if folder.is_finished else "unfinished" if folder.is_run else "not begun"
        yield f"{run.name}: {state}{_logged(folder)}"
    if recipe.search is not None:
        trials = RunFolder(recipe.output).trials
        yield f"{len(trials)} of {recipe.search.trials} trials have begun"
        yield from (f"trial {trial.path.name}: begun{_logged(trial)}" for trial in trials[-1:])


def _logged(folder: RunFolder) -> str:
    last = _last_logged(folder)
    return "" if last is None else f", logged up to update {last:,}"


def _spec_of(recipe: Recipe) -> RunSpec:
    corpus = load_corpus(first_run_of(recipe), task_of(recipe))
    count = count_examples(recipe, corpus)
    return RunSpec(recipe, corpus.digest, count, precision=_precision_of(recipe), test=corpus.test_digest)


def _instead(folder: RunFolder, where: str, command: str) -> Iterator[tuple[str, str]]:
    """What can be done with a folder whose run the command would not continue."""
    try:
        own = load_recipe(folder.recipe)
        decision = decide(folder, _spec_of(own))
    except UserError:  # its recipe or its data are not what they were: it can't go on
        pass
    else:
        if decision.action != Action.REFUSE:
            yield shell(["accel-cls", "launch", os.path.join(where, folder.recipe.name)]), _in_words(decision)
    yield f"{command} --fresh", f"keeps this run as {folder.path.name}.N, and begins a new one, at update 0"


def _precision_of(recipe: Recipe) -> str:
    """The precision of the command that is shown."""
    profile = find_profile(recipe.hardware) or profile_to_launch("auto", None)
    assert profile is not None
    return precision_name(profile.mixed_precision)


def _in_words(decision: Decision) -> str:
    """What the command would do."""
    if decision.action == Action.BEGIN:
        return "begins a new run, at update 0"
    if decision.action == Action.SET_ASIDE:
        return "keeps this run under another name, and begins a new one, at update 0"
    if decision.action == Action.SHOW:
        return "shows the result again and trains nothing; with --fresh it trains again"
    if decision.action == Action.REFUSE:
        return f"is refused, since this folder {decision.why}; {decision.advice}"
    if decision.checkpoint is None:
        return "begins again at update 0, since no checkpoint verifies"
    return f"goes on from update {update_of(decision.checkpoint):,}"


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
    lines += [("", run) for run in state.runs]
    if state.state in ("unfinished", "finished") and not state.checkpoints and not state.runs:
        lines.append(("checkpoint", "none yet"))
    lines += [("differs", change) for change in (*state.changes, *state.end, *state.harmless)]
    lines.append(("this command", state.next))
    console.section("state", lines)
    if state.command is not None:
        console.print(f"\n$ {state.command}")
    for command, what in state.instead:
        console.print(f"\n# {what}\n$ {command}")


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
