"""A command from a checked recipe to a finished run folder: its training, perhaps a search before it, what is told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from accel_cls.console import Console, duration
from accel_cls.data.corpus import Corpus
from accel_cls.data.loading import load_corpus
from accel_cls.devices.deterministic import deterministic_algorithms
from accel_cls.devices.prepare import let_go, scaler_state
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.behaviour.variations import behaviour_results, vary
from accel_cls.evaluation.deciding.rules import require_decidable
from accel_cls.evaluation.metrics.scores import require_metrics
from accel_cls.hardware.accelerator import start_hardware
from accel_cls.hardware.main_process import decided_by_main
from accel_cls.hardware.rendezvous import Rendezvous, join_rendezvous, lost_process_explained
from accel_cls.profiles import shell
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.keys import RATE
from accel_cls.recipe.rules import idle_settings
from accel_cls.reporting.averages import describe_mean
from accel_cls.reporting.decision_words import describe_calibration, describe_rules
from accel_cls.reporting.finish import EndedTraining, finish_run, require_best
from accel_cls.reporting.markdown import (
    describe_dropped,
    describe_memory,
    describe_saves,
    describe_score,
    describe_test,
    verdict_of,
)
from accel_cls.reporting.pretraining import pretraining_results, read_beforehand
from accel_cls.reporting.refit import describe_refit
from accel_cls.reporting.teacher import describe_flattery, teacher_results
from accel_cls.runs.answers import read_answers, write_answers
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.runs.results import read_results
from accel_cls.runs.resume import Start, record_found
from accel_cls.stopping import Stopping
from accel_cls.tasks import Task, task_of
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.encode import are_cut
from accel_cls.training.fit import Fitted, Loop, Session, fit, open_on_main
from accel_cls.training.held_out import KeptModel
from accel_cls.training.refit import refit

# What a command does between the start of its hardware and its end; gives what shows the result, on the main process.
Work = Callable[["Command", Session, RunFolder], Callable[[], None] | None]
# What finds the values that a recipe leaves to a search, by trials on a part of the corpus's training examples. Takes
# the run folder, too; called by all processes, and gives all of them the same values by key.
Search = Callable[[Session, Recipe, Corpus, RunFolder], dict[str, float]]


@dataclass(frozen=True)
class Command:
    """What a command line asks for."""

    recipe: Recipe
    path: str  # of the recipe, as on the command line, to print commands
    overrides: Sequence[str]  # likewise
    fresh: bool
    join_timeout: int  # seconds to wait for other processes
    began: float  # in monotonic seconds
    search: Search  # for a recipe with train.learning_rate: auto
    is_search: bool = False  # only that is asked for, whatever the recipe's rate
    notes: Sequence[str] = ()  # what was decided before, and is to be told
    cpu_notes: Sequence[str] = ()  # likewise, of what matters on a CPU only
    loop: Loop | None = None  # in place of the training loop: then nothing is finished, and no result shown
    work: Work | None = None  # in place of one training: several, for `repeat` or `search`, or a pre-training


def run_command(command: Command, stopping: Stopping) -> None:
    """Train a recipe on the hardware at hand, or only measure some updates of it."""
    rendezvous = join_rendezvous(command.join_timeout)
    folder = RunFolder(command.recipe.output)
    with (
        rendezvous.announcing_failure(),
        lost_process_explained(),
        closing(folder.lock),
        disk_errors_explained(folder),
    ):
        _run(command, rendezvous, folder, stopping)


def _run(command: Command, rendezvous: Rendezvous, folder: RunFolder, stopping: Stopping) -> None:
    recipe = command.recipe
    hardware = start_hardware(recipe, command.path, command.overrides, rendezvous)
    console = Console(quiet=not hardware.accelerator.is_main_process)
    console.section(f"accel_cls · {recipe.name} · {command.path}", hardware.describe())
    require_metrics(recipe.evaluate.metrics)
    session = Session(hardware, stopping, console)
    with deterministic_algorithms(hardware.accelerator.device, recipe.train.deterministic):
        show = (command.work or _work)(command, session, folder)
    hardware.accelerator.end_training()
    if hardware.accelerator.is_main_process and show is not None:
        show()


def _work(command: Command, session: Session, folder: RunFolder) -> Callable[[], None] | None:
    """One training, a search for its learning rate, or some updates of it; see `Work`."""
    corpus = load_checked(session, command.recipe)
    if command.is_search:
        for note in (*command.notes, *corpus.notes):
            session.console.note(note)
        command.search(session, command.recipe, corpus, folder)
        return None
    was_finished = _train(command, session, corpus, folder)
    if command.loop is not None:
        return None
    began = None if was_finished else command.began
    return partial(_show_finished, folder, corpus, session.console, began)


def load_checked(session: Session, recipe: Recipe) -> Corpus:
    """A recipe's corpus, the same on all processes."""
    corpus = load_corpus(recipe, task_of(recipe))
    require_decidable(recipe.decide, corpus)
    session.hardware.require_same("data", corpus.facts(), "Give all machines the same data files")
    return corpus


def _train(command: Command, session: Session, corpus: Corpus, folder: RunFolder) -> bool:
    """The command's own training, after the search for its learning rate; whether it was finished before."""
    start = open_on_main(session, folder, command.recipe, corpus, command.fresh)
    if start.finished:
        return True
    recipe = with_found_rate(command, session, command.recipe, corpus, folder, start)
    notes = notes_of(command, session, corpus)
    fitted = fit(session, recipe, corpus, folder, start, notes, command.loop)
    if command.loop is None:
        finish(session, corpus, folder, fitted)
    session.hardware.accelerator.wait_for_everyone()
    return False


