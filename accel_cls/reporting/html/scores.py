"""Is it good: scores on both parts, beside something simple, and what to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from accel_cls.evaluation.metrics.scores import less_is_better
from accel_cls.recipe.metrics import is_own
from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html.plots import WIDTH, Tick, fitted, text_width, ticks
from accel_cls.reporting.markdown import describe_choice, describe_dropped, describe_looks
from accel_cls.reporting.refit import describe_refit, whose_scores
from accel_cls.reporting.verdict import Measure, measure_of

_DIGITS = 4


@dataclass(frozen=True)
class Headline:
    """A score in large letters."""

    metric: str
    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Row:
    """One classifier's scores."""

    name: str
    about: str
    scores: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]
    difference: str  # between this model and it; "" for the model itself
    p: str


@dataclass(frozen=True)
class Difference:
    """A baseline's line in the plot of differences."""

    name: str
    y: float
    low: float
    high: float
    middle: float
    text: str


@dataclass(frozen=True)
class Differences:
    """How much better the model is than each baseline, with intervals, over a common axis."""

    said: str
    width: int
    height: float
    left: float
    zero: float
    ticks: tuple[Tick, ...]
    lines: tuple[Difference, ...]


@dataclass(frozen=True)
class Judgement:
    """The scores on one part."""

    part: str
    rows: int
    unscored: int
    verdict: str
    metrics: tuple[str, ...]
    compared: str  # what the differences are of
    test: str  # what p is of
    best: tuple[float | None, ...]  # of each metric, among all classifiers
    table: tuple[Row, ...]
    differences: Differences


@dataclass(frozen=True)
class Scores:
    """See `content`."""

    part: str  # of the headlines
    decided_by: str
    first: Headline
    others: tuple[Headline, ...]
    verdict: str
    chosen: str  # how the model was chosen, and what that means
    judgements: tuple[Judgement, ...]  # the test first
    advice: tuple[str, ...]
    dropped: tuple[str, ...]


def content(facts: Facts) -> Scores:
    """The score that the model was chosen by first, on the test rows where there are some; then all."""
    results = facts.results
    test, key = results.get("test"), results["decided_by"]
    judged = test or results
    judgements = [_judgement(results, test, "test")] if test else []
    judgements.append(_judgement(results, results, "validation"))
    names = [key, *(name for name in judged["scores"] if name != key)]
    first, *others = (Headline(name, judged["scores"].get(name), _interval(judged, name)) for name in names)
    part = "test" if test else "validation"
    chosen = f"{describe_choice(results)} "
    chosen += f"For the test: {describe_looks(test)}." if test else "data.test names rows that nothing is chosen by."
    if told := describe_refit(results):
        chosen += f" {told}."
    return Scores(
        part,
        key,
        first,
        tuple(others),
        judgements[0].verdict,
        chosen,
        tuple(judgements),
        tuple(results.get("advice", ())),
        tuple(describe_dropped(results)),
    )


def _interval(judged: dict[str, Any], name: str) -> tuple[float, float] | None:
    found = (judged.get("intervals") or {}).get(name)
    return None if found is None else (found[0], found[1])


def _judgement(results: dict[str, Any], judged: dict[str, Any], part: str) -> Judgement:
    metrics = tuple(judged["scores"])
    baselines = judged["baselines"]
    measure = measure_of(baselines[0])
    table = [_row(whose_scores(part, results), "", judged, metrics)]
    table += [_row(one["name"], one["about"], one, metrics, measure) for one in baselines]
    dropped = results["rows"]["dropped"]
    return Judgement(
        part,
        results["rows"][part],
        sum(one["rows"] for one in dropped if one["from"] == f"data.{part}"),
        judged["verdict"],
        metrics,
        f"{measure.words}: this model's lead{measure.unit and ',' + measure.unit} (95%)",
        measure.test,
        tuple(_best(name, (row.scores[i] for row in table)) for i, name in enumerate(metrics)),
        tuple(table),
        _differences(baselines, measure),
    )


def _row(name: str, about: str, judged: dict[str, Any], metrics: Sequence[str], measure: Measure | None = None) -> Row:
    """A classifier's; with `measure` that of a baseline, which this model is compared with."""
    scores = tuple(judged["scores"].get(metric) for metric in metrics)
    intervals = tuple(_interval(judged, metric) for metric in metrics)
    if measure is None:
        return Row(name, about, scores, intervals, "", "")
    p = f"{judged['p']:.3f}" if judged["p"] >= 0.001 else "< 0.001"
    return Row(name, about, scores, intervals, _apart(judged, measure), p)


def _apart(one: dict[str, Any], measure: Measure) -> str:
    apart, low, high = (measure.apart(value).replace("-", "−") for value in (one["difference"], *one["interval"]))
    return f"{apart} ({low} to {high})"


def _best(name: str, scores: Iterable[float | None]) -> float | None:
    """The best score, as it is shown: what looks the same is as good."""
    found = [round(score, _DIGITS) for score in scores if score is not None]
    if len(found) < 2 or is_own(name):  # a report can be made where the user's own function is not at hand
        return None
    return min(found) if less_is_better(name) else max(found)


_ROW, _TOP, _BOTTOM = 30, 6, 34


def _differences(baselines: Sequence[dict[str, Any]], measure: Measure) -> Differences:
    """Lay out the plot of differences."""
    # Not the first, whose answer is always the same: it is far off, and others could not be told apart beside it.
    compared = baselines[1:] or baselines
    names = [fitted(one["name"], 120) for one in compared]
    left = max(map(text_width, names)) + 14
    ends = [measure.factor * value for one in compared for value in one["interval"]]
    axis = ticks(min(0.0, *ends), max(0.0, *ends), 5)

    def at(apart: float) -> float:
        return round(left + (apart - axis[0]) / (axis[-1] - axis[0]) * (WIDTH - left - 14), 1)

    lines = []
    for i, (name, one) in enumerate(zip(names, compared, strict=True)):
        middle, low, high = (at(measure.factor * value) for value in (one["difference"], *one["interval"]))
        lines.append(Difference(name, _TOP + (i + 0.5) * _ROW, low, high, middle, _apart(one, measure)))
    said = "; ".join(f"this model and {one['name']}: {_apart(one, measure)}" for one in compared)
    height = _TOP + len(lines) * _ROW + _BOTTOM
    marks = tuple(Tick(at(x), f"{x:+g}".replace("-", "−") if x else "0") for x in axis)
    return Differences(said, WIDTH, height, left, at(0), marks, tuple(lines))
