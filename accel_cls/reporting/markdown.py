"""What a finished run says of itself to people: report.md, and the lines at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accel_cls.console import duration
from accel_cls.errors import shown
from accel_cls.memory.forecast import format_bytes
from accel_cls.recipe import Recipe
from accel_cls.reporting.augmentation import describe_augmentation
from accel_cls.reporting.averages import describe_mean
from accel_cls.reporting.decision_words import sections
from accel_cls.reporting.pretraining import describe_pretraining
from accel_cls.reporting.refit import describe_refit, is_refitted, whose_scores
from accel_cls.reporting.teacher import describe_teaching
from accel_cls.reporting.verdict import measure_of
from accel_cls.runs.suspects import KeptSuspect
from accel_cls.tasks import Table

_MOST_SUSPECTS = 10


def report(
    recipe: Recipe,
    results: dict[str, Any],
    tables: Sequence[Table],
    starts: list[dict[str, Any]],
    suspects: Sequence[KeptSuspect] | None = None,
) -> str:
    """A finished run for people, as Markdown.

    Args:
        recipe: the run's.
        results: its results.json.
        tables: its task's sections.
        starts: its starts, from origin.json.
        suspects: what its suspects.csv has; None where nobody has looked.
    """
    text = _beginning(recipe, results)
    if results["skipped"]:
        text += f"Updates skipped, since their loss or gradient was no finite number: {results['skipped']}; "
        text += "`metrics.jsonl` names their rows.\n\n"
    if results["scaler_skips"]:
        text += f"Updates that fp16's scaler skipped, to find its scale: {results['scaler_skips']}.\n\n"
    text += f"Checkpoints: {describe_saves(results)}.\n\n"
    if memory := describe_memory(results):
        text += f"Memory: {memory}.\n\n"
    text += _scores(results)
    if dropped := describe_dropped(results):
        text += "\nRows that were left out: " + "; ".join(dropped) + ".\n"
    who = whose_scores("validation", results)
    text += _beside_baselines("Beside something simple", who, results["scores"], results)
    if test := results["test"]:
        text += _beside_baselines("Beside something simple, on the test rows", "this model", test["scores"], test)
    if results["advice"]:
        text += "\n## Worth a look\n\n" + "".join(f"- {sentence}\n" for sentence in results["advice"])
    for title, said, header, rows in sections(results):
        text += f"\n## {title}\n\n{said}\n\n{table(header, rows)}"
    for one in tables:
        text += f"\n## {one.title}\n\n" + (f"{one.text}\n\n" if one.text else "")
        text += table(one.header, one.rows)
    for part, slices in results.get("slices", {}).items():
        text += _slices(part, slices)
    if behaviour := results.get("behaviour"):
        text += _behaviour(behaviour)
    if suspects:
        text += _suspects(suspects)
    text += _evaluations(results)
    if len(starts) > 1:
        text += "\n## Starts\n\nThis run was interrupted, and went on from its checkpoints.\n\n"
        text += table(
            ["time", "from update", "hardware", "changed"],
            [[one["time"], one["update"], one["hardware"], "; ".join(one["changes"]) or "–"] for one in starts],
        )
    return text


def _beginning(recipe: Recipe, results: dict[str, Any]) -> str:
    """What was trained, on what, and which model is kept."""
    model = recipe.model.name or "A model built from the recipe, learned from nothing"
    text = f"# {recipe.name}\n\n"
    text += f"{model}, trained on {results['hardware']} in {duration(results['seconds'])}. "
    text += f"Best by {results['decided_by']} after update {results['update']} (epoch {results['epoch']:.2f}) "
    where = "selected_model" if is_refitted(results) else "model"
    text += f"of {results['updates']}; that model is in `{where}/`.\n\n"
    told = (
        *(describe_pretraining(results), describe_teaching(results), describe_augmentation(results)),
        *(describe_mean(results), describe_refit(results)),
    )
    text += "".join(f"{said}.\n\n" for said in told if said is not None)
    return text


def _scores(results: dict[str, Any]) -> str:
    """The scores on each part, how many rows they are of, and which of them was chosen by."""
    metrics, test = list(results["scores"]), results["test"]

    def line(part: str, judged: dict[str, Any]) -> list[str]:
        scored = results["rows"][part]
        unscored = sum(one["rows"] for one in results["rows"]["dropped"] if one["from"] == f"data.{part}")
        rows = f"{scored:,} of {scored + unscored:,}" if unscored else f"{scored:,}"
        return [part, *(describe_score(name, judged) for name in metrics), rows]

    lines = [line("validation", results), *([line("test", test)] if test else [])]
    text = table(["", *metrics, "rows"], lines)
    text += "\nIn brackets 95% intervals: what the scores may be on other rows of the same kind. "
    text += f"{describe_choice(results)} "
    return text + (
        f"For the test: {describe_looks(test)}.\n" if test else "data.test names rows that nothing is chosen by.\n"
    )


def _evaluations(results: dict[str, Any]) -> str:
    metrics = list(results["scores"])
    rows = [
        [f"{one['epoch']:.2f}", one["update"], *(number(one["evaluation"][name]) for name in metrics)]
        for one in results["evaluations"]
    ]
    return "\n## Evaluations\n\n" + table(["epoch", "update", *metrics], rows)


def _beside_baselines(title: str, who: str, scores: dict[str, float], judged: dict[str, Any]) -> str:
    """A section on what something simple makes of the same rows: of results.json, or of its entry `test`."""
    metrics = [name for name in scores if name in judged["baselines"][0]["scores"]]  # older runs have no loss there
    rows = []
    measure = measure_of(judged["baselines"][0])
    for one in judged["baselines"]:
        apart, low, high = map(measure.apart, (one["difference"], *one["interval"]))
        cells = (describe_score(name, one) for name in metrics)
        better = f"{apart}{measure.unit} ({low} to {high})"
        rows.append([f"{one['name']}: {one['about']}", *cells, better, f"{one['p']:.3g}"])
    text = f"\n## {title}\n\n{who[:1].upper()}{who[1:]}: {judged['verdict']}.\n\n"
    ours = "this model's accuracy" if measure.name == "accuracy" else f"how much less this model's {measure.name} is"
    return text + table(["", *metrics, f"{ours} (95% interval)", f"p ({measure.test})"], rows)


def _slices(part: str, slices: dict[str, Any]) -> str:
    """A section on the parts of some rows, the worst of them first."""
    looked_at = f"{slices['looked_at']:,} parts of {slices['least_rows']:,} rows or more"

    def lines(ones: Sequence[dict[str, Any]], p: str, title: str) -> str:
        rows = []
        for one in ones:
            low, high = one["interval"]
            where = ", ".join(" ".join(condition) for condition in one["where"])
            score = f"{one['score']:.4f} ({low:.4f} to {high:.4f})"
            rows.append([where, one["rows"], score, f"{one['difference']:+.4f}", _p(one[p])])
        score = f"{slices['score']} (95% interval)"
        return table(["where", "rows", score, "difference to the rest", title], rows)

    text = f"\n## Slices of the {part} rows\n\n"
    if slices["worst"]:
        text += f"Of {looked_at}, these are worse than the rest by more than chance:\n\n"
        text += lines(slices["worst"], "corrected_p", "p, corrected for all that were looked at") + "\n"
    elif not slices["looked_at"]:
        text += f"No part has {slices['least_rows']:,} rows or more, with as many beside them: none was looked at.\n\n"
    else:
        text += f"Of {looked_at}, none is worse than the rest by more than chance.\n\n"
    return text + lines(slices["single"], "p", "p, of this one alone")


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3g}"


def _behaviour(behaviour: dict[str, Any]) -> str:
    """A section on what becomes of answers where texts are changed."""
    text = f"\n## Behaviour\n\n{behaviour['texts']:,} validation texts, each changed in these ways. An answer should "
    text += "stay as it is; only a negation may turn it: that of an opinion should, that of a topic need not. The "
    text += "example is the one that is farthest from this.\n\n"
    rows = []
    for one in behaviour["tests"]:
        low, high = one["interval"]
        worst = one["examples"][0]
        answers = f"{worst['predicted']} → {worst['predicted_changed']}"
        share = f"{one['differ']:.3f} ({low:.3f} to {high:.3f})"
        rows.append([one["name"], one["texts"], share, f"{shown(worst['changed'])} ({answers})"])
    return text + table(["changed by", "texts", f"{behaviour['measure']} (95% interval)", "example"], rows)


def _suspects(suspects: Sequence[KeptSuspect]) -> str:
    """A section on labels that may be wrong: the first of them."""
    rows = [[one.row, shown(" / ".join(one.texts)), one.label, one.suggestion, one.why] for one in suspects]
    text = f"\n## Suspects\n\n{len(rows):,} rows that somebody should look at, all in `suspects.csv`; the first:\n\n"
    return text + table(["row", "text", "label", "suggested", "why"], rows[:_MOST_SUSPECTS])


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table, whose cells may hold anything."""

    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split("\n")) for cell in cells) + " |"

    lines = [line(header), "|" + " --- |" * len(header), *map(line, rows)]
    return "\n".join(lines) + "\n"