def notes_of(command: Command, session: Session, corpus: Corpus) -> list[str]:
    """What the user should know of before a training."""
    is_cpu = session.hardware.accelerator.device.type == "cpu"
    idle = [f"{'.'.join(key)} is {why}" for key, why, _ in idle_settings(command.recipe)]
    notes = [*command.notes, *corpus.notes, *(command.cpu_notes if is_cpu else ()), *idle]
    if command.recipe.distill is not None and session.hardware.accelerator.is_main_process:  # it may read data again
        notes += describe_flattery(teacher_results(command.recipe, corpus))
    beforehand = read_beforehand(pretraining_results(command.recipe, corpus))
    return [*notes, *(f"{what}; {do}" for what, do in beforehand)]


def with_found_rate(
    command: Command, session: Session, recipe: Recipe, corpus: Corpus, folder: RunFolder, start: Start
) -> Recipe:
    """A recipe with the number that train.learning_rate: auto stands for, which is searched for where it is not known.

    Args:
        recipe: that is trained, on this corpus.
        folder: the command's, which keeps the search, and what was found in its own recipe.
        start: of the command's run.
    """
    if recipe.train.learning_rate != "auto":
        return recipe
    found = {RATE: start.rate} if start.rate else command.search(session, recipe, corpus, folder)
    if session.hardware.accelerator.is_main_process and not start.rate:
        record_found(folder, with_values(command.recipe, found), found)
    return with_values(recipe, found)


def finish(session: Session, corpus: Corpus, folder: RunFolder, fitted: Fitted) -> None:
    """Ask the best model about what it has not been asked yet, and judge its answers. Called by all processes."""
    hardware, console = session.hardware, session.console
    accelerator, task = hardware.accelerator, task_of(fitted.recipe)
    decided_by_main(accelerator, 0, lambda: require_best(fitted.progress, fitted.recipe))
    let_go(accelerator, scaler_state(accelerator))  # what follows needs its memory
    kept, recipe, refitted = KeptModel(accelerator, folder), fitted.recipe, None
    behaviour = _ask_about_changes(kept, recipe, corpus, task)
    if recipe.is_refitted:
        kept = KeptModel(accelerator, folder)  # the other one's memory is needed
        refitted = refit(session, corpus, folder, fitted)
    test = None if corpus.test is None else kept.ask(corpus.test)
    if accelerator.is_main_process:
        console.set_state("baselines and report")
        if test is not None:
            write_answers(folder, "test", test, task, corpus.classes.names)
        told: list[str] = []
        validation = Answers(corpus.validation, read_answers(folder, "validation").logits)
        cutting = Cutting.of(recipe.data)
        cut = {part: are_cut(fitted.tokenizer, rows.texts, cutting) for part, rows in corpus.judged.items()}
        ran = (folder, recipe, fitted.plan, fitted.progress, task, corpus, hardware.name)
        judged = (validation, test, fitted.truncated, cut, behaviour, refitted)
        finish_run(EndedTraining(*ran, fitted.device_peak_bytes, *judged), told)
        for note in told:
            console.note(note)


def _ask_about_changes(kept: KeptModel, recipe: Recipe, corpus: Corpus, task: Task) -> dict[str, Any] | None:
    """How the best model answers to validation texts that are changed; None where the recipe does not ask."""
    count = recipe.evaluate.behaviour
    if not count:
        return None
    variations = vary(corpus.validation, count, recipe.seed)
    answers = kept.ask(variations.examples())
    if answers is None:  # another process has them
        return None
    return behaviour_results(variations, answers.logits, task, corpus.classes.names)


def _show_finished(folder: RunFolder, corpus: Corpus, console: Console, began: float | None) -> None:
    """Tell what a finished run has come to; without `began`, in monotonic seconds, it was finished before."""
    seconds = None if began is None else time.monotonic() - began
    results = read_results(folder)
    where = min(os.path.relpath(folder.path), str(folder.path), key=len)
    key = results["decided_by"]
    state = "finished" if seconds is not None else "this run is already finished; --fresh trains it again"
    text = min((text for text in corpus.validation.texts[:100]["text"]), key=lambda text: abs(len(text) - 12))
    command = ["python", "-m", "accel_cls.predict", where, "--text", text]
    if "pair" in corpus.validation.texts.column_names:
        command = ["python", "-m", "accel_cls.predict", where, "--file", "PAIRS.csv"]
    lines = [
        ("best", f"{key} {describe_score(key, results)} after epoch {results['epoch']:.2f}"),
        *([("weights", f"{told[:1].lower()}{told[1:]}")] if (told := describe_mean(results)) else []),
        *([("test", describe_test(results))] if results.get("test") else []),
        *([("refit", f"{told[:1].lower()}{told[1:]}")] if (told := describe_refit(results)) else []),
        *([("verdict", verdict_of(results))] if "verdict" in results else []),  # not in runs of older versions
        *([("calibrated", told)] if (told := describe_calibration(results)) else []),
        *(("decides", rule) for rule in describe_rules(results)),
        *(("left out", dropped) for dropped in describe_dropped(results)),
        *(("look at", sentence) for sentence in results.get("advice", ())),
        ("model", os.path.join(where, "model")),
        ("report", f"{os.path.join(where, 'report.html')}, and report.md for a terminal"),
        ("training took", duration(results["seconds"])),
        ("try it", shell(command)),
    ]
    if seconds is not None:
        memory = describe_memory(results)
        taken = [("memory", memory)] if memory else []
        lines[-1:-1] = [("checkpoints", describe_saves(results)), *taken, ("in all", duration(seconds))]
    console.section(state, lines)
