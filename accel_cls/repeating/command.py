"""Several trainings of a recipe in this process, or these processes, one after the other.

Each is made by the run's own functions in a run folder of its own, on the same Accelerator, and is to the last bit
what it would be alone. The folder around them keeps the recipe, and what they have come to together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from accel_cls.data.changed import changed_copies
from accel_cls.data.corpus import Corpus
from accel_cls.hardware.main_process import decided_by_main
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.keys import RATE
from accel_cls.recipe.repeats import Repetition, repetitions_of
from accel_cls.repeating.finish import finish_repeats
from accel_cls.repeating.report import run_line, show_repeats
from accel_cls.repeating.results import RepeatedRun
from accel_cls.runs.folder import RunFolder
from accel_cls.training.fit import Session, fit, open_on_main
from accel_cls.training.run import Command, finish, load_checked, notes_of, with_found_rate
from accel_cls.training.series import Series


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
        finish_repeats(folder, recipe, done, first.classes.names)
        return ()

    decided_by_main(session.hardware.accelerator, 0, written)
    return partial(show_repeats, folder, session.console, command.began)


def _drawn_anew(corpus: Corpus, run: Repetition) -> Corpus:
    """The corpus with the changed copies that the run's own seed draws."""
    return replace(corpus, changed=changed_copies(corpus.train, run.recipe))


def _draws_examples(recipe: Recipe) -> bool:
    """Whether a seed says which training examples take part."""
    return recipe.few_shot is not None and recipe.few_shot.examples is not None


class _Runs:
    """Trains one run after the other."""

    def __init__(self, command: Command, session: Session, folder: RunFolder):
        self._command, self._session = command, session
        self._series = Series(session, folder)
        self._done: list[RepeatedRun] = []

    def train(self, runs: Sequence[Repetition], first: Corpus) -> list[RepeatedRun]:
        """Train them all; those that are finished are kept as they are.

        Args:
            runs: in order.
            first: the corpus of the first one, which with seeds is that of all, unless each draws its examples.
        """
        notes = notes_of(self._command, self._session, first)
        with self._series.going_on(lambda: f"{len(self._done)} of {len(runs)} runs"):
            for run in runs:
                is_first_corpus = run is runs[0] or not (first.fold is not None or _draws_examples(run.recipe))
                corpus = _drawn_anew(first, run) if is_first_corpus else load_checked(self._session, run.recipe)
                title = f"run {len(self._done) + 1} of {len(runs)} · {run.name}"
                self._done.append(self._train(run, corpus, notes if run is runs[0] else [], title))
        return self._done

    def _train(self, run: Repetition, corpus: Corpus, notes: list[str], title: str) -> RepeatedRun:
        """Train one to its end, where it is not there yet."""
        folder = RunFolder(run.recipe.output)

        def work(session: Session) -> None:
            session.console.section(title, [])
            start = open_on_main(session, folder, run.recipe, corpus)
            if not start.finished:
                finish(session, corpus, folder, fit(session, run.recipe, corpus, folder, start, notes))

        diverged = self._series.train(folder, work)
        done = RepeatedRun(run.name, run.recipe, folder, diverged, corpus.fold)
        if self._session.hardware.accelerator.is_main_process:
            self._session.console.print(run_line(done))
        return done
