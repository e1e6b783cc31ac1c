"""How a choice is measured: the plain recipe's training command with the choice's lines added, and its answers."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import compute_scores
from accel_cls.recipe import load_recipe
from accel_cls.runs.answers import read_answers
from accel_cls.runs.folder import RunFolder
from accel_cls.tasks import task_of
from benchmarks.contestants import ours
from benchmarks.craft.choices import Choice
from benchmarks.craft.settings import Setting
from benchmarks.processes import Failed, python
from benchmarks.quality.command import Once
from benchmarks.quality.jobs import Contestant, Job
from benchmarks.quality.kept import Kept
from benchmarks.workshop import Workshop


@dataclass(frozen=True)
class CraftJob:
    """One training."""

    setting: Setting
    choice: Choice
    seed: int

    @property
    def title(self) -> str:
        """As lines on the screen have it."""
        return f"{self.setting.name}, {self.choice.name}, seed {self.seed}"

    @property
    def kept_as(self) -> Job:
        """Under which it is kept: the choice in place of a contestant, the start in place of an encoder."""
        name = self.choice.name
        contestant = Contestant(name, name, alone=True, encoded=True, has_chance=True, seconds_to_start=0)
        return Job(self.setting.data, replace(self.setting.encoder, name=self.setting.start), contestant, self.seed)


@dataclass(frozen=True)
class CraftTrials:
    """Does jobs, and keeps what they give."""

    shop: Workshop
    kept: Kept
    on: dict[str, Any]  # the machine
    once: Once = field(default_factory=Once)  # recipes of settings; baselines of settings and seeds

    def do(self, job: CraftJob) -> dict[str, Any]:
        """Train, and keep the judged rows' answers; returns what was kept.

        Raises:
            Failed: where a command failed.
        """
        place, rows = self.shop.another("job"), job.setting.rows(job.seed)
        run = place / "run"
        overrides = [f"seed={job.seed}", f"output={run}", *job.setting.overrides(job.seed)]
        self._compare_with_simple(job, *overrides)
        overrides += job.choice.overrides
        command = ours.training_command(self.shop.launch(), self._recipe(job), *overrides)
        ended = self.shop.run(command, self.shop.caches)
        results, folder = ours.results(run), RunFolder(run)
        answers = read_answers(folder, "validation" if rows.judged is None else "test")
        recipe = load_recipe(folder.recipe)
        judged = Judged.of(task_of(recipe), answers.labels, answers.logits)
        facts = {
            "rows": {"training": results["rows"]["training"], "judged": len(answers), "digest": _digest(answers)},
            "scores": compute_scores(["accuracy", "f1_macro"], judged),
            "judged_file": rows.judged is not None,
            "last": None,
            "overrides": list(job.choice.overrides),
            "seconds": round(ended.wall_seconds, 1),
            "training_seconds": results["seconds"],
            "cpu_seconds": round(ended.cpu_seconds, 1),
            "others_cores": round(ended.others_cores, 2),
            "precision": self.shop.precision_of(),
            "machine": self.on,
        }
        self.kept.add(job.kept_as, job.choice.name, facts, answers.labels, judged.predicted)
        shutil.rmtree(place)
        return facts

    def _recipe(self, job: CraftJob) -> Path:
        """The plain one for the rows of this job."""
        setting = job.setting
        if setting.shipped is not None:
            return setting.shipped
        train = setting.rows(job.seed).train

        def write() -> Path:
            path = self.shop.another("recipe") / f"{setting.name}.yaml"
            options = [] if setting.encoder.folder is None else ["--model", str(setting.encoder.folder)]
            self._run("new", str(train), "--out", str(path), *options)
            return path

        return self.once.get((setting.name, train), write)

    def _compare_with_simple(self, job: CraftJob, *overrides: str) -> None:
        """Have the baselines of these rows computed and kept: they would count for the choice that comes first."""

        def check() -> None:
            with suppress(Failed):  # findings end it with 1; what is wrong indeed ends the training, too
                self._run("check", str(self._recipe(job)), *overrides)

        self.once.get((job.setting.name, job.seed), check)

    def _run(self, *arguments: str) -> None:
        self.shop.run(python("-m", "accel_cls", *arguments), self.shop.caches)


def _digest(answers: Answers) -> str:
    """Tells the judged rows from others."""
    return hashlib.sha256("\n".join(answers.examples.rows).encode()).hexdigest()[:16]