def number(score: float | None) -> str:
    """A score with four digits; None is what JSON has for one that is no finite number."""
    return "nan" if score is None else f"{score:.4f}"


def describe_score(name: str, judged: dict[str, Any]) -> str:
    """A score with its interval, where there is one: of results.json, its entry `test`, or a baseline."""
    interval = judged.get("intervals", {}).get(name)
    return number(judged["scores"][name]) + ("" if interval is None else " ({:.4f} to {:.4f})".format(*interval))


def verdict_of(results: dict[str, Any]) -> str:
    """A finished run beside something simple: on its test rows, where it has some."""
    return results["test"]["verdict"] if results.get("test") else results["verdict"]


def describe_test(results: dict[str, Any]) -> str:
    """What a finished run with test rows comes to on them."""
    test, key = results["test"], results["decided_by"]
    return f"{key} {describe_score(key, test)} on {results['rows']['test']:,} rows; {describe_looks(test)}"


def describe_choice(results: dict[str, Any]) -> str:
    """What the validation rows had to do with the model that is kept, in a sentence."""
    if len(results["evaluations"]) == 1:  # a search may have chosen the training by them: it tells so itself
        return "Nothing was chosen by the validation rows in this training, which they scored once."
    return f"The model was chosen by {results['decided_by']} on the validation rows, which flatters that score."


