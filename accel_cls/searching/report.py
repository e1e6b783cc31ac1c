"""A search for people: what is said before, at each trial and at the end, and report.md."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from accel_cls.console import Console, duration
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.sections.search import Search
from accel_cls.reporting.markdown import describe_score, number, table
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.results import read_search
from accel_cls.searching.space import Axis, in_words, own_values, short
from accel_cls.searching.study import RANDOM, Trial, pruner_in_words

_EDGE = 0.03  # of a range: where the best value lies so near its end, better ones may lie beyond


def describe_search(wanted: Search, axes: Sequence[Axis], recipe: Recipe) -> list[tuple[str, str]]:
    """What is searched, and how, as named lines."""
    first = "" if own_values(recipe, axes) is None else "the first trial has the recipe's own values; "
    return [
        ("trials", f"{wanted.trials}, chosen by {recipe.evaluate.best} on the validation rows"),
        *(("over" if at == 0 else "", f"{axis.key}: {axis.in_words()}") for at, axis in enumerate(axes)),
        ("sampler", f"{first}{RANDOM} at random, then TPE (Bergstra et al. 2011), drawn by seed {recipe.seed}"),
        ("pruner", pruner_in_words(wanted.pruner)),
    ]


def trial_line(trial: Trial, trials: int, key: str) -> str:
    """What is said when a trial is over."""
    took = "" if trial.seconds is None else f", {duration(trial.seconds)}"
    came = {
        "complete": f"{key} {number(trial.score)}",
        "pruned": f"pruned after epoch {trial.epochs or 0:.2g}, {key} {number(trial.score)}",
    }.get(trial.state, f"{trial.state}: {trial.why}")
    values = in_words(dict(zip(short_names([*trial.values]), trial.values.values(), strict=True)))
    return f"  trial {trial.number} of {trials}: {came}{took} · {values}"


def sentences(results: dict[str, Any], recipe: Recipe, axes: Sequence[Axis]) -> Iterator[str]:
    """What the numbers of results.json say, a sentence each."""
    key, count = results["decided_by"], len(results["trials"])
    yield (
        f"the validation score of the best trial is optimistic: of {count} trials it is the one that these very rows "
        "like best"
    )
    if results["test"] is not None:
        yield (
            f"an honest figure is that of the test rows, which had no part in the choice: {key} "
            f"{describe_score(key, results['test'])}"
        )
    else:
        yield (
            "for an honest figure name rows that no trial has seen as data.test, and give the same command again: "
            "only the best trial is asked about them"
        )
    if results["tested"] > 1:
        yield (
            f"{results['tested']} trials have been the best of this search as it grew, and were judged on the test "
            "rows; only the last is told of here"
        )
    for axis in axes:
        if end := _end_of(axis, results["values"][axis.key], recipe):
            yield f"the best {axis.key} lies at the {end} end of its range: better ones may lie beyond"
    for state in ("pruned", "diverged", "refused"):
        found = [one for one in results["trials"] if one["state"] == state]
        if found:
            yield f"{len(found)} of {count} trials {'was' if len(found) == 1 else 'were'} {_STATES[state]}"
    if results["importance"] is not None:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in results["importance"].items())
        yield f"of what scores differ by over the whole search: {shares} (fANOVA, complete trials only)"


_STATES = {
    "pruned": "ended early by the pruner",
    "diverged": "no use: losses or scores were no finite numbers",
    "refused": "not made: their values can't go together",
}


def _end_of(axis: Axis, value: Any, recipe: Recipe) -> str:
    """At which end of its range a value lies; "" for neither, and where the key takes nothing beyond that end."""
    if axis.choices:
        return ""
    low, high, at = (math.log(one) if axis.log else one for one in (axis.low, axis.high, value))
    share = (at - low) / (high - low)
    if _EDGE < share < 1 - _EDGE:
        return ""
    end, step = ("lower", -1) if share <= _EDGE else ("upper", 1)
    beyond = (axis.low if step < 0 else axis.high) + step * (1 if axis.whole else _EDGE * (axis.high - axis.low))
    try:
        with_values(recipe, {axis.key: beyond if not axis.log or beyond > 0 else axis.low / 2})
    except ValidationError:
        return ""
    return end


def report(results: dict[str, Any]) -> str:
    """The search as Markdown."""
    text = f"# {results['name']}: search over {len(results['values'])} keys\n\n"
    text += f"{len(results['trials'])} trials, in {duration(results['seconds'])} together, by {results['pruner']}.\n\n"
    text += f"{best_in_words(results)}. Its recipe is `best.yaml`, its model `model/`, its report in "
    text += f"[{results['best']}]({results['best']}/report.html).\n\n"
    text += "".join(f"- {sentence}\n" for sentence in results["sentences"])
    text += "\n## Searched\n\n"
    searched = [[key, said, short(results["values"][key])] for key, said in results["searched"].items()]
    text += table(["key", "values", "best"], searched)
    return text + "\n## Trials\n\n" + table(*trial_table(results))


def best_in_words(results: dict[str, Any]) -> str:
    """Which trial is the best, and its score."""
    key, name = results["decided_by"], int(results["best"].rpartition("/")[2])
    return f"Trial {name} is the best, {key} {describe_score(key, results['validation'])} on the validation rows"


def short_names(keys: Sequence[str]) -> list[str]:
    """Keys as a table's header has them: without their sections where that says which."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]


def trial_table(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """A line for each trial: state, score, values, how long it trained."""
    keys, key = [*results["values"]], results["decided_by"]
    header = ["trial", key, *short_names(keys), "state", "epochs made", "seconds"]
    rows = []
    for one in results["trials"]:
        score = "" if one["score"] is None else number(one["score"])
        state = f"{one['state']}{' ← best' * (one['run'] == results['best'])}"
        values = [short(one["values"][name]) for name in keys]
        spent = ["" if one[name] is None else f"{one[name]:.1f}" for name in ("epochs", "seconds")]
        rows.append([str(one["trial"]), score, *values, state, *spent])
    return header, rows


def show_search(folder: RunFolder, console: Console, began: float | None) -> None:
    """Tell what a search has come to; without `began`, in monotonic seconds, it was finished before."""
    results = read_search(folder)
    assert results is not None
    where = min(os.path.relpath(folder.path), str(folder.path), key=len)
    key = results["decided_by"]
    lines = [("best", best_in_words(results)), ("", in_words(results["values"]))]
    if results["test"] is not None:
        lines.append(("test", f"{key} {describe_score(key, results['test'])} on {results['test']['rows']:,} rows"))
    lines += [("", sentence) for sentence in results["sentences"]]
    lines += [
        ("recipe", f"{os.path.join(where, folder.best_recipe.name)}, which trains this model by itself"),
        ("model", os.path.join(where, folder.model.name)),
        (
            "report",
            f"{os.path.join(where, folder.page.name)}; of the best trial, {where}/{results['best']}/report.html",
        ),
    ]
    if began is not None:
        lines.append(("in all", duration(time.monotonic() - began)))
    state = "finished" if began is not None else "this search is already finished; --fresh makes it again"
    console.section(state, [])
    console.table(*trial_table(results))
    console.section("found", lines)
