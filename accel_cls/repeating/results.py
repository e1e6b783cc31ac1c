"""What the runs of a recipe with `repeat` have come to together, for results.json of the folder around them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from accel_cls.data.examples import Examples, Part
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import less_is_better
from accel_cls.evaluation.statistics.repeats import deviation_of_mean, far_below, mean_of, spread_of
from accel_cls.recipe import Recipe
from accel_cls.reporting.verdict import measure_of, score_answers
from accel_cls.runs.answers import read_answers
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.results import read_results
from accel_cls.tasks import Task


@dataclass(frozen=True)
class RepeatedRun:
    """One of them, trained."""

    name: str  # of its folder
    recipe: Recipe
    folder: RunFolder
    diverged: str | None  # why it has no scores
    fold: np.ndarray | None  # bool [examples of data.train]: those that it was validated on; None with seeds


def require_scores(runs: Sequence[RepeatedRun]) -> None:
    """Raise UserError where fewer than two runs have scores, or one of the folds has none."""
    diverged = [f"  {run.name}: {run.diverged}" for run in runs if run.diverged is not None]
    if diverged and (runs[0].fold is not None or len(runs) - len(diverged) < 2):
        needed = "every fold has to be answered for" if runs[0].fold is not None else "two scores are needed"
        listed = "\n".join(diverged)
        raise UserError(
            f"repeat: {len(diverged)} of {len(runs)} runs have diverged, and {needed}:\n{listed}\nTry a smaller "
            "train.learning_rate, or look at the rows that are named"
        )


def out_of_fold(runs: Sequence[RepeatedRun]) -> Answers:
    """The answers to all examples of data.train in their order, each by the model that has not seen it.

    Raises:
        UserError: where the folders do not hold just one for each.
    """
    parts = [read_answers(run.folder, "validation") for run in runs]
    places = [np.flatnonzero(run.fold) for run in runs if run.fold is not None]
    for run, part, place in zip(runs, parts, places, strict=True):
        if len(part) != len(place):
            raise UserError(
                f"{run.folder.path}: found answers to {len(part):,} rows, expected {len(place):,}: leave these files "
                "as they were written, or train anew with --fresh"
            )
    order = np.argsort(np.concatenate(places))
    assert np.array_equal(np.concatenate(places)[order], np.arange(len(order)))
    rows = tuple(row for part in parts for row in part.examples.rows)
    labels = np.concatenate([part.labels for part in parts])
    whole = Examples(Texts.joined([part.examples.texts for part in parts]), labels, rows)
    return Answers(whole.select(order), np.concatenate([part.logits for part in parts])[order])


def pooled(answers: Answers, recipe: Recipe, task: Task) -> dict[str, Any]:
    """The scores of all out-of-fold answers together, with the intervals that their rows give them."""
    judged = Judged.of(task, answers.labels, answers.logits)
    return {**score_answers(judged, answers.groups, recipe.evaluate.metrics), "rows": len(answers)}


def summary_of(recipe: Recipe, task: Task, runs: Sequence[RepeatedRun], names: Sequence[str]) -> dict[str, Any]:
    """Each run's scores, their means and what makes them differ; `names`: of the classes."""
    scored = [run for run in runs if run.diverged is None]
    results = {run.name: read_results(run.folder) for run in scored}
    key = recipe.evaluate.best
    found = {run.name: results[run.name]["scores"][key] for run in scored}
    choose: Callable[..., str] = min if less_is_better(key) else max
    assert recipe.repeat is not None
    summary: dict[str, Any] = {
        "name": recipe.name,
        "task": task.name,
        "decided_by": key,
        "repeat": recipe.repeat.model_dump(exclude_none=True),
        "runs": [_entry(run, results.get(run.name)) for run in runs],
        "best": choose(found, key=found.__getitem__),
        "seconds": round(sum(one["seconds"] for one in results.values()), 1),
        "test": None,
    }
    parts: list[Part] = ["validation", "test"] if results[scored[0].name]["test"] else ["validation"]
    for part in parts:
        judged = [_Worth.of(read_answers(run.folder, part), task) for run in scored]
        same_rows = part == "test" or runs[0].fold is None
        means = _means([_scores(results[run.name], part) for run in scored])
        summary[part] = {"scores": means, **_spread(judged, task, same_rows), "rows": len(judged[0].answers)}
        for run, flaws in zip(scored, _flaws(part, judged, task, names), strict=True):
            next(one for one in summary["runs"] if one["run"] == run.name)["flaws"] += flaws
    return summary


def _scores(results: dict[str, Any], part: Part) -> dict[str, float]:
    scores = (results if part == "validation" else results["test"])["scores"]
    return {name: math.nan if score is None else score for name, score in scores.items()}


def _entry(run: RepeatedRun, results: dict[str, Any] | None) -> dict[str, Any]:
    """One run in results.json; scores are null where it diverged."""
    fold, found = run.recipe.data.fold, results or {}
    return {
        "run": run.name,
        "seed": run.recipe.seed,
        "fold": None if run.fold is None or fold is None else fold.number,
        "scores": found.get("scores"),
        "test": found["test"]["scores"] if found.get("test") else None,
        "rows": found["rows"]["validation"] if found else None,
        "epoch": found.get("epoch"),
        "seconds": found.get("seconds"),
        "diverged": run.diverged,
        "flaws": [],
    }


@dataclass(frozen=True)
class _Worth:
    """What a run's answers to the rows of a part are worth."""

    answers: Answers
    rows: np.ndarray  # float64 [rows], more is better

    @classmethod
    def of(cls, answers: Answers, task: Task) -> _Worth:
        rows = task.row_scores(answers.labels, task.decode(answers.logits).predicted)
        return cls(answers, rows.astype(np.float64))

    @property
    def mean(self) -> float:
        return float(self.rows.mean())

    @property
    def deviation(self) -> float:
        return deviation_of_mean(self.rows, self.answers.groups)


def _means(scores: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The mean of each score over the runs."""
    return {name: asdict(mean_of([one[name] for one in scores])) for name in scores[0]}


def _spread(judged: Sequence[_Worth], task: Task, same_rows: bool) -> dict[str, Any]:
    """What makes the runs' scores differ; where all have answered the same rows, seeds and rows told apart."""
    of_runs = mean_of([abs(one.mean) for one in judged])
    spread = {"runs": of_runs.sd, "rows": float(np.sqrt(np.mean([one.deviation**2 for one in judged])))}
    if same_rows:
        found = spread_of(np.stack([one.rows for one in judged]), judged[0].answers.groups)
        spread |= {"seeds_alone": found.seeds_alone, "share_of_seeds": found.share_of_seeds}
    return {task.row_metric: of_runs.mean, "spread": spread}


def _flaws(part: Part, judged: Sequence[_Worth], task: Task, names: Sequence[str]) -> list[list[str]]:
    """What has gone wrong in each run, in words; mostly nothing."""
    measure = measure_of({task.row_metric: None})
    flaws: list[list[str]] = []
    below = far_below([one.mean for one in judged], [one.deviation for one in judged])
    for answers, how_far in zip([one.answers for one in judged], below, strict=True):
        said = {task.named(label, names) for label in task.decode(answers.logits).predicted}
        found = []
        if len(said) == 1 and len(np.unique(answers.labels, axis=0)) > 1:
            found.append(f"says {', '.join(next(iter(said))) or 'no class'} of all {part} rows")
        if how_far:
            apart = f"{measure.apart(how_far, sign='')}{measure.unit}"
            found.append(f"its {part} {measure.words} is {apart} worse than the median, which is no chance")
        flaws.append(found)
    return flaws
