"""A run from a checked recipe to a finished run folder: every part made, in the order it is needed."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from accel_cls.atomic import write_text
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress, checkpoint_path, load_checkpoint, manifest_digest, update_of
from accel_cls.console import Console, duration
from accel_cls.data.corpus import Corpus, load_corpus
from accel_cls.devices.deterministic import deterministic_algorithms
from accel_cls.devices.prepare import is_xla, prepare
from accel_cls.errors import ToldElsewhere, UserError
from accel_cls.hardware.accelerator import Hardware, start_hardware
from accel_cls.hardware.rendezvous import Rendezvous, join_rendezvous, lost_process_explained
from accel_cls.memory.available import peak_device_memory, reset_peak_device_memory
from accel_cls.memory.sizes import MicroBatchSizes
from accel_cls.models.classifier import describe_model
from accel_cls.profiles import shell
from accel_cls.recipe import Recipe, recipe_to_yaml
from accel_cls.recipe.rules import idle_settings
from accel_cls.runs.changes import RunSpec
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.runs.report import describe_dropped, describe_memory, describe_saves
from accel_cls.runs.results import describe_stop, finish_run, read_results
from accel_cls.runs.resume import Start, lock_and_open_run
from accel_cls.stopping import SAVE_FILE, Stopped, Stopping
from accel_cls.tasks import task_of
from accel_cls.training.build import Inputs, build_training, load_inputs, resolve_micro_batch_tokens
from accel_cls.training.gradient_buckets import settle_buckets
from accel_cls.training.linear_probe import fit_last_layer
from accel_cls.training.loop import Training, train
from accel_cls.training.optimizer import make_optimizer
from accel_cls.training.out_of_memory import explain_out_of_memory

# What goes through the updates: the training loop, or what measures some of them. Takes the training, its counters,
# and what it runs on, as people call it.
Loop = Callable[[Training, Progress, str], None]


@dataclass(frozen=True)
class Command:
    """What a command line asks for."""

    recipe: Recipe
    path: str  # of the recipe, as on the command line, to print commands
    overrides: Sequence[str]  # likewise
    fresh: bool
    join_timeout: int  # seconds to wait for other processes
    began: float  # in monotonic seconds
    notes: Sequence[str] = ()  # what was decided before, and is to be told
    cpu_notes: Sequence[str] = ()  # likewise, of what matters on a CPU only
    loop: Loop | None = None  # in place of the training loop: then nothing is finished, and no result shown


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
    corpus = load_corpus(recipe, task_of(recipe))
    hardware.require_same("data", corpus.facts(), "Give all machines the same data files")
    start = _open_on_main(hardware, folder, recipe, corpus, command.fresh, console)
    if not start.finished:
        with deterministic_algorithms(hardware.accelerator.device, recipe.train.deterministic):
            _train(command, hardware, corpus, folder, start, console, stopping)
    hardware.accelerator.end_training()
    if hardware.accelerator.is_main_process and command.loop is None:
        _show_finished(folder, corpus, console, None if start.finished else time.monotonic() - command.began)


def _train(
    command: Command,
    hardware: Hardware,
    corpus: Corpus,
    folder: RunFolder,
    start: Start,
    console: Console,
    stopping: Stopping,
) -> None:
    recipe, accelerator, notes = command.recipe, hardware.accelerator, [*command.notes, *corpus.notes]
    notes += command.cpu_notes if accelerator.device.type == "cpu" else ()
    notes += [f"{'.'.join(key)} is {why}" for key, why, _ in idle_settings(recipe)]
    inputs = load_inputs(recipe, task_of(recipe), corpus, accelerator, notes)
    facts = {
        "token ids": inputs.train.digest[:16],
        "weights": f"{inputs.model.num_parameters():,}",
        "checkpoint": manifest_digest(start.checkpoint),
    }
    hardware.require_same("model", facts, "Give all machines the same model folder, and one disk for `output`")
    hardware.rendezvous.close()
    recipe, sizes, key = resolve_micro_batch_tokens(recipe, inputs, accelerator, start.tokens, notes)
    if key is not None and accelerator.is_main_process:
        write_text(folder.recipe, recipe_to_yaml(recipe))
    plan = Plan.of(recipe, inputs.train.lengths, is_xla(accelerator), inputs.packed)
    _show_what_is_trained(recipe, inputs, plan, accelerator, notes, console)

    fit_seconds = _fit_last_layer(recipe, inputs, accelerator, plan, console) if start.checkpoint is None else 0.0
    optimizer = make_optimizer(inputs.model, recipe.train, accelerator.device)
    model, optimizer = prepare(accelerator, inputs.model, optimizer, recipe.train.max_grad_norm, recipe.train.kernels)
    progress = (
        Progress(seconds=fit_seconds)
        if start.checkpoint is None
        else load_checkpoint(accelerator, model, optimizer, start.checkpoint)
    )
    if accelerator.is_main_process:
        folder.rewind(progress.update, progress.evaluated)
    training = build_training(recipe, plan, inputs, accelerator, model, optimizer, progress, folder, stopping, console)
    explain = functools.partial(_explain_out_of_memory, training, progress, sizes, key)
    reset_peak_device_memory(accelerator.device)  # what was tried to find a micro-batch's size is over
    _run_loop(command.loop or _train_to_the_end, hardware.name, training, progress, explain)
    peak = _device_peak_bytes(accelerator)
    if accelerator.is_main_process and command.loop is None:
        console.set_state("baselines")
        told: list[str] = []
        finish_run(folder, recipe, plan, progress, inputs.task, corpus, hardware.name, peak, told)
        for note in told:
            console.note(note)
    accelerator.wait_for_everyone()


def _device_peak_bytes(accelerator: Accelerator) -> int | None:
    """The most memory in use on a device, of all processes the largest. Called by all of them."""
    peak = peak_device_memory(accelerator.device)
    if peak is None:
        return None
    told = torch.zeros(accelerator.num_processes, dtype=torch.int64, device=accelerator.device)
    told[accelerator.process_index] = peak
    return int(accelerator.reduce(told, "sum").max())


def _fit_last_layer(recipe: Recipe, inputs: Inputs, accelerator: Accelerator, plan: Plan, console: Console) -> float:
    """Where the recipe says so, fit the head to the encoder as it is; returns the seconds that it took."""
    if recipe.model.freeze is None and recipe.train.head_init != "probe":
        return 0.0
    began, told = time.monotonic(), list[str]()
    fit_last_layer(recipe, inputs, accelerator, plan.layout, told)
    for note in told:
        console.note(note)
    return time.monotonic() - began


def _train_to_the_end(training: Training, progress: Progress, hardware: str) -> None:
    t = training
    if t.recipe.model.freeze:
        progress.update = t.plan.updates  # the fit was the one update: what is left is to evaluate and to save
    else:
        settle_buckets(t.accelerator, t.model, t.optimizer, t.objective, t.train, t.plan)
    train(t, progress)


def _show_what_is_trained(
    recipe: Recipe, inputs: Inputs, plan: Plan, accelerator: Accelerator, notes: Sequence[str], console: Console
) -> None:
    """The banner's sections on data, model and plan, and all notes."""
    compiled = [("programs", plan.programs(inputs.validation.lengths))] if is_xla(accelerator) else []
    lengths = inputs.train.describe(recipe.data.max_length)
    console.section("data", [*inputs.corpus.describe(recipe.data), lengths])
    console.section("model", [describe_model(inputs.model, recipe)])
    console.section("plan", [*plan.describe(recipe, accelerator.num_processes), *compiled])
    for note in notes:
        console.note(note)


