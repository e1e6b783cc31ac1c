"""Several trainings of a recipe in this process, or these processes, one after the other.

Each is made by the run's own functions in a run folder of its own, on the same Accelerator, and is to the last bit
what it would be alone. The folder around them keeps the recipe, and what they have come to together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

from accel_cls.console import Console
from accel_cls.data.corpus import Corpus
from accel_cls.devices.prepare import let_go, scaler_state
from accel_cls.errors import Diverged
from accel_cls.hardware.main_process import decided_by_main
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.keys import RATE
from accel_cls.recipe.repeats import Repetition, repetitions_of
from accel_cls.repeating.report import run_line, show_repeats
from accel_cls.repeating.results import RepeatedRun, write_results
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.stopping import SAVE_FILE, Stopped
from accel_cls.training.fit import Session, fit, open_on_main
from accel_cls.training.run import Command, finish, load_checked, notes_of, with_found_rate


def repeat(command: Command, session: Session, folder: RunFolder) -> Callable[[], None]:
    """Train all runs of a recipe with `repeat`, as far as they are not finished; see `Work`. Called by all processes.

    Raises:
        UserError: where the folder holds something else, or fewer than two runs come to a score.
        Stopped: where it was told to stop; the same command goes on in the run where it was.
    """
    recipe, runs = command.recipe, repetitions_of(command.recipe)
    first = load_checked(session, runs[0].recipe)
    start = open_on_main(session, folder, recipe, first, command.fresh)
    if start.finished:
        return partial(show_repeats, folder, session.console, None)
    if recipe.train.learning_rate == "auto":
        # Once, on the first run's training examples: which of a few rates is best hardly follows from seed and fold.
        found = with_found_rate(command, session, runs[0].recipe, first, folder, start).train.learning_rate
        runs = repetitions_of(with_values(recipe, {RATE: found}))
    done = _Runs(command, session, folder).train(runs, first)

    def written() -> Sequence[int]:
        write_results(folder, recipe, done, first.classes.names)
        return ()

    decided_by_main(session.hardware.accelerator, 0, written)
    return partial(show_repeats, folder, session.console, command.began)


def _draws_examples(recipe: Recipe) -> bool:
    """Whether a seed says which training examples take part."""
    return recipe.few_shot is not None and recipe.few_shot.examples is not None


class _Runs:
    """Trains one run after the other."""

    def __init__(self, command: Command, session: Session, folder: RunFolder):
        self._command, self._session, self._folder = command, session, folder
        self._accelerator = session.hardware.accelerator
        self._scaler = scaler_state(self._accelerator)
        self._done: list[RepeatedRun] = []

    def train(self, runs: Sequence[Repetition], first: Corpus) -> list[RepeatedRun]:
        """Train them all; those that are finished are kept as they are.

        Args:
            runs: in order.
            first: the corpus of the first one, which with seeds is that of all, unless each draws its examples.
        """
        if self._accelerator.is_main_process:
            (self._folder.path / SAVE_FILE).unlink(missing_ok=True)  # a stop that was asked for before is over
        self._session.stopping.save_in = self._folder.path
        notes = notes_of(self._command, self._session, first)
        try:
            for run in runs:
                is_first_corpus = run is runs[0] or not (first.fold is not None or _draws_examples(run.recipe))
                corpus = first if is_first_corpus else load_checked(self._session, run.recipe)
                title = f"run {len(self._done) + 1} of {len(runs)} · {run.name}"
                self._done.append(self._train(run, corpus, notes if run is runs[0] else [], title))
        except Stopped as stop:
            self._tell_of(stop, len(runs))
            raise
        finally:
            self._session.stopping.save_in = None
        return self._done

    def _train(self, run: Repetition, corpus: Corpus, notes: list[str], title: str) -> RepeatedRun:
        """Train one to its end, where it is not there yet."""
        cause, _ = self._session.stopping.agree(self._accelerator, self._folder.path)
        if cause is not None:
            raise Stopped(cause)
        folder, diverged = RunFolder(run.recipe.output), None
        console = Console(quiet=not self._accelerator.is_main_process)  # its table of evaluations is one of its own
        session = Session(self._session.hardware, self._session.stopping, console)
        console.section(title, [])
        try:
            with closing(folder.lock), disk_errors_explained(folder):
                start = open_on_main(session, folder, run.recipe, corpus)
                if not start.finished:
                    finish(session, corpus, folder, fit(session, run.recipe, corpus, folder, start, notes))
        except Diverged as error:
            diverged = str(error).partition("\n")[0]
        let_go(self._accelerator, self._scaler)
        self._accelerator.wait_for_everyone()
        done = RepeatedRun(run.name, run.recipe, folder, diverged, corpus.fold)
        if self._accelerator.is_main_process:
            console.print(run_line(done))
        return done

    def _tell_of(self, stop: Stopped, runs: int) -> None:
        self._session.stopping.end_training()
        if self._accelerator.is_main_process:
            (self._folder.path / SAVE_FILE).unlink(missing_ok=True)
            lines = [("finished", f"{len(self._done)} of {runs} runs"), ("to go on", "run the same command again")]
            self._session.console.section(str(stop), lines)
        stop.is_told = True
