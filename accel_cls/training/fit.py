"""A training from a recipe and a corpus to its end: every part made, in the order in which it is needed."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache
from transformers import PreTrainedTokenizerBase

from accel_cls.atomic import write_text
from accel_cls.batching.pairs import count_examples
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import (
    Progress,
    checkpoint_path,
    load_checkpoint,
    manifest_digest,
    update_of,
)
from accel_cls.checkpoints.saving import Saver
from accel_cls.console import Console
from accel_cls.data.corpus import Corpus
from accel_cls.devices.prepare import is_xla, prepare
from accel_cls.errors import UserError
from accel_cls.hardware.accelerator import Hardware
from accel_cls.hardware.main_process import decided_by_main, float_bits, float_of_bits
from accel_cls.memory.available import peak_device_memory, reset_peak_device_memory
from accel_cls.models.compiling import compile_layers
from accel_cls.models.configuration import encoder_width
from accel_cls.recipe import Recipe, recipe_to_yaml
from accel_cls.runs.changes import RunSpec
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.resume import Start, lock_and_open_run
from accel_cls.stopping import SAVE_FILE, Stopped, Stopping
from accel_cls.tasks import Task, task_of
from accel_cls.training.averaging import describe_average, make_average, untried_average
from accel_cls.training.build import build_training, resolve_micro_batch_tokens
from accel_cls.training.gradient_buckets import settle_buckets
from accel_cls.training.inputs import Inputs, load_inputs
from accel_cls.training.linear_probe import fit_last_layer, refit_last_layer
from accel_cls.training.logit_adjustment import begin_adjusted
from accel_cls.training.loop import train
from accel_cls.training.optimizer import make_optimizer
from accel_cls.training.out_of_memory import explain_out_of_memory
from accel_cls.training.static_choice import StaticChoice, choose_static
from accel_cls.training.teacher import Teacher, describe_teacher, load_teacher
from accel_cls.training.training import Training, Watch
from accel_cls.training.unfreezing import make_unfreezing

# What goes through the updates: the training loop, or what measures some of them. Takes the training, its counters,
# and what it runs on, as people call it.
Loop = Callable[[Training, Progress, str], None]


# Makes of a recipe and its corpus what is trained; see `load_inputs`.
Load = Callable[[Recipe, Task, Corpus, Accelerator, list[str]], Inputs]


@dataclass(frozen=True)
class Session:
    """What all trainings of a command share: the run's own, and the trials before it."""

    hardware: Hardware
    stopping: Stopping
    console: Console
    watch: Watch | None = None  # but for this: of one training only


@dataclass(frozen=True)
class Fitted:
    """What came of a training, besides what its run folder holds."""

    recipe: Recipe  # with the number that train.micro_batch_tokens: auto stands for
    plan: Plan
    progress: Progress  # at its end
    device_peak_bytes: int | None  # see `EndedTraining`
    truncated: dict[str, int]  # likewise
    tokenizer: PreTrainedTokenizerBase


def fit(
    session: Session,
    recipe: Recipe,
    corpus: Corpus,
    folder: RunFolder,
    start: Start,
    notes: list[str],
    loop: Loop | None = None,
    load: Load = load_inputs,
) -> Fitted:
    """Make a model and train it, in a run folder that is open. Called by all processes.

    Args:
        session: what it runs on.
        recipe: with a number for a learning rate.
        corpus: what it is trained and scored on.
        folder: where it leaves what it leaves; nothing there says yet that it is finished.
        start: where it starts.
        notes: what the user should know of; takes more.
        loop: in place of the training loop.
        load: makes what is trained.

    Raises:
        Diverged: where its losses are no finite numbers.
        Stopped: where it was told to stop, and has saved what it has.
    """
    hardware, console = session.hardware, session.console
    accelerator = hardware.accelerator
    inputs = _loaded(session, load(recipe, task_of(recipe), corpus, accelerator, notes), recipe, start, notes)
    recipe, sizes, key = resolve_micro_batch_tokens(recipe, inputs, accelerator, start.tokens, notes)
    if key is not None and accelerator.is_main_process:
        write_text(folder.recipe, recipe_to_yaml(recipe))
    plan = _plan_of(recipe, inputs, accelerator)
    unfreezing = make_unfreezing(recipe, inputs.model, plan, accelerator)
    notes += [*unfreezing.describe(plan.updates), *untried_average(recipe, accelerator)]
    notes += hardware.advice(encoder_width(inputs.model.config))
    static = choose_static(recipe, inputs, plan, accelerator, is_measured=loop is not None)
    _show_what_is_trained(recipe, inputs, plan, static, accelerator, notes, console)

    if recipe.train.compile:
        compile_layers(inputs.model, "train.compile", recipe.train.deterministic)
    fit_seconds = _fit_last_layer(recipe, inputs, accelerator, plan, console) if start.checkpoint is None else 0.0
    optimizer = make_optimizer(inputs.model, recipe.train, accelerator.device)
    clipped, kernels = recipe.train.max_grad_norm, recipe.train.kernels
    model, optimizer = prepare(accelerator, inputs.model, optimizer, clipped, kernels, not static.is_static)
    progress = Progress(seconds=fit_seconds, evaluated=-1 if inputs.is_judged_first else 0)
    if start.checkpoint is not None:
        progress = load_checkpoint(accelerator, model, optimizer, start.checkpoint)
    average = make_average(recipe, inputs.model, accelerator, start.checkpoint)
    if accelerator.is_main_process:
        folder.rewind(progress.update, progress.evaluated)
    made = (recipe, plan, inputs, accelerator, model, optimizer, progress, average, unfreezing)
    training = _judged_with_fitted_head(build_training(*made, folder, session.stopping, console), inputs)
    updates = static.updates()
    training = replace(training, watch=session.watch, make_update=None if updates is None else updates.make)
    explain = functools.partial(explain_out_of_memory, training, progress, sizes, key)
    reset_peak_device_memory(accelerator.device)  # what was tried to find a micro-batch's size is over
    _run_loop(loop or _train_to_the_end, hardware.name, training, progress, explain)
    truncated = {"training": inputs.texts.train.truncated, "validation": inputs.texts.validation.truncated}
    return Fitted(recipe, plan, progress, _device_peak_bytes(accelerator), truncated, inputs.trainable.tokenizer)


