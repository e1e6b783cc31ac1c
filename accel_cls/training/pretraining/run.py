"""A pre-training as a command's work: from a recipe to a run folder whose model a classifier begins with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from accel_cls.atomic import write_json
from accel_cls.console import Console, duration
from accel_cls.errors import UserError
from accel_cls.hardware.main_process import decided_by_main
from accel_cls.profiles import shell
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.results import LANGUAGE_MODEL, read_pretraining
from accel_cls.training.fit import Fitted, Session, fit, open_on_main
from accel_cls.training.pretraining.inputs import load_masked
from accel_cls.training.pretraining.texts import load_texts
from accel_cls.training.run import Command


def pretrain(command: Command, session: Session, folder: RunFolder) -> Callable[[], None] | None:
    """Train an encoder on texts; see `Work`. Called by all processes."""
    recipe, hardware = command.recipe, session.hardware
    corpus = load_texts(recipe)
    hardware.require_same("data", corpus.facts(), "Give all machines the same data files")
    start = open_on_main(session, folder, recipe, corpus, command.fresh, pretraining=True)
    shown = partial(_show, folder, session.console, command)
    if start.finished:
        return partial(shown, is_new=False)
    is_cpu = hardware.accelerator.device.type == "cpu"
    notes = [*command.notes, *corpus.notes, *(command.cpu_notes if is_cpu else ())]
    fitted = fit(session, recipe, corpus, folder, start, notes, load=load_masked)

    def finished() -> tuple[int, ...]:
        write_json(folder.results, _results(folder, fitted, hardware.name))
        return ()

    decided_by_main(hardware.accelerator, 0, finished)
    return partial(shown, is_new=True)


def _results(folder: RunFolder, fitted: Fitted, hardware: str) -> dict[str, Any]:
    """Raises UserError where no evaluation gave a number."""
    progress, evaluations = fitted.progress, folder.evaluations()
    if progress.best_score is None:
        raise UserError("no evaluation gave a finite loss, so that no model was kept; try a smaller learning rate")
    best = next(record for record in evaluations if record["update"] == progress.best_update)
    return {
        "name": fitted.recipe.name,
        "task": LANGUAGE_MODEL,
        "decided_by": "loss",
        "scores": best["evaluation"],
        "update": best["update"],
        "epoch": best["epoch"],
        "updates": progress.update,
        "seconds": round(progress.seconds, 1),
        "hardware": hardware,
        "truncated": fitted.truncated,
        "evaluations": evaluations,
    }


def _show(folder: RunFolder, console: Console, command: Command, is_new: bool) -> None:
    """Tell what a finished pre-training has come to."""
    results = read_pretraining(folder)
    before, after = results["evaluations"][0]["evaluation"]["perplexity"], results["scores"]["perplexity"]
    model = min(os.path.relpath(folder.model), str(folder.model), key=len)
    then = ["accelerate", "launch", "-m", "accel_cls.train", command.path, *command.overrides, f"model.name={model}"]
    lines = [
        ("perplexity", f"{after:.2f} on held-out texts after epoch {results['epoch']:.2f}; {before:.2f} before"),
        ("encoder", model),
        ("took", duration(results["seconds"])),
        *([("in all", duration(time.monotonic() - command.began))] if is_new else []),
        ("train with it", shell(then)),
    ]
    console.section("finished" if is_new else "this run is already finished; --fresh trains it again", lines)
