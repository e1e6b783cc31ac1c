"""Optuna's study of a search: what is tried next, what is given up, and what was found; on the main process alone.

It lies in the run folder as a journal, a line for each thing that happened. A trial's values follow from the seed, its
number and the trials before it, and not from how often the command was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accel_cls.errors import UserError
from accel_cls.searching.space import Axis

if TYPE_CHECKING:
    import optuna

_FEW = 5  # complete trials that the median pruner waits for
RANDOM = 10  # trials that are drawn at random before TPE has something to go by
_LEAST_FOR_IMPORTANCE = 10  # complete trials: of fewer it is noise


@dataclass(frozen=True)
class Trial:
    """One trial, as far as it has come."""

    number: int  # from 1
    values: dict[str, Any]
    state: str  # running, complete, pruned, diverged, refused
    score: float | None = None  # the best that it had, by evaluate.best; None: none that is a finite number
    epoch: float | None = None  # after which it had it
    epochs: float | None = None  # that it made
    seconds: float | None = None  # in the loop, over all interruptions
    why: str = ""  # of a trial that diverged or was refused; of a pruned one where that was
    scores: dict[int, float] = field(default_factory=dict)  # by place, see `Study.report`


class Study:
    """The trials of a search, and what Optuna makes of them."""

    def __init__(self, path: Path, axes: Sequence[Axis], seed: int, minimizes: bool, pruner: str, places: int):
        """Open the study, or begin it.

        Args:
            path: its journal.
            axes: what is searched.
            seed: of the recipe.
            minimizes: whether less is better.
            pruner: of the recipe's `search`.
            places: at how many places trials are compared, at most.

        Raises:
            UserError: where the journal is damaged.
        """
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._seed, self._minimizes = optuna, seed, minimizes
        self._distributions = {axis.key: axis.distribution() for axis in axes}
        _forget_kill(path)
        try:
            self._study = optuna.create_study(
                storage=optuna.storages.JournalStorage(JournalFileBackend(str(path))),
                study_name="search",
                direction="minimize" if minimizes else "maximize",
                pruner=_pruner(pruner, places),
                load_if_exists=True,
            )
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); search again with --fresh") from error

    def propose(self, values: dict[str, Any]) -> None:
        """Have the first trial try these values, where no trial was made yet."""
        if not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial(values)

    def next(self, most: int) -> Trial | None:
        """The trial that was interrupted, else a new one; None where `most` were made."""
        found, states = self._study.get_trials(deepcopy=False), self._optuna.trial.TrialState
        running = [one for one in found if one.state == states.RUNNING]
        finished = [one for one in found if one.state.is_finished()]
        if not running and len(finished) >= most:
            return None
        draw = np.random.SeedSequence([self._seed, len(finished)]).generate_state(1)[0]
        self._study.sampler = self._optuna.samplers.TPESampler(seed=int(draw), n_startup_trials=RANDOM)
        if not running:
            return _trial(self._study.ask(self._distributions)._get_latest_trial(), self._distributions)
        live = self._live(running[0].number + 1)
        for key, distribution in self._distributions.items():
            live._suggest(key, distribution)  # drawn where the command was ended between two values
        return self.trials[running[0].number]

    def report(self, number: int, place: int, score: float) -> bool:
        """Keep a score that a trial had at a place up to which it trained; whether it is the trial's first one there.

        The same evaluation, made again after an interruption, counts as that.

        Args:
            number: of the trial.
            place: from 1; at the same one, trials have trained on about as many examples.
            score: by evaluate.best.
        """
        known = self._frozen(number).intermediate_values.get(place)
        if known is None:
            self._live(number).report(score, place)
        return known is None or known == score

    def is_hopeless(self, number: int) -> bool:
        """Whether the pruner ends a trial after what it has reported."""
        return self._live(number).should_prune()

    def tell(self, number: int, state: str, score: float | None, **told: Any) -> None:
        """End a trial.

        Args:
            number: of the trial.
            state: complete, pruned, diverged or refused.
            score: the best that it had.
            told: what else is kept of it: epoch, seconds, why.
        """
        live, states = self._live(number), self._optuna.trial.TrialState
        for key, value in {"state": state, "score": None if score is None else float(score), **told}.items():
            live.set_user_attr(key, value)
        known = {"complete": states.COMPLETE, "pruned": states.PRUNED}.get(state, states.FAIL)
        self._study.tell(number - 1, score if known == states.COMPLETE else None, known)

    @property
    def trials(self) -> list[Trial]:
        """All trials so far, in order."""
        waiting = self._optuna.trial.TrialState.WAITING
        found = self._study.get_trials(deepcopy=False)
        return [_trial(one, self._distributions) for one in found if one.state != waiting]

    @property
    def best(self) -> Trial | None:
        """The complete trial with the best score, of equal ones the first; None where none is complete."""
        complete = [one for one in self.trials if one.state == "complete"]
        sign = 1 if self._minimizes else -1
        return min(complete, key=lambda one: (sign * (one.score or 0.0), one.number), default=None)

    def importance(self) -> dict[str, float] | None:
        """Which share of the scores' variance over the search each key makes (fANOVA, Hutter et al. 2014).

        None where too few trials are complete, or their scores are all the same.
        """
        complete = [one for one in self.trials if one.state == "complete"]
        if len(complete) < _LEAST_FOR_IMPORTANCE or len({one.score for one in complete}) == 1:
            return None
        evaluator = self._optuna.importance.FanovaImportanceEvaluator(seed=self._seed)
        found = self._optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {key: float(share) for key, share in found.items()}

    def _frozen(self, number: int) -> optuna.trial.FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number - 1]

    def _live(self, number: int) -> optuna.trial.Trial:
        return self._optuna.trial.Trial(self._study, self._frozen(number)._trial_id)


def _trial(one: optuna.trial.FrozenTrial, keys: Iterable[str]) -> Trial:
    """A trial of Optuna's, which counts from 0."""
    values = {key: one.params[key] for key in keys if key in one.params}
    known = {"state": "running", **one.user_attrs} if one.state.is_finished() else {"state": "running"}
    return Trial(one.number + 1, values, **known, scores=dict(one.intermediate_values))


def _pruner(name: str, places: int) -> optuna.pruners.BasePruner:
    from optuna import pruners

    if name == "median":
        return pruners.MedianPruner(n_startup_trials=_FEW)
    return pruners.HyperbandPruner(max_resource=max(places, 1)) if name == "hyperband" else pruners.NopPruner()


def pruner_in_words(name: str) -> str:
    """What a pruner does, for people."""
    return {
        "median": f"median: once {_FEW} trials are complete, one ends whose best score is below their median at the "
        "same place",
        "hyperband": "hyperband: successive halving by thirds, with several budgets",
        "none": "none: all trials train to their end",
    }[name]


def _forget_kill(path: Path) -> None:
    """Take away what a kill may leave of a write: a line that ends in its middle, and Optuna's lock, a link.

    The next line would be joined with such a one, and the lock be waited for; the run folder's keeps others away.
    """
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if path.is_file():
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            with open(path, "r+b") as file:
                file.truncate(whole)
