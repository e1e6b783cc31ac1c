"""What a search leaves in a run folder, `tune/results.json`: trials, scores, choice; and what the choice is for."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

from accel_cls.atomic import json_text, write_json
from accel_cls.data.corpus import Corpus
from accel_cls.evaluation.metrics.scores import less_is_better
from accel_cls.recipe import Recipe
from accel_cls.recipe.keys import RATE
from accel_cls.runs.changes import TOKENS, settings_of
from accel_cls.runs.folder import RunFolder, free_name
from accel_cls.tuning.axes import Axes

_RESULTS = "results.json"
_PRECISION = "precision"
# What a trial that goes on must have had, and what a rate that was found does not depend on.
_ONLY_FOR_TRIALS = (TOKENS, _PRECISION)
# What a trial has of its own, or has no part in.
_OWN = ("evaluate.every", "evaluate.metrics")


@dataclass
class Trial:
    """One candidate, and how it went."""

    values: dict[str, float]
    folder: str  # its run folder, in the search's
    updates: list[int]  # after how many of its updates each rung ends
    scores: list[float] = field(default_factory=list)  # at the end of each rung that it came to
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # that each took, beginning and end included
    loop_seconds: float = 0.0  # of these, what all its updates and evaluations took
    diverged: str | None = None  # why it ended before

    def add(self, scores: dict[str, float], decided_by: str, loop_seconds: float) -> None:
        """Add what the end of a rung has given; a score or loss that is no finite number ends the trial."""
        score, loss = scores[decided_by], scores["loss"]
        if not (math.isfinite(score) and math.isfinite(loss)):
            self.diverged = f"its {decided_by} is {score}, its loss {loss}"
            return
        self.scores.append(score)
        self.losses.append(loss)
        self.loop_seconds = round(loop_seconds, 2)


@dataclass
class Record:
    """A search, as it is kept."""

    spec: dict[str, Any]  # what it was made for: data, settings, axes
    decided_by: str
    trained: int
    scored: int
    examples: int  # of the whole training
    trials: list[Trial]
    choice: int | None = None  # the trial that is taken; None while the search goes on

    @property
    def values(self) -> dict[str, float]:
        """What was chosen, by key."""
        assert self.choice is not None
        return self.trials[self.choice].values

    def rank(self, trial: int, rung: int) -> tuple[float, float]:
        """What a trial's score is compared by after a rung, the smallest first: the score, then the loss."""
        score, loss = self.trials[trial].scores[rung], self.trials[trial].losses[rung]
        return (score if less_is_better(self.decided_by) else -score, loss)

    def write(self, folder: RunFolder) -> None:
        """Put it into the run folder."""
        folder.search.mkdir(parents=True, exist_ok=True)
        write_json(folder.search / _RESULTS, asdict(self))


def spec_of(recipe: Recipe, corpus: Corpus, axes: Axes, precision: str) -> dict[str, Any]:
    """What a search is made for: all that its trials follow from."""
    settings = _settings(recipe) | {_PRECISION: precision}
    return {"data": corpus.digest, "axes": {key: [*values] for key, values in axes.items()}, "settings": settings}


def _settings(recipe: Recipe) -> dict[str, Any]:
    """A recipe's settings that trials follow from, as JSON gives them back."""
    kept = {key: value for key, value in settings_of(recipe).items() if key not in (*_OWN, RATE)}
    plain: dict[str, Any] = json.loads(json_text(kept))
    return plain


def read_record(folder: RunFolder) -> Record | None:
    """The search in a run folder; None where there is none, or none that can be read."""
    try:
        content = json.loads((folder.search / _RESULTS).read_text(encoding="utf-8"))
        record = Record(**content | {"trials": [Trial(**trial) for trial in content["trials"]]})
        if record.choice is not None:
            float(record.values[RATE])
    except (OSError, ValueError, TypeError, LookupError):
        return None  # it is made again; what lies there is kept under another name
    return record


def found_for(folder: RunFolder, recipe: Recipe, data: str) -> Record | None:
    """The finished search whose choice is for this recipe, whatever its rate, and these data."""
    record = read_record(folder)
    if record is None or record.choice is None or record.spec["data"] != data:
        return None
    chosen = {key: value for key, value in record.values.items() if key != RATE}
    theirs = record.spec["settings"] | chosen
    ours = _settings(recipe)
    differing = {key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key)}
    return record if differing <= {*_ONLY_FOR_TRIALS} else None


def set_search_aside(folder: RunFolder) -> str | None:
    """Rename what lies where a search is to begin; its new name, None where nothing is there."""
    if not folder.search.exists():
        return None
    aside = free_name(folder.search)
    folder.search.rename(aside)
    return aside.name
