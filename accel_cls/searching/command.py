"""The trials of a search in this process, or these processes, one after the other, and then the best of them.

Each trial is a run in a folder of its own. The main process has the study; it tells the others what is tried and what
is given up. Only the best trial is judged to the end, with the test rows: those take no part in the choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from shutil import copytree, rmtree

from accel_cls.atomic import whole_folder
from accel_cls.batching.plan import check_warmup, count_updates, updates_of
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.data.changed import changed_copies
from accel_cls.data.corpus import Corpus
from accel_cls.errors import UserError
from accel_cls.evaluation.metrics.scores import less_is_better
from accel_cls.hardware.main_process import decided_by_main
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.rules import broken_rules
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.searching.report import describe_search, show_search, trial_line
from accel_cls.searching.results import write_results
from accel_cls.searching.space import Values, axes_of, in_words, own_values
from accel_cls.searching.study import Study
from accel_cls.training.fit import Session, fit, open_on_main
from accel_cls.training.run import Command, finish, load_checked, notes_of
from accel_cls.training.series import Series


class GivenUp(Exception):
    """A trial has been ended by the pruner, on all processes."""


def search_values(command: Command, session: Session, folder: RunFolder) -> Callable[[], None]:
    """Make all trials of a recipe with `search`, as far as they are not made; see `Work`. Called by all processes.

    Raises:
        UserError: where the folder holds something else, or no trial comes to a score.
        Stopped: where it was told to stop; the same command goes on in the trial where it was.
    """
    corpus = load_checked(session, command.recipe)
    start = open_on_main(session, folder, command.recipe, corpus, command.fresh)
    if start.finished:
        return partial(show_search, folder, session.console, None)
    found = _Trials(command, session, folder, corpus)
    found.run()
    return partial(show_search, folder, session.console, command.began)


def trial_recipe(recipe: Recipe, folder: RunFolder, number: int, values: Values) -> Recipe:
    """The recipe of a trial: the user's, with values and a folder of its own."""
    own = {
        "name": f"{recipe.name}, trial {number}",
        "output": str(folder.trial(number).path),
        "search": None,
        "refit": False,
    }
    return with_values(recipe, {**values, **own})


def place_of(recipe: Recipe, trial: Recipe, update: int, examples: int) -> int:
    """Up to which place of comparison a trial has come: where trials have trained on as many examples, as far as they
    are evaluated there.

    Places lie as far apart as the evaluations of the recipe itself, whatever batch size a trial has.

    Args:
        recipe: with `search`.
        trial: a trial's.
        update: of the trial.
        examples: of an epoch.
    """
    every = recipe.evaluate.every
    interval = examples if every == "epoch" else int(every) * recipe.train.batch_size
    return update * examples // (count_updates(examples, trial.train.batch_size, 1) * interval)


