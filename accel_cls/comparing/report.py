"""A comparison for people, on the screen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from accel_cls.comparing.changes import show_changes
from accel_cls.comparing.compare import Compared, Comparison
from accel_cls.comparing.finished import AnsweredRun
from accel_cls.console import Console
from accel_cls.evaluation.metrics.scores import less_is_better
from accel_cls.evaluation.statistics.intervals import Interval
from accel_cls.evaluation.statistics.paired import PairedDifference

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 32  # of a curve, in characters


def show(comparison: Comparison, console: Console) -> None:
    """Runs, scores, what the rows can tell, curves, recipes, and some of the texts whose answers changed."""
    several = len(comparison.runs) > 2
    title = f"accel-cls compare · {len(comparison.judged):,} {comparison.part} rows"
    console.section(title, [("the first", comparison.first.label), *_copies(comparison)])
    console.table(["", *_RUN_COLUMNS], [[run.label, *_run_cells(run)] for run in comparison.runs])
    console.section("scores, with 95% intervals; differences are from the first", [])
    head = ["", "", "score", "interval", "difference", "interval", "p", *(["Holm's p"] if several else []), ""]
    console.table(head, [*_score_rows(comparison, several)])
    if several:
        console.note("Holm's p stands for all runs of a metric together; by it a difference is better or worse")
    console.section("what these rows can tell", [(one.run.label, _in_words(one)) for one in comparison.others])
    _show_curves(comparison, console)
    _show_recipes(comparison, console)
    for one in comparison.others:
        show_changes(comparison, one, console)


def _copies(comparison: Comparison) -> list[tuple[str, str]]:
    texts, rows = int(comparison.groups.max()) + 1, len(comparison.groups)
    return [("texts", f"{texts:,} different ones, each of which counts as one")] if texts < rows else []


_RUN_COLUMNS = ("best at epoch", "of", "loss", "seconds", "hardware")


def _run_cells(run: AnsweredRun) -> list[str]:
    results = run.results
    last = results["evaluations"][-1]["epoch"]
    loss = f"{results['scores']['loss']:.4f}"
    return [f"{results['epoch']:.2f}", f"{last:.2f}", loss, f"{results['seconds']:,.1f}", results["hardware"]]


def _score_rows(comparison: Comparison, several: bool) -> Iterator[list[str]]:
    for name in comparison.metrics:
        scores = [of[name] for of in comparison.scores]
        ends = [of[name] for of in comparison.intervals]
        rest = [""] * (5 if several else 4)
        yield [_named(name), comparison.first.label, _figure(scores[0]), _interval(ends[0]), *rest]
        for one, score, own in zip(comparison.others, scores[1:], ends[1:], strict=True):
            cells = _difference_cells(one.differences[name])
            adjusted = [_p(one.adjusted[name]) if name in one.adjusted else ""] if several else []
            yield ["", one.run.label, _figure(score), _interval(own), *cells, *adjusted, one.verdict(name)]


def _named(metric: str) -> str:
    return f"{metric}, less is better" if less_is_better(metric) else metric


def _difference_cells(one: PairedDifference | None) -> list[str]:
    if one is None:
        return ["", "", ""]
    return [f"{one.difference:+.4f}", f"{one.low:+.4f} to {one.high:+.4f}", _p(one.p)]


def _figure(score: float) -> str:
    return f"{score:.4f}" if math.isfinite(score) else "undefined"


def _interval(ends: Interval | None) -> str:
    return "–" if ends is None else f"{ends[0]:.4f}–{ends[1]:.4f}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _in_words(one: Compared) -> str:
    """What difference the rows can tell from chance, and how many it takes for the one that is seen."""
    found = one.resolution
    metric = one.run.task.row_metric
    if found.smallest is None:
        return f"nothing: of {found.rows:,} rows each is worth the same in both runs"
    unit, factor = (" points", 100.0) if metric == "accuracy" else ("", 1.0)
    digits = 1 if unit else 4

    def size(difference: float) -> str:
        return f"{abs(factor * difference):.{digits}f}{unit}"

    said = f"{found.rows:,} rows tell apart {size(found.smallest)} of {metric}, since {found.differing:,} differ"
    if found.more_rows is None:
        return f"{said}; nothing is seen (power 80%, test of 5%)"
    seen = f"the {size(found.difference)} seen"
    more = f"{found.more_rows:,} more would tell {seen}" if found.more_rows else f"enough for {seen}"
    return f"{said}; {more} (power 80%, test of 5%)"


def _show_curves(comparison: Comparison, console: Console) -> None:
    """The score that the first one decided by, of all runs on the same scale and the same epochs."""
    name = comparison.first.results["decided_by"]
    curves = {run.label: curve_of(run, name) for run in comparison.runs}
    values = [value for curve in curves.values() for _, value in curve]
    if not values:
        return
    low, high, end = min(values), max(values), max(epoch for curve in curves.values() for epoch, _ in curve)
    console.section(f"{_named(name)}, by epoch up to {end:.2f}: ▁ is {low:.4f}, █ is {high:.4f}", [])
    rows = [
        [label, _sparkline(curve, low, high, end), f"{curve[-1][1]:.4f}"] for label, curve in curves.items() if curve
    ]
    console.table(["", "", "at the end"], rows)


def curve_of(run: AnsweredRun, name: str) -> list[tuple[float, float]]:
    """Epoch and score of each evaluation that has it."""
    found = ((one["epoch"], one["evaluation"].get(name)) for one in run.results["evaluations"])
    return [(epoch, score) for epoch, score in found if score is not None]


def _sparkline(curve: Sequence[tuple[float, float]], low: float, high: float, end: float) -> str:
    """A character for each evaluation, where its epoch is; where there are more than characters, the last ones."""
    width = min(_WIDTH, max(len(curve), round(_WIDTH / 2)))
    line = [" "] * width
    for epoch, value in curve:
        level = (value - low) / (high - low) if high > low else 1.0
        line[min(width - 1, round(epoch / end * width) - 1 if end else 0)] = _BARS[round(level * (len(_BARS) - 1))]
    return "".join(line)


def _show_recipes(comparison: Comparison, console: Console) -> None:
    found = comparison.recipe_differences()
    if not found:
        console.section("recipes: the same but for name and output", [])
        return
    console.section("recipes, where they differ", [])
    rows = [
        [key, *("not set" if value is None else _value(value) for value in values)] for key, values in found.items()
    ]
    console.table(["", *(run.label for run in comparison.runs)], rows)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