def _loaded(session: Session, inputs: Inputs, recipe: Recipe, start: Start, notes: list[str]) -> Inputs:
    """What is trained, the same in all processes, with the answers of its teacher, where it has one."""
    hardware = session.hardware
    teacher = None if recipe.distill is None else load_teacher(recipe.distill, inputs.corpus, inputs.task)
    facts = _facts(inputs, start, teacher)
    hardware.require_same("model", facts, "Give all machines the same model folder, and one disk for `output`")
    hardware.rendezvous.close()
    if teacher is not None:
        session.console.set_state("the teacher answers")
        answers = teacher.answers(inputs.trainable.watched.last_layer, hardware.accelerator, notes)
        inputs, teacher = replace(inputs, teacher=answers), None
        clear_device_cache(garbage_collection=True)  # what is trained needs the memory
    return inputs


def _facts(inputs: Inputs, start: Start, teacher: Teacher | None) -> dict[str, str]:
    """What has to be the same in all processes."""
    return {
        "token ids": inputs.texts.learned.digest[:16],
        "weights": f"{inputs.model.num_parameters():,}",
        "checkpoint": manifest_digest(start.checkpoint),
        "teacher": "" if teacher is None else teacher.key[:16],
    }


def _plan_of(recipe: Recipe, inputs: Inputs, accelerator: Accelerator) -> Plan:
    learned, contrast = inputs.texts.learned, inputs.trainable.contrast
    pairs, kind = None if contrast is None else contrast.pairs.texts, (is_xla(accelerator), inputs.trainable.packed)
    return Plan.of(recipe, learned.lengths, *kind, learned.windows, inputs.strata(), pairs)


def _device_peak_bytes(accelerator: Accelerator) -> int | None:
    """The most memory in use on a device, of all processes the largest. Called by all of them."""
    peak = peak_device_memory(accelerator.device)
    if peak is None:
        return None
    told = torch.zeros(accelerator.num_processes, dtype=torch.int64, device=accelerator.device)
    told[accelerator.process_index] = peak
    return int(accelerator.reduce(told, "sum").max())


def _fit_last_layer(recipe: Recipe, inputs: Inputs, accelerator: Accelerator, plan: Plan, console: Console) -> float:
    """Where the recipe says so, fit the head to the encoder as it is; returns the seconds that it took.

    Where logits are adjusted, another head begins by what it will answer with.
    """
    if not recipe.model.is_fitted and recipe.train.head_init != "probe":
        begin_adjusted(recipe, inputs)
        return 0.0
    began, told = time.monotonic(), list[str]()
    fit_last_layer(recipe, inputs, accelerator, plan.layout, told)
    for note in told:
        console.note(note)
    return time.monotonic() - began