class _Trials:
    """Makes one trial after the other."""

    def __init__(self, command: Command, session: Session, folder: RunFolder, corpus: Corpus):
        self._command, self._session, self._folder, self._corpus = command, session, folder, corpus
        self._recipe, self._accelerator = command.recipe, session.hardware.accelerator
        assert self._recipe.search is not None
        self._wanted = self._recipe.search
        self._axes = axes_of(self._recipe)
        self._series = Series(session, folder)
        self._study: Study  # the main process has one
        self._done = 0

    def run(self) -> None:
        """All trials, then the best one's judgement; leaves the folder finished."""
        if self._accelerator.is_main_process:
            self._session.console.section("data", self._corpus.describe(self._recipe.data))
            self._session.console.section("search", describe_search(self._wanted, self._axes, self._recipe))
            for note in notes_of(self._command, self._session, self._corpus):
                self._session.console.note(note)
        decided_by_main(self._accelerator, 0, self._open)
        with self._series.going_on(lambda: f"{self._done} of {self._wanted.trials} trials"):
            while (asked := self._next()) is not None:
                self._try(*asked)
            self._judge_best()

    def _open(self) -> Sequence[int]:
        recipe, examples = self._recipe, self._corpus.learned
        longest = next(
            (int(max(axis.values)) for axis in self._axes if axis.key == "train.epochs"), recipe.train.epochs
        )
        places = place_of(recipe, recipe, longest * count_updates(examples, recipe.train.batch_size, 1), examples)
        minimizes = less_is_better(recipe.evaluate.best)
        with disk_errors_explained(self._folder):
            self._study = Study(
                self._folder.study, self._axes, recipe.seed, minimizes, self._wanted.pruner, max(places, 1)
            )
            own = own_values(recipe, self._axes)
            if own is not None:
                self._study.propose(own)
        return ()

    def _next(self) -> tuple[int, Values] | None:
        """The trial to make, on all processes: its number and its values; None where all are made."""

        def asked() -> Sequence[int]:
            with disk_errors_explained(self._folder):
                trial = self._study.next(self._wanted.trials)
                self._drop_weights()
            if trial is None:
                return [0] * (1 + len(self._axes))
            return [trial.number, *(axis.encode(trial.values[axis.key]) for axis in self._axes)]

        number, *values = decided_by_main(self._accelerator, 1 + len(self._axes), asked)
        self._done = number - 1 if number else self._wanted.trials
        return self._decoded([number, *values]) if number else None

    def _try(self, number: int, values: Values) -> None:
        """Make a trial, and keep in the study what came of it."""
        recipe = trial_recipe(self._recipe, self._folder, number, values)
        if why := self._why_not(recipe):
            self._tell(number, recipe, "refused", why=why)
            return
        folder = RunFolder(recipe.output)

        def work(session: Session) -> None:
            watched = replace(session, watch=partial(self._watch, number, recipe))
            corpus = self._corpus_of(recipe)
            start = open_on_main(session, folder, recipe, corpus)
            with suppress(GivenUp):
                done = fit(watched, recipe, corpus, folder, start, []).progress
                why = "" if done.best_score is not None else f"its {recipe.evaluate.best} was never a finite number"
                self._tell(number, recipe, "diverged" if why else "complete", done, why)

        diverged = self._series.train(folder, work, shows="nothing")
        if diverged is not None:
            self._tell(number, recipe, "diverged", why=diverged)

    def _corpus_of(self, recipe: Recipe) -> Corpus:
        """The corpus with the changed copies of a trial."""
        if recipe.augment == self._recipe.augment:
            return self._corpus
        return replace(self._corpus, changed=changed_copies(self._corpus.train, recipe))

    def _why_not(self, recipe: Recipe) -> str:
        """Why values that are right each can't go together; "" where they can."""
        broken = broken_rules(recipe)
        if broken:
            return f"{'.'.join(broken[0][0])}: {broken[0][1]}"
        train = recipe.train
        try:
            check_warmup(train.warmup, train.epochs, count_updates(self._corpus.learned, train.batch_size, 1))
        except UserError as error:
            return str(error)
        return ""

    def _watch(self, number: int, recipe: Recipe, progress: Progress, scores: Mapping[str, float]) -> None:
        """Report an evaluation of a trial.

        Raises:
            GivenUp: on all processes, where the pruner ends it.
        """
        examples = self._corpus.learned

        def reported() -> Sequence[int]:
            place = place_of(self._recipe, recipe, progress.update, examples)
            with disk_errors_explained(self._folder):
                is_new = place > 0 and self._study.report(number, place, scores[recipe.evaluate.best])
                is_last = progress.update == updates_of(recipe, examples)
                return [int(is_new and not is_last and self._study.is_hopeless(number))]

        if decided_by_main(self._accelerator, 1, reported)[0]:
            self._tell(number, recipe, "pruned", progress)
            raise GivenUp

    def _tell(self, number: int, recipe: Recipe, state: str, progress: Progress | None = None, why: str = "") -> None:
        """Keep in the study how a trial has ended, and say so."""
        if not self._accelerator.is_main_process:
            return
        epoch = count_updates(self._corpus.learned, recipe.train.batch_size, 1)
        score, told = None, dict[str, float]()
        if progress is not None:
            score, told = progress.best_score, {"seconds": round(progress.seconds, 2)}
            told |= {"epoch": progress.best_update / epoch, "epochs": progress.update / epoch}
        with disk_errors_explained(self._folder):
            self._study.tell(number, state, score, why=why, **told)
        self._session.console.print(
            trial_line(self._study.trials[number - 1], self._wanted.trials, recipe.evaluate.best)
        )

    def _drop_weights(self) -> None:
        """Delete what takes room of trials that are over, but for the best so far: their scores stay."""
        best = self._study.best
        for trial in self._study.trials:
            if trial.state != "running" and trial != best:
                folder = self._folder.trial(trial.number)
                rmtree(folder.checkpoints, ignore_errors=True)
                rmtree(folder.model, ignore_errors=True)

    def _judge_best(self) -> None:
        """Judge the best trial's model as that of any run, on the test rows, too; put it in place as the result."""
        number, values = self._best()
        recipe = trial_recipe(self._recipe, self._folder, number, values)
        folder = RunFolder(recipe.output)

        def work(session: Session) -> None:
            corpus = self._corpus_of(recipe)
            start = open_on_main(session, folder, recipe, corpus)
            if not start.finished:
                finish(self._session, corpus, folder, fit(session, recipe, corpus, folder, start, []))

        self._series.train(folder, work, shows="nothing")

        def written() -> Sequence[int]:
            with disk_errors_explained(self._folder):
                with whole_folder(self._folder.model) as beside:
                    copytree(folder.model, beside, dirs_exist_ok=True)
                write_results(self._folder, self._recipe, self._axes, self._study, number)
            return ()

        decided_by_main(self._accelerator, 0, written)

    def _best(self) -> tuple[int, Values]:
        """The best trial, on all processes.

        Raises:
            UserError: where no trial has come to a score.
        """

        def best() -> Sequence[int]:
            trial = self._study.best
            if trial is None:
                reasons = "\n".join(
                    f"  trial {one.number}: {in_words(one.values)}: {one.why}" for one in self._study.trials
                )
                raise UserError(
                    f"search: no trial has come to its end with a score:\n{reasons}\nLook at the data with accel-cls "
                    "check; or search among smaller values of train.learning_rate"
                )
            return [trial.number, *(axis.encode(trial.values[axis.key]) for axis in self._axes)]

        return self._decoded(decided_by_main(self._accelerator, 1 + len(self._axes), best))

    def _decoded(self, told: Sequence[int]) -> tuple[int, Values]:
        number, *values = told
        return number, {axis.key: axis.decode(one) for axis, one in zip(self._axes, values, strict=True)}