def _explain_out_of_memory(
    t: Training, progress: Progress, sizes: MicroBatchSizes, key: str | None, error: RuntimeError | MemoryError
) -> UserError | None:
    return explain_out_of_memory(
        error,
        plan=t.plan,
        progress=progress,
        accelerator=t.accelerator,
        folder=t.artifacts.folder,
        is_training=t.model.training,
        max_length=t.recipe.data.max_length,
        sizes=sizes,
        key=key,
    )


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
        training.console.section(str(stop), describe_stop(folder, training.plan, progress, saver))
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
        saver.wait()  # what is being written is a whole checkpoint in a moment


def _open_on_main(
    hardware: Hardware, folder: RunFolder, recipe: Recipe, corpus: Corpus, fresh: bool, console: Console
) -> Start:
    """Let the main process open the run folder, and every process know where the run starts."""
    accelerator = hardware.accelerator
    failed, finished = -2, -1
    decision = torch.zeros(2, dtype=torch.int64, device=accelerator.device)  # where to start, with which size
    notes: list[str] = []
    error: UserError | None = None
    if accelerator.is_main_process:
        try:
            spec = RunSpec(recipe, corpus.digest, len(corpus.train.labels), hardware.name, hardware.precision)
            start = lock_and_open_run(folder, spec, fresh, notes)
        except UserError as caught:
            error = caught
            decision[0] = failed
        else:
            update = 0 if start.checkpoint is None else update_of(start.checkpoint)
            decision[0] = finished if start.finished else update
            decision[1] = start.tokens or 0
    # Two numbers are all that has to be told, and a sum is what every backend can do.
    told, tokens = map(int, accelerator.reduce(decision, "sum").tolist())
    if told == failed:
        raise error or ToldElsewhere("the main process refused to start this run")
    for note in notes:
        console.note(note)
    if told == finished:
        return Start(finished=True)
    if told:
        console.note(f"continues an unfinished run from update {told}, its checkpoint verified")
        return Start(checkpoint=checkpoint_path(folder.checkpoints, told), tokens=tokens or None)
    return Start(tokens=tokens or None)


def _show_finished(folder: RunFolder, corpus: Corpus, console: Console, seconds: float | None) -> None:
    results = read_results(folder)
    where = min(os.path.relpath(folder.path), str(folder.path), key=len)
    score = results["scores"][results["decided_by"]]
    state = "finished" if seconds is not None else "this run is already finished; --fresh trains it again"
    text = min((text for text in corpus.validation.texts[:100]["text"]), key=lambda text: abs(len(text) - 12))
    command = ["python", "-m", "accel_cls.predict", where, "--text", text]
    if "pair" in corpus.validation.texts.column_names:
        command = ["python", "-m", "accel_cls.predict", where, "--file", "PAIRS.csv"]
    lines = [
        ("best", f"{results['decided_by']} {score:.4f} after epoch {results['epoch']:.2f}"),
        *([("verdict", results["verdict"])] if "verdict" in results else []),  # not in runs of older versions
        *(("left out", dropped) for dropped in describe_dropped(results)),
        *(("look at", sentence) for sentence in results.get("advice", ())),
        ("model", os.path.join(where, "model")),
        ("report", os.path.join(where, "report.md")),
        ("training took", duration(results["seconds"])),
        ("try it", shell(command)),
    ]
    if seconds is not None:
        memory = describe_memory(results)
        told = [("memory", memory)] if memory else []
        lines[-1:-1] = [("checkpoints", describe_saves(results)), *told, ("in all", duration(seconds))]
    console.section(state, lines)
