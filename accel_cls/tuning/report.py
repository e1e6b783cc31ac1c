"""A search for people: what it is going to do, its table, and what was found."""

from __future__ import annotations

import math
from collections.abc import Sequence

from accel_cls.console import Console, duration
from accel_cls.evaluation.metrics.scores import less_is_better
from accel_cls.profiles import shell
from accel_cls.recipe import Recipe
from accel_cls.recipe.keys import RATE
from accel_cls.tuning.axes import Axes, Values, in_words
from accel_cls.tuning.halving import Halving, rung_parts, rung_sizes
from accel_cls.tuning.record import Record, Trial

Lines = list[tuple[str, str]]
# Scores that are shares of rows, or nearly so: how far two of them are apart by chance follows from the rows' number.
_AVERAGES = ("", "_macro", "_micro")
_SHARES = {
    *("accuracy", "balanced_accuracy", "hamming_loss", "top_3_accuracy", "top_5_accuracy"),
    *(f"{name}{average}" for name in ("precision", "recall", "f1") for average in _AVERAGES),
}


def describe_search(axes: Axes, recipe: Recipe, halving: Halving, examples: int, hidden: int | None) -> Lines:
    """Name and text of each line of the banner that is about the search."""
    model = "a model from nothing" if hidden is None else f"an encoder of hidden size {hidden}"
    sizes, parts = rung_sizes(len(halving.epochs)), rung_parts(len(halving.epochs))
    steps = [f"{size} to {_part_in_words(part)}" for size, part in zip(sizes, parts, strict=True)]
    by = recipe.evaluate.best
    return [
        *((key.rpartition(".")[2], ", ".join(f"{value:g}" for value in values)) for key, values in axes.items()),
        ("model", model),
        (
            "rows",
            f"{halving.trained:,} to train on and {halving.scored:,} others to score, of the {examples:,} training "
            "examples; validation examples have no part in it",
        ),
        ("trials", f"{', '.join(steps)} of their schedules, which have up to {_most_updates(halving):,} updates"),
        ("best by", by if by == "loss" else f"{by}; of equal ones by the loss"),
    ]


def _most_updates(halving: Halving) -> int:
    return max(halving.all_updates(at) for at in range(len(halving.epochs)))


def _part_in_words(part: float) -> str:
    return "the end" if part == 1 else f"1/{round(1 / part)}"


def trial_line(record: Record, trial: int, rung: int) -> str:
    """What is said when a trial has come to the end of a rung."""
    one = record.trials[trial]
    updates = f"update {one.updates[rung]:,} of {one.updates[-1]:,}"
    if one.diverged is not None:
        return f"  {in_words(one.values)}, up to {updates}: diverged, {one.diverged}"
    score = f"{record.decided_by} {one.scores[rung]:.4f}"
    loss = "" if record.decided_by == "loss" else f", loss {one.losses[rung]:.4f}"
    return f"  {in_words(one.values)}, up to {updates}: {score}{loss}, {one.seconds[-1]:.1f} s"


def show_trials(record: Record, console: Console) -> None:
    """Print the table of all trials."""
    parts = rung_parts(len(record.trials))
    head = [key.rpartition(".")[2] for key in record.values]
    head += [f"{record.decided_by} at {_part_in_words(part)}" for part in parts]
    rows = []
    for at, one in enumerate(record.trials):
        cells = [f"{value:g}" for value in one.values.values()]
        cells += [f"{score:.4f}" for score in one.scores] + [""] * (len(parts) - len(one.scores))
        rows.append(
            [*cells, f"{one.losses[-1]:.4f}" if one.losses else "", f"{sum(one.seconds):.1f}", _end(record, at)]
        )
    console.table([*head, "last loss", "seconds", ""], rows)


def _end(record: Record, trial: int) -> str:
    one = record.trials[trial]
    if one.diverged is not None:
        return "diverged"
    return "← taken" if trial == record.choice else ""


def result_lines(record: Record, axes: Axes, where: str) -> Lines:
    """Name and text of each line about what was found, and why it is taken."""
    assert record.choice is not None
    best = record.trials[record.choice]
    last = len(best.scores) - 1
    others = [one for at, one in enumerate(record.trials) if at != record.choice and len(one.scores) > last]
    lines = [("take", in_words(best.values)), ("since", _reason(record, best, others, last))]
    for key, values in axes.items():
        if len(values) > 2 and best.values[key] in (min(values), max(values)):
            end, further = ("smallest", "smaller") if best.values[key] == min(values) else ("largest", "larger")
            why = f"it is the {end} {key} that was tried: {further} ones may be better, see --try"
            lines.append(("look further", why))
    return [*lines, ("all trials", where)]


def _reason(record: Record, best: Trial, others: Sequence[Trial], rung: int) -> str:
    by, score = record.decided_by, best.scores[rung]
    if not others:
        return "no other trial has come so far" if len(record.trials) > 1 else "it is the only one"
    runner = others[0]
    if runner.scores[rung] == score:
        return f"{by} {score:.4f} is that of {in_words(runner.values)}, too, but its loss is less on the same rows"
    which = "least" if less_is_better(by) else "highest"
    is_sure = by not in _SHARES or _differ(score, runner.scores[rung], record.scored)
    apart = "" if is_sure else ": no more than chance may make"
    return (
        f"its {by}, {score:.4f}, is the {which} of those that trained to the end; {runner.scores[rung]:.4f} for "
        f"{in_words(runner.values)}, on the same {record.scored:,} rows{apart}"
    )


def _differ(one: float, other: float, rows: int) -> bool:
    """Whether two scores, shares of so many rows, differ by more than 1.96 standard errors of their difference."""
    return abs(one - other) > 1.96 * math.sqrt((one * (1 - one) + other * (1 - other)) / rows)


def describe_whole_training(record: Record, updates: int) -> Lines:
    """How long the whole training will take, as the chosen trial went; none where that tells nothing."""
    assert record.choice is not None
    best = record.trials[record.choice]
    made = best.updates[len(best.scores) - 1]
    if not best.loop_seconds:
        return []
    each = best.loop_seconds / made
    return [("training", f"about {duration(each * updates)}: {updates:,} updates of {each:.2g} s, as in its trial")]


def describe_use(train: Sequence[str], choice: Values) -> Lines:
    """How a training takes what was found."""
    given = shell([*train, *in_words(choice).split()])
    others = [f"{key}: {value!r}" for key, value in choice.items() if key != RATE]
    with_others = f" with {', '.join(others)}" if others else ""
    return [("train with it", given), ("or write", f"{RATE}: auto{with_others}, for which a training finds it here")]
