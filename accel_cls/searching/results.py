"""What a search has come to: results.json of its folder, and best.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accel_cls.atomic import write_json, write_text
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.source import to_yaml
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.results import read_results
from accel_cls.searching.page import write_pages
from accel_cls.searching.report import best_in_words, sentences
from accel_cls.searching.space import Axis, short
from accel_cls.searching.study import Study, Trial, pruner_in_words

_WIDTH = 110


def write_results(folder: RunFolder, recipe: Recipe, axes: Sequence[Axis], study: Study, best: int) -> None:
    """Write best.yaml, report.md, report.html, and then results.json.

    Args:
        folder: the search's.
        recipe: its own, with `search`.
        axes: what was searched.
        study: with all trials.
        best: the number of the best one, which is finished.
    """
    results = _summary(folder, recipe, axes, study, best)
    results["sentences"] = [*sentences(results, recipe, axes)]
    write_text(folder.best_recipe, best_recipe(recipe, results))
    write_pages(folder, results)
    write_json(folder.results, results)


def _summary(folder: RunFolder, recipe: Recipe, axes: Sequence[Axis], study: Study, best: int) -> dict[str, Any]:
    assert recipe.search is not None
    trials = study.trials
    run = read_results(folder.trial(best))
    return {
        "name": recipe.name,
        "task": run["task"],
        "decided_by": recipe.evaluate.best,
        "searched": {axis.key: axis.in_words() for axis in axes},
        "pruner": f"TPE with pruner {pruner_in_words(recipe.search.pruner)}",
        "trials": [_entry(folder, one) for one in trials],
        "best": _name_of(folder, best),
        "values": trials[best - 1].values,
        "validation": {**_judged(run), "rows": run["rows"]["validation"]},
        "test": {**_judged(run["test"]), "rows": run["rows"]["test"]} if run["test"] else None,
        "tested": len([one for one in trials if run["test"] and folder.trial(one.number).is_finished]),
        "importance": study.importance(),
        "seconds": round(sum(one.seconds or 0.0 for one in trials), 1),
    }


def _judged(found: dict[str, Any]) -> dict[str, Any]:
    return {"scores": found["scores"], "intervals": found["intervals"]}


def _name_of(folder: RunFolder, number: int) -> str:
    return folder.trial(number).path.relative_to(folder.path).as_posix()


def _entry(folder: RunFolder, trial: Trial) -> dict[str, Any]:
    """One trial in results.json."""
    return {
        "trial": trial.number,
        "run": _name_of(folder, trial.number),
        "state": trial.state,
        "values": trial.values,
        "score": trial.score,
        "epoch": trial.epoch,
        "epochs": trial.epochs,
        "seconds": trial.seconds,
        "why": trial.why,
        "evaluations": {str(place): score for place, score in trial.scores.items()},
    }


def best_recipe(recipe: Recipe, results: dict[str, Any]) -> str:
    """The best trial's recipe as a file of its own: what the user's says, but for the values that were found.

    Its run has a folder beside the search's. On the same hardware it gives the same model.
    """
    own = {"name": f"{recipe.name}, best of a search", "output": f"{recipe.output}-best", "search": None}
    found = with_values(recipe, results["values"] | own)
    comment = [
        f"{best_in_words(results)}, of {len(results['trials'])} trials of {recipe.name}.",
        *(f"{sentence[:1].upper()}{sentence[1:]}." for sentence in results["sentences"][:2]),
        "Searched:",
        *(f"  {key}: {said} → {short(results['values'][key])}" for key, said in results["searched"].items()),
    ]
    lines = "".join(f"# {' '.join(line.split()) if line[:1] != ' ' else line}\n" for line in comment)
    return lines + to_yaml(found.model_dump(exclude_unset=True, exclude_none=True))
