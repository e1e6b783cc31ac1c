"""The trials of a search: trainings in this process, or these processes, one after the other.

They are made by the run's own loop, in run folders of their own, on the same Accelerator. The main process decides who
goes on, by the scores that it has, and tells the others.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from shutil import rmtree
from typing import Any

from accel_cls.batching.plan import count_updates
from accel_cls.console import Console
from accel_cls.data.corpus import Corpus
from accel_cls.devices.prepare import let_go, scaler_state
from accel_cls.errors import Diverged, UserError
from accel_cls.hardware.main_process import decided_by_main
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.keys import RATE
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.runs.resume import lock_run
from accel_cls.stopping import SAVE_FILE, Stopped
from accel_cls.training.fit import Session, fit, open_on_main
from accel_cls.tuning.axes import EPOCHS, in_words
from accel_cls.tuning.halving import Halving, rung_sizes
from accel_cls.tuning.record import Record, Trial, read_record, set_search_aside
from accel_cls.tuning.report import trial_line


class Trials:
    """Trains the candidates of a search, as far as each of them goes."""

    def __init__(
        self,
        session: Session,
        recipe: Recipe,
        part: Corpus,
        folder: RunFolder,
        halving: Halving,
        candidates: Sequence[dict[str, float]],
        examples: int,
    ):
        """For a search.

        Args:
            session: what the trials run on.
            recipe: what is searched for.
            part: what they are trained and scored on.
            folder: the run's.
            halving: the search as numbers.
            candidates: what each of them tries, by key.
            examples: that the whole training has.
        """
        self._session, self._recipe, self._part, self._folder = session, recipe, part, folder
        self._halving, self._candidates, self._examples = halving, candidates, examples
        self._accelerator = session.hardware.accelerator
        self._scaler = scaler_state(self._accelerator)
        self._sizes = rung_sizes(len(candidates))
        self._rungs_done = [0] * len(candidates)
        self._has_diverged = [False] * len(candidates)
        self._folders = [RunFolder(folder.search / f"{at + 1:02d}") for at in range(len(candidates))]
        self.record: Record  # the main process has one

    def open(self, spec: dict[str, Any], fresh: bool) -> None:
        """Take the run folder, and take over what an interrupted search of the same has done.

        Args:
            spec: see `spec_of`.
            fresh: whether a search that is there is kept under another name in any case.

        Raises:
            UserError: where the folder is another's; on processes other than the main one ToldElsewhere.
        """
        notes: list[str] = []

        def opened() -> Sequence[int]:
            with disk_errors_explained(self._folder):
                lock_run(self._folder, notes)
                found = read_record(self._folder)
                if found is None or found.spec != spec or fresh:
                    aside = set_search_aside(self._folder)
                    notes.extend([f"the search that was here is kept as {aside}"] if aside else [])
                    found = self._new_record(spec)
                    found.write(self._folder)
            self.record = found
            done = [len(trial.scores) for trial in found.trials]
            return [*done, *(int(trial.diverged is not None) for trial in found.trials)]

        count = len(self._candidates)
        told = decided_by_main(self._accelerator, 2 * count, opened)
        self._rungs_done, self._has_diverged = told[:count], [flag == 1 for flag in told[count:]]
        for note in notes:
            self._session.console.note(note)

    def _new_record(self, spec: dict[str, Any]) -> Record:
        trials = [
            Trial(values, folder.path.name, [self._halving.updates(at, rung) for rung in range(len(self._sizes))])
            for at, (values, folder) in enumerate(zip(self._candidates, self._folders, strict=True))
        ]
        halving, best = self._halving, self._recipe.evaluate.best
        return Record(spec, best, halving.trained, halving.scored, self._examples, trials)

    def run(self) -> int:
        """Train what has not been trained yet; returns which candidate is the best.

        Raises:
            UserError: where all of them diverge.
            Stopped: where it was told to stop.
        """
        alive = [*range(len(self._candidates))]
        self._session.stopping.save_in = self._folder.path
        try:
            for rung, next_size in enumerate([*self._sizes[1:], 1]):
                for trial in alive:
                    if self._rungs_done[trial] <= rung and not self._has_diverged[trial]:
                        self._train(trial, rung)
                before, alive = alive, self._best(alive, rung, next_size)
                self._drop_weights(before if next_size == 1 else {*before} - {*alive})
        except Stopped as stop:
            self._tell_of(stop)
            raise
        finally:
            self._session.stopping.save_in = None
        return alive[0]

    def _train(self, trial: int, rung: int) -> None:
        """Train a trial to the end of a rung, and keep its score."""
        began = time.monotonic()
        cause, _ = self._session.stopping.agree(self._accelerator, self._folder.path)
        if cause is not None:
            raise Stopped(cause)
        folder, diverged, seconds = self._folders[trial], None, 0.0
        recipe = self._recipe_of(trial, rung)
        # A trial's banner and its evaluations would be as much again as the run's own, for each of them.
        session = Session(self._session.hardware, self._session.stopping, Console(quiet=True))
        try:
            with closing(folder.lock):
                start = open_on_main(session, folder, recipe, self._part)
                seconds = fit(session, recipe, self._part, folder, start, []).progress.seconds
        except Diverged as error:
            diverged = str(error).partition("\n")[0]
        let_go(self._accelerator, self._scaler)
        self._has_diverged[trial] = diverged is not None
        if self._accelerator.is_main_process:
            kept = self.record.trials[trial]
            kept.seconds.append(round(time.monotonic() - began, 2))
            if diverged is None:
                kept.add(folder.evaluations()[-1]["evaluation"], self.record.decided_by, seconds)
            else:
                kept.diverged = diverged
            with disk_errors_explained(self._folder):
                self.record.write(self._folder)
            self._session.console.print(trial_line(self.record, trial, rung))

    def _recipe_of(self, trial: int, rung: int) -> Recipe:
        """The recipe of a trial: the user's, but for what is tried, where it ends and what it leaves."""
        train, values, whole = self._recipe.train, self._candidates[trial], self._halving.all_updates(trial)
        warmup = train.warmup
        if isinstance(warmup, int):  # in updates: the same part of a shorter schedule
            epochs = int(values.get(EPOCHS, train.epochs))
            warmup = warmup / count_updates(self._examples, train.batch_size, epochs)
        own: dict[str, Any] = {
            "name": f"{self._recipe.name}: {in_words(values)}",
            "output": str(self._folders[trial].path),
            "train.warmup": warmup,
            "train.max_updates": self._halving.updates(trial, rung),
            "train.trace": False,
            "train.trackers": [],
            "evaluate.every": whole,  # the end of a rung is scored in any case
            "evaluate.patience": None,
            "checkpoint.every": whole,
            "checkpoint.keep": 1,
        }
        average = self._recipe.average
        if average is not None and average.is_made_at_the_end:  # of a run, not of a rung
            own["average"] = None
        return with_values(self._recipe, values | own)

    def _best(self, alive: Sequence[int], rung: int, count: int) -> list[int]:
        """The best after a rung, in the order of the table; the main process knows.

        Raises:
            UserError: where all have diverged.
        """

        def best() -> Sequence[int]:
            record = self.record
            there = [trial for trial in alive if len(record.trials[trial].scores) > rung]  # those that came so far
            if not there:
                reasons = "\n".join(f"  {in_words(one.values)}: {one.diverged}" for one in record.trials)
                raise UserError(
                    f"{RATE}: no trial of the search has come to its end:\n{reasons}\nLook at the data with accel-cls "
                    "check; or try smaller rates, such as accel-cls tune RECIPE --try train.learning_rate=1e-6,1e-5"
                )
            chosen = sorted(there, key=lambda trial: record.rank(trial, rung))[:count]
            if count == 1:
                record.choice = chosen[0]
                with disk_errors_explained(self._folder):
                    record.write(self._folder)
            return [int(trial in chosen) for trial in range(len(self._candidates))]

        told = decided_by_main(self._accelerator, len(self._candidates), best)
        return [trial for trial, is_in in enumerate(told) if is_in]

    def _drop_weights(self, trials: Iterable[int]) -> None:
        """Delete what takes room of trials that do not go on: their scores stay."""
        if self._accelerator.is_main_process:
            for trial in trials:
                rmtree(self._folders[trial].checkpoints, ignore_errors=True)
                rmtree(self._folders[trial].model, ignore_errors=True)

    def _tell_of(self, stop: Stopped) -> None:
        self._session.stopping.end_training()
        if self._accelerator.is_main_process:
            (self._folder.path / SAVE_FILE).unlink(missing_ok=True)
            done = sum(len(trial.scores) for trial in self.record.trials)
            after = f"{done} of the {sum(self._sizes)} parts of trials that the search is made of"
            self._session.console.section(str(stop), [("after", after), ("to go on", "run the same command again")])
        stop.is_told = True
