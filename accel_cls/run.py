"""A run from a checked recipe to a finished run folder: every part made, in the order it is needed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence

import torch

from accel_cls.batches import Batches, class_weights
from accel_cls.checkpoint import Progress, checkpoint_path, load_checkpoint, manifest_digest, update_of
from accel_cls.console import Console
from accel_cls.data import Corpus, load_corpus
from accel_cls.errors import ToldElsewhere, UserError
from accel_cls.hardware import Hardware, is_xla, prepare, start_hardware
from accel_cls.loop import Training, train
from accel_cls.meeting import Meeting, open_meeting
from accel_cls.model import describe_model, encode, load_model, load_tokenizer
from accel_cls.optimizer import make_optimizer
from accel_cls.plan import Plan
from accel_cls.profiles import shell
from accel_cls.recipe import Recipe
from accel_cls.recipe.rules import idle_settings
from accel_cls.report import duration, finish_run, read_results
from accel_cls.results import Results
from accel_cls.resume import Start, open_run
from accel_cls.run_folder import RunFolder
from accel_cls.trace import Trace


def run_recipe(
    recipe: Recipe, recipe_path: str, overrides: Sequence[str], fresh: bool, join_timeout: int, started: float
) -> None:
    """Train a recipe on the hardware at hand; `started` is when the command began, in monotonic seconds."""
    meeting = open_meeting(join_timeout)
    with meeting.telling():
        _run(recipe, recipe_path, overrides, fresh, meeting, started)


def _run(
    recipe: Recipe, recipe_path: str, overrides: Sequence[str], fresh: bool, meeting: Meeting, started: float
) -> None:
    hardware = start_hardware(recipe, recipe_path, overrides, meeting)
    console = Console(speaks=hardware.accelerator.is_main_process)
    console.section(f"accel_cls · {recipe.name} · {recipe_path}", hardware.describe())
    corpus = load_corpus(recipe)
    hardware.agree("data", corpus.facts(), "Give all machines the same data files")
    folder = RunFolder(recipe.output)
    start = _open_on_main(hardware, folder, recipe, corpus.digest, fresh, console)
    if not start.finished:
        _train(recipe, hardware, corpus, folder, start, console)
    hardware.accelerator.end_training()
    if hardware.accelerator.is_main_process:
        _say_goodbye(folder, corpus, console, None if start.finished else time.monotonic() - started)


def _train(
    recipe: Recipe, hardware: Hardware, corpus: Corpus, folder: RunFolder, start: Start, console: Console
) -> None:
    accelerator, notes = hardware.accelerator, list(corpus.notes)
    notes += [f"{'.'.join(key)} is {why}" for key, why, _ in idle_settings(recipe)]
    tokenizer = load_tokenizer(recipe, corpus.train)
    encoded = encode(tokenizer, corpus.train.texts, recipe.data.max_length)
    plan = Plan.of(recipe, encoded.lengths, few_shapes=is_xla(accelerator))
    model = load_model(recipe, tokenizer, corpus.labels, notes)
    judged = encode(tokenizer, corpus.validation.texts, recipe.data.max_length)
    console.section("data", [*corpus.describe(recipe.data), encoded.describe(recipe.data.max_length)])
    console.section("model", [describe_model(model, recipe)])
    compiled = [("programs", plan.programs(judged.lengths))] if is_xla(accelerator) else []
    console.section("plan", [*plan.describe(recipe, accelerator.num_processes), *compiled])
    for note in notes:
        console.note(note)

    weights = class_weights(recipe.train.class_weights, corpus.train.labels, corpus.labels.names)
    fixed = recipe.train.micro_batch_tokens if is_xla(accelerator) else None
    train_batches, validation_batches = (
        Batches(texts, examples.labels, weights, tokenizer.pad_token_id, accelerator.device, fixed, rows)
        for texts, examples, rows in (
            (encoded, corpus.train, recipe.train.batch_size),
            (judged, corpus.validation, None),
        )
    )
    optimizer = make_optimizer(model, recipe.train, accelerator.device)
    facts = {
        "token ids": hashlib.sha256(encoded.ids.tobytes()).hexdigest()[:16],
        "weights": f"{model.num_parameters():,}",
        "checkpoint": manifest_digest(start.checkpoint),
    }
    hardware.agree("model", facts, "Give all machines the same model folder, and one disk for `output`")
    hardware.meeting.close()
    model, optimizer = prepare(accelerator, model, optimizer, recipe.train.max_grad_norm)
    progress = Progress() if start.checkpoint is None else load_checkpoint(accelerator, start.checkpoint)
    results = Results(folder, corpus.validation, corpus.labels, tokenizer, accelerator.is_main_process)
    if accelerator.is_main_process:
        folder.rewind(progress.update)
    trace = Trace(folder.trace if recipe.train.trace else None, accelerator.process_index)
    training = Training(
        recipe, plan, accelerator, model, optimizer, train_batches, validation_batches, results, trace, console
    )
    console.start(progress.update, plan.updates)
    try:
        train(training, progress)
    finally:
        console.stop()
    if accelerator.is_main_process:
        finish_run(folder, recipe, plan, progress, corpus.labels.names, hardware.describe()[0][1])
    accelerator.wait_for_everyone()


def _open_on_main(
    hardware: Hardware, folder: RunFolder, recipe: Recipe, digest: str, fresh: bool, console: Console
) -> Start:
    """Let the main process open the run folder, and every process know where the run starts."""
    accelerator = hardware.accelerator
    failed, finished = -2, -1
    decision = torch.zeros(1, dtype=torch.int64, device=accelerator.device)
    notes: list[str] = []
    error: UserError | None = None
    if accelerator.is_main_process:
        try:
            start = open_run(folder, recipe, digest, fresh, notes)
        except UserError as caught:
            error = caught
            decision += failed
        else:
            update = 0 if start.checkpoint is None else update_of(start.checkpoint)
            decision += finished if start.finished else update
    # A number is all that has to be told, and a sum is what every backend can do.
    told = int(accelerator.reduce(decision, "sum").item())
    if told == failed:
        raise error or ToldElsewhere("the main process refused to start this run")
    for note in notes:
        console.note(note)
    if told == finished:
        return Start(finished=True)
    if told:
        console.note(f"continues an unfinished run from update {told}, its checkpoint verified")
        return Start(checkpoint=checkpoint_path(folder.checkpoints, told))
    return Start()


def _say_goodbye(folder: RunFolder, corpus: Corpus, console: Console, seconds: float | None) -> None:
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
        ("model", os.path.join(where, "model")),
        ("report", os.path.join(where, "report.md")),
        ("training took", duration(results["seconds"])),
        ("try it", shell(command)),
    ]
    if seconds is not None:
        lines.insert(4, ("in all", duration(seconds)))
    console.section(state, lines)
