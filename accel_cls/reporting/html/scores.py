"""Is it good: scores on both parts, beside something simple, and what to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from accel_cls.recipe.metrics import LOWER_IS_BETTER
from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html.plots import WIDTH, Tick, fitted, text_width, ticks
from accel_cls.reporting.markdown import describe_dropped, describe_looks

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
    best: tuple[float | None, ...]  # of each metric, among all classifiers
    table: tuple[Row, ...]
    differences: Differences | None


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
    chosen = f"The model was chosen by {key} on the validation rows, which flatters that score. "
    chosen += f"{describe_looks(test)}." if test else "data.test names rows that nothing is chosen by."
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
    return None if found is None or None in found else (found[0], found[1])


def _judgement(results: dict[str, Any], judged: dict[str, Any], part: str) -> Judgement:
    metrics = tuple(judged["scores"])
    baselines = judged.get("baselines", [])
    table = [
        _row("this model", "", judged, metrics),
        *(_row(one["name"], one["about"], one, metrics) for one in baselines),
    ]
    dropped = results["rows"]["dropped"]
    return Judgement(
        part,
        results["rows"][part],
        sum(one["rows"] for one in dropped if one["from"] == f"data.{part}"),
        judged.get("verdict", ""),
        metrics,
        tuple(_best(name, (row.scores[i] for row in table)) for i, name in enumerate(metrics)),
        tuple(table),
        differences(baselines),
    )


def _row(name: str, about: str, judged: dict[str, Any], metrics: Sequence[str]) -> Row:
    scores = tuple(judged["scores"].get(metric) for metric in metrics)
    intervals = tuple(_interval(judged, metric) for metric in metrics)
    is_compared = "difference" in judged
    p = f"{judged['p']:.3f}" if is_compared and judged["p"] >= 0.001 else "< 0.001"
    return Row(name, about, scores, intervals, _points(judged) if is_compared else "", p if is_compared else "")


def _points(one: dict[str, Any]) -> str:
    points, low, high = (100 * value for value in (one["difference"], *one["interval"]))
    return f"{points:+.1f} ({low:+.1f} to {high:+.1f})".replace("-", "−")


def _best(name: str, scores: Iterable[float | None]) -> float | None:
    found = [score for score in scores if score is not None]
    # As they are shown: what looks the same is as good.
    rounded = [round(score, _DIGITS) for score in found]
    return None if len(found) < 2 else min(rounded) if name in LOWER_IS_BETTER else max(rounded)


_ROW, _TOP, _BOTTOM = 30, 6, 34


def differences(baselines: Sequence[dict[str, Any]]) -> Differences | None:
    """Lay out the plot of differences; None where there are none."""
    # Not the first, whose answer is always the same: it is far off, and others could not be told apart beside it.
    compared = [one for one in baselines[1:] if "difference" in one]
    if not compared:
        return None
    names = [fitted(one["name"], 120) for one in compared]
    left = max(map(text_width, names)) + 14
    ends = [100 * value for one in compared for value in one["interval"]]
    axis = ticks(min(0.0, *ends), max(0.0, *ends), 5)

    def at(points: float) -> float:
        return round(left + (points - axis[0]) / (axis[-1] - axis[0]) * (WIDTH - left - 14), 1)

    lines = []
    for i, (name, one) in enumerate(zip(names, compared, strict=True)):
        middle, low, high = (at(100 * value) for value in (one["difference"], *one["interval"]))
        lines.append(Difference(name, _TOP + (i + 0.5) * _ROW, low, high, middle, _points(one)))
    said = "; ".join(f"this model and {one['name']}: {_points(one)} points" for one in compared)
    height = _TOP + len(lines) * _ROW + _BOTTOM
    return Differences(
        said,
        WIDTH,
        height,
        left,
        at(0),
        tuple(Tick(at(x), f"{x:+g}".replace("-", "−") if x else "0") for x in axis),
        tuple(lines),
    )
