"""The runs of a recipe with `repeat` as one HTML page: means, what makes scores differ, each run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accel_cls.console import duration
from accel_cls.recipe import load_recipe
from accel_cls.repeating.report import report
from accel_cls.reporting.html.part import Part
from accel_cls.reporting.html.spans import Span, Spans, spans
from accel_cls.reporting.verdict import measure_of
from accel_cls.reporting.write import write_anew, write_together
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.runs.results import read_repeats
from accel_cls.runs.suspects import read_suspects


@dataclass(frozen=True)
class Mean:
    """A score over the runs."""

    metric: str
    mean: float | None
    sd: float | None
    low: float | None  # 95% interval of the mean
    high: float | None


@dataclass(frozen=True)
class PartMeans:
    """The means on the rows of a part, that of the deciding metric first."""

    part: str
    rows: int
    means: tuple[Mean, ...]
    noise: tuple[tuple[str, str], ...]  # what makes scores differ, and by how much


@dataclass(frozen=True)
class Repeats:
    """What the runs come to together."""

    runs: int
    kind: str  # "seeds" or "folds"
    parts: tuple[PartMeans, ...]  # the test first
    pooled: tuple[tuple[str, float | None, tuple[float, float] | None], ...]  # scores of all rows, with intervals
    pooled_rows: int
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class RunRow:
    """One run."""

    name: str  # of its folder
    scores: tuple[float | None, ...]
    test: float | None
    span: Span | None  # where its deciding score lies
    epoch: float | None
    wrong: str  # what has gone wrong


@dataclass(frozen=True)
class Runs:
    """All runs."""

    metrics: tuple[str, ...]  # the deciding one first
    has_test: bool
    rows: tuple[RunRow, ...]
    axis: Spans


def write_reports_anew(folder: RunFolder) -> list[Path]:
    """Write the reports on a finished run, or on all runs of a recipe with `repeat`; returns what was written.

    Raises:
        UserError: where the folder holds nothing that is finished, or lacks what it had.
    """
    results = read_repeats(folder)
    with disk_errors_explained(folder):
        return write_anew(folder) if results is None else write_pages(folder, results)


def write_pages(folder: RunFolder, results: dict[str, Any]) -> list[Path]:
    """Write report.html and report.md on several runs; returns what was written.

    Args:
        folder: the one around the runs.
        results: what its results.json is, or is going to be.
    """
    return write_together(folder, results, render_repeats, report)


def render_repeats(folder: RunFolder, results: dict[str, Any]) -> str:
    """The page."""
    from accel_cls.reporting.html.page import heading, render  # jinja2, which nothing else here needs
    from accel_cls.reporting.html.suspects import shown_suspects

    recipe = load_recipe(folder.recipe)
    about = f"trained {len(results['runs'])} times, in {duration(results['seconds'])} together"
    shown: list[tuple[Part, Any]] = [
        (Part("repeats", "Is it good?"), _repeats(results)),
        (Part("runs", "Run by run"), _runs(results)),
    ]
    if (found := read_suspects(folder)) is not None:
        shown.append((Part("suspects", "Which labels may be wrong?"), shown_suspects(found)))
    return render(heading(recipe, about), shown)


def _repeats(results: dict[str, Any]) -> Repeats:
    pooled = results.get("pooled") or {"scores": {}, "intervals": {}, "rows": 0}
    scores = tuple((name, score, pooled["intervals"].get(name)) for name, score in pooled["scores"].items())
    scored = len([one for one in results["runs"] if one["scores"]])
    parts = tuple(_part_means(results, part) for part in ("test", "validation") if results[part] is not None)
    kind = next(iter(results["repeat"]))
    return Repeats(scored, kind, parts, scores, pooled["rows"], tuple(results["sentences"]))


def _part_means(results: dict[str, Any], part: str) -> PartMeans:
    found = results[part]
    metrics = _deciding_first(results)
    means = tuple(
        Mean(name, *(found["scores"][name][key] for key in ("mean", "sd", "low", "high"))) for name in metrics
    )
    return PartMeans(part, found["rows"], means, tuple(_noise(results, found)))


def _noise(results: dict[str, Any], found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Seed and sampling noise, as standard deviations."""
    measure, spread, kind = measure_of(found), found["spread"], next(iter(results["repeat"]))

    def said(value: float) -> str:
        return f"±{measure.apart(value, sign='')}{measure.unit}"

    yield f"{measure.words}, from run to run", said(spread["runs"])
    yield f"from one sample of {found['rows']:,} rows to another", said(spread["rows"])
    if "share_of_seeds" in spread:
        whose = {"seeds": "seed", "folds": "training part"}[kind]
        yield f"the {whose} alone", said(spread["seeds_alone"])
        yield f"share of the {whose} in what a new run on new rows varies", f"{spread['share_of_seeds']:.0%}"


def _deciding_first(results: dict[str, Any]) -> list[str]:
    key = results["decided_by"]
    return [key, *(name for name in results["validation"]["scores"] if name != key)]


def _runs(results: dict[str, Any]) -> Runs:
    metrics, key = _deciding_first(results), results["decided_by"]
    scored = [one for one in results["runs"] if one["scores"] and _is_finite(one["scores"][key])]
    mean = results["validation"]["scores"][key]["mean"]
    axis = spans([(one["scores"][key],) * 3 for one in scored], mean)
    places = dict(zip((one["run"] for one in scored), axis.spans, strict=True))
    rows = tuple(
        RunRow(
            one["run"],
            tuple((one["scores"] or {}).get(name) for name in metrics),
            (one["test"] or {}).get(key),
            places.get(one["run"]),
            one["epoch"],
            f"diverged: {one['diverged']}" if one["diverged"] else "; ".join(one["flaws"]),
        )
        for one in results["runs"]
    )
    return Runs(tuple(metrics), results["test"] is not None, rows, axis)


def _is_finite(score: float | None) -> bool:
    return score is not None and math.isfinite(score)