def _judged_with_fitted_head(training: Training, inputs: Inputs) -> Training:
    """Where pairs are learned from, which teach the head nothing, it is fitted to the encoder before it is judged.

    What it becomes follows from the encoder alone: a run that goes on has the same, wherever it was interrupted.
    """
    t, contrast = training, inputs.trainable.contrast
    if contrast is None:
        return training

    def fit_head() -> None:
        told: list[str] = []
        t.console.set_state("fitting the head")
        refit_last_layer(t.recipe, inputs, t.accelerator, contrast.layer, t.plan.layout, told)
        for note in told:
            t.console.note(note)

    return replace(training, before_evaluation=fit_head)


def _train_to_the_end(training: Training, progress: Progress, hardware: str) -> None:
    t = training
    if t.recipe.model.is_fitted:
        progress.update = t.plan.updates  # the fit was the one update: what is left is to evaluate and to save
    else:
        settle_buckets(t.accelerator, t.model, t.optimizer, t.objective, t.train, t.plan)
    train(t, progress)


def _show_what_is_trained(
    recipe: Recipe,
    inputs: Inputs,
    plan: Plan,
    static: StaticChoice,
    accelerator: Accelerator,
    notes: Sequence[str],
    console: Console,
) -> None:
    """The banner's sections on data, model and plan, and all notes."""
    compiled = [("programs", plan.programs(inputs.texts.validation.lengths))] if is_xla(accelerator) else []
    lengths = inputs.texts.learned.describe(recipe.data.max_length)
    console.section_once("data", [*inputs.describe_data(recipe), lengths])
    taught = [] if recipe.distill is None else [describe_teacher(recipe.distill)]
    console.section_once("model", [inputs.describe_model(recipe), *taught])
    lines = [*plan.describe(recipe, accelerator.num_processes), *describe_average(recipe, accelerator)]
    console.section_once("plan", [*lines, *static.describe(), *compiled])
    for note in notes:
        console.note(note)


def _run_loop(
    loop: Loop,
    hardware: str,
    training: Training,
    progress: Progress,
    explain: Callable[[RuntimeError | MemoryError], UserError | None],
) -> None:
    """Train; an error that can be explained becomes a message to the user."""
    saver, folder = training.saver, training.artifacts.folder
    training.console.start(progress.update, training.plan.updates)
    if training.accelerator.is_main_process:
        (folder.path / SAVE_FILE).unlink(missing_ok=True)  # a stop that was asked for before is over
    try:
        training.stopping.begin_training()
        loop(training, progress, hardware)
    except Stopped as stop:
        training.stopping.end_training()
        training.console.stop()
        training.console.section(str(stop), _describe_stop(folder, training.plan, progress, saver))
        stop.is_told = True
        raise
    except (RuntimeError, MemoryError) as error:
        explained = explain(error)
        if explained is None:
            raise
        raise explained from error
    finally:
        training.console.stop()
        if training.accelerator.is_main_process:
            (folder.path / SAVE_FILE).unlink(missing_ok=True)
        training.artifacts.tracking.finish()
        saver.wait()  # what is being written is a whole checkpoint in a moment


def _describe_stop(folder: RunFolder, plan: Plan, progress: Progress, saver: Saver) -> list[tuple[str, str]]:
    """What a run that was told to stop leaves, as named lines."""
    lines = [("after", f"update {progress.update:,} of {plan.updates:,}")]
    if progress.update:
        where = checkpoint_path(Path(os.path.relpath(folder.checkpoints)), saver.update)
        lines.append(("saved", f"{where}, in {saver.seconds_of_last:.1f} s"))
    return [*lines, ("to go on", "run the same command again")]


def open_on_main(
    session: Session,
    folder: RunFolder,
    recipe: Recipe,
    corpus: Corpus,
    fresh: bool = False,
    pretraining: bool = False,
) -> Start:
    """Let the main process open the run folder, and every process know where the run starts.

    Raises:
        UserError: where the main process is refused; on the others ToldElsewhere.
    """
    hardware, notes = session.hardware, list[str]()
    new, finished = 0, -1

    def opened() -> Sequence[int]:
        run = hardware.name, hardware.precision, corpus.test_digest
        spec = RunSpec(recipe, corpus.digest, count_examples(recipe, corpus), *run, pretraining)
        start = lock_and_open_run(folder, spec, fresh, notes)
        update = new if start.checkpoint is None else update_of(start.checkpoint)
        return finished if start.finished else update, start.tokens or 0, float_bits(start.rate or 0)

    told, tokens, bits = decided_by_main(hardware.accelerator, 3, opened)
    for note in notes:
        session.console.note(note)
    if told == finished:
        return Start(finished=True)
    if told:
        session.console.note(f"continues an unfinished run from update {told}, its checkpoint verified")
    checkpoint = checkpoint_path(folder.checkpoints, told) if told else None
    return Start(checkpoint=checkpoint, tokens=tokens or None, rate=float_of_bits(bits) or None)
