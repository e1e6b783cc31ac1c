"""How a job is done: the recipe that `accel-cls new` writes, the commands, their time, and the answers' scores."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from accel_cls.atomic import from_cell
from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import compute_scores
from accel_cls.inference.output import TAKEN
from accel_cls.tasks import task_of
from benchmarks.contestants import ours
from benchmarks.processes import Ended, Failed, python
from benchmarks.quality.command import Once, Skipped
from benchmarks.quality.jobs import Job
from benchmarks.quality.kept import Kept
from benchmarks.quality.request import Answers, Request
from benchmarks.workshop import Workshop


@dataclass(frozen=True)
class Trial:
    """What a job's commands left."""

    answers: Answers
    commands: tuple[Ended, ...]  # that a user would wait for
    training_rows: int
    last: dict[str, float] | None = None  # of the last evaluation, where the judged rows chose among several
    course: list[list[float]] | None = None  # epoch and accuracy of each evaluation by which the epoch was chosen


@dataclass(frozen=True)
class Trials:
    """Does jobs, and keeps what they give."""

    shop: Workshop
    kept: Kept
    on: dict[str, Any]  # the machine
    once: Once = field(default_factory=Once)  # recipes

    def do(self, job: Job) -> dict[str, Any]:
        """Do a job and keep its results; returns what was kept under its contestant's name.

        Raises:
            Skipped: where it can't be done here.
            Failed: where a command failed, or the answers are not those of the judged rows.
        """
        # A folder of its own, caches included: what another one remembers would make it faster.
        shop = replace(self.shop, place=self.shop.another("job"))
        recipe, told = self._recipe(job)
        precision = shop.precision_of(told)
        seed = job.seed or 0
        judged = None if job.data.judged is None else str(job.data.judged)
        folder = None if job.encoder.folder is None else str(job.encoder.folder)
        request = Request(str(recipe), seed, judged, folder, shop.device, str(shop.place / "answers.npz"))
        loaded, corpus = request.load()
        if loaded.task != "single_label":
            raise Skipped("it has several classes a text; the gauge is for one")
        trial = (
            self._train(job, shop, request, precision) if job.contestant.name in _OURS else _answer(job, shop, request)
        )
        true = corpus.validation.labels
        found: dict[str, dict[str, Any]] = {}
        for name, predicted in trial.answers.items():
            if len(predicted) != len(true):
                raise Failed(f"{name} answered {len(predicted)} rows; {len(true)} are judged")
            found[name] = {
                "rows": {"training": trial.training_rows, "judged": len(true), "digest": corpus.digest[:16]},
                "scores": compute_scores(["accuracy", "f1_macro"], _judged(true, predicted, len(corpus.classes))),
                "judged_file": judged is not None,
                "last": trial.last,
                "course": trial.course,
                "seconds": round(sum(one.wall_seconds for one in trial.commands), 1),
                "cpu_seconds": round(sum(one.cpu_seconds for one in trial.commands), 1),
                "others_cores": round(max(one.others_cores for one in trial.commands), 2),
                "recipe": _decisions(recipe) if job.contestant.name in _OURS else None,
                "precision": precision if job.contestant.name in _OURS else None,
                "machine": self.on,
            }
            self.kept.add(job, name, found[name], true, predicted)
        shutil.rmtree(shop.place)
        return found[job.contestant.name]

    def _recipe(self, job: Job) -> tuple[Path, str | None]:
        """What `accel-cls new` writes, and the precision that it tells; it never sees the judged file."""
        options = [] if job.encoder.folder is None else ["--model", str(job.encoder.folder)]
        options += ["--quick"] if job.contestant.name == "quick" else []

        def write() -> tuple[Path, str | None]:
            path = self.shop.another("recipe") / f"{job.data.name}.yaml"
            command = _accel_cls("new", str(job.data.train), "--out", str(path), *options)
            try:
                said = self.shop.run(command, self.shop.caches).output
            except Failed as error:
                if "--quick" in options and "No such option" in str(error):
                    raise Skipped("accel-cls new has no option --quick") from error
                raise
            return path, ours.told_precision(said)

        return self.once.get((job.data.name, *options), write)

    def _train(self, job: Job, shop: Workshop, request: Request, precision: str) -> Trial:
        """Train the recipe by the command that `new` tells; with a judged file, let the model classify that."""
        run = shop.place / "run"
        overrides = [f"seed={request.seed}", f"output={run}"]
        command = ours.training_command(shop.launch(precision), Path(request.recipe), *overrides)
        commands = [shop.run(command, shop.caches)]
        results = ours.results(run)
        recipe, corpus = request.load()
        texts, last, learned = corpus.validation.texts["text"][:], None, results["rows"]["training"]
        course = [[one["epoch"], one["evaluation"]["accuracy"]] for one in results["evaluations"]]
        if request.judged is None:  # the best epoch is the best one on the judged rows: the last one is told, too
            last = {"accuracy": course[-1][1]}
            cells = _cells(run / "predictions.csv", "text")
        else:
            learned = (results["refit"] or {}).get("examples", learned)  # by the model that answers
            file = shop.place / "predictions.csv"
            predict = _accel_cls("predict", str(run), "--file", request.judged, "--out", str(file))
            predict += ["--precision", precision]
            commands.append(shop.run(predict, shop.caches))
            column = recipe.data.text
            whole = _cells(file, column if isinstance(column, str) else column[0])
            # Of all rows of the file; those that can't be used are not judged.
            cells = [whole[int(row.rpartition(":")[2]) - 1] for row in corpus.validation.rows]
        if [text for text, _ in cells] != texts:
            raise Failed("accel_cls answered other rows than those that are judged")
        predicted = task_of(recipe).parse_texts([label for _, label in cells], corpus.classes.names)
        return Trial({job.contestant.name: predicted}, tuple(commands), learned, last, course)


_OURS = ("accel_cls", "quick")


def _answer(job: Job, shop: Workshop, request: Request) -> Trial:
    """Run one of the others as a process of its own."""
    module = f"benchmarks.quality.contestants.{job.contestant.name}"
    ended = shop.run(python("-m", module, str(request.write(shop.place / "request.json"))), shop.caches)
    _, corpus = request.load()
    with np.load(request.result) as answers:
        return Trial(dict(answers), (ended,), len(corpus.train))


def _accel_cls(*arguments: str) -> list[str]:
    return python("-m", "accel_cls", *arguments)


def _decisions(recipe: Path) -> dict[str, Any]:
    """What a recipe says of model and training."""
    written = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    decided = {key: dict(written.get(key) or {}) for key in ("model", "train")}
    if decided["model"].get("name"):  # without the folders of this machine
        decided["model"]["name"] = Path(decided["model"]["name"]).name
    return decided


def _cells(path: Path, column: str) -> list[tuple[str, str]]:
    """The text in a column, and the predicted class, of each row of a file that accel_cls has written."""
    csv.field_size_limit(1 << 30)
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        own = f"{TAKEN}predicted"  # where the input has a column of the usual name
        predicted = own if own in (rows.fieldnames or ()) else "predicted"
        return [(from_cell(row[column]), from_cell(row[predicted])) for row in rows]


def _judged(true: np.ndarray, predicted: np.ndarray, classes: int) -> Judged:
    """Answers without probabilities, as other frameworks may leave them."""
    nothing = np.empty((len(true), 0))
    return Judged(true, predicted, nothing, nothing, classes)