def describe_looks(test: dict[str, Any]) -> str:
    """How often the test rows have been looked at, from the entry `test` of a results.json."""
    looks = test["looks"]
    if looks == 1:
        return "nothing was chosen by the test rows, and no other run here has been scored by them"
    return f"nothing was chosen by the test rows; but {looks} runs here have been scored by them, this one included"


def describe_saves(results: dict[str, Any]) -> str:
    """How many checkpoints a finished run saved, and what that cost, from its results.json."""
    saves, seconds, stall = results["checkpoints"], results["save_seconds"], results["stall_seconds"]
    return f"{saves:,} saved in {seconds:,.1f} s, for {stall:,.1f} s of which training stood still"


def describe_dropped(results: dict[str, Any]) -> list[str]:
    """Which rows a finished run has not looked at, and why, from its results.json: a sentence for each reason."""
    rows = results.get("rows", {"dropped": []})  # not there in runs of older versions
    sentences = []
    for one in rows["dropped"]:
        where = "trained on" if one["from"] == "data.train" else "scored"
        sentences.append(f"{one['rows']:,} of {one['from']} are not {where}: {one['reason']}")
    return sentences


def describe_memory(results: dict[str, Any]) -> str | None:
    """How much of a GPU's memory a finished run took, from its results.json; None where that does not tell."""
    peak = results.get("device_peak_bytes")  # not there in runs of older versions
    return None if peak is None else f"{format_bytes(peak)} of the device's at most"
