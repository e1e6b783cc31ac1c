"""A search as one HTML page: the best trial and what it is worth, each trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accel_cls.console import duration
from accel_cls.recipe import load_recipe
from accel_cls.reporting.html.part import Part
from accel_cls.reporting.html.spans import Span, Spans, spans
from accel_cls.reporting.write import write_together
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.runs.results import read_search
from accel_cls.searching.report import best_in_words, report, short_names
from accel_cls.searching.space import short


@dataclass(frozen=True)
class Found:
    """What the search has come to."""

    metric: str
    score: float | None  # of the best trial on the validation rows
    interval: tuple[float, float] | None
    test: float | None  # on the test rows
    test_interval: tuple[float, float] | None
    has_test: bool
    best: str  # in words
    folder: str  # of the best trial
    sentences: tuple[str, ...]
    searched: tuple[tuple[str, str, str, float | None], ...]  # key, its values, the best, its importance


@dataclass(frozen=True)
class TrialRow:
    """One trial."""

    name: str
    folder: str
    is_best: bool
    score: float | None
    span: Span | None
    values: tuple[str, ...]
    state: str
    why: str
    epochs: float | None
    seconds: float | None


@dataclass(frozen=True)
class Trials:
    """All trials."""

    metric: str
    keys: tuple[str, ...]
    rows: tuple[TrialRow, ...]
    axis: Spans


def write_pages_anew(folder: RunFolder) -> list[Path] | None:
    """Write both on a finished search, from its folder alone; None where the folder holds none.

    Raises:
        UserError: where it holds nothing that is finished.
    """
    results = read_search(folder)
    if results is None:
        return None
    with disk_errors_explained(folder):
        return write_pages(folder, results)


def write_pages(folder: RunFolder, results: dict[str, Any]) -> list[Path]:
    """Write report.html and report.md on a search; returns what was written.

    Args:
        folder: the search's.
        results: what its results.json is, or is going to be.
    """
    return write_together(folder, results, render_search, report)


def render_search(folder: RunFolder, results: dict[str, Any]) -> str:
    """The page."""
    from accel_cls.reporting.html.page import heading, render  # jinja2, which nothing else here needs

    about = f"{len(results['trials'])} trials, in {duration(results['seconds'])} together"
    shown = [
        (Part("search", "Which values are best?"), _found(results)),
        (Part("trials", "Trial by trial"), _trials(results)),
    ]
    return render(heading(load_recipe(folder.recipe), about), shown)


def _found(results: dict[str, Any]) -> Found:
    key, test = results["decided_by"], results["test"]
    shares = results["importance"] or {}
    return Found(
        metric=key,
        score=results["validation"]["scores"][key],
        interval=results["validation"]["intervals"].get(key),
        test=test["scores"][key] if test else None,
        test_interval=test["intervals"].get(key) if test else None,
        has_test=test is not None,
        best=best_in_words(results),
        folder=results["best"],
        sentences=tuple(results["sentences"]),
        searched=tuple(
            (name, said, short(results["values"][name]), shares.get(name))
            for name, said in results["searched"].items()
        ),
    )


def _trials(results: dict[str, Any]) -> Trials:
    scored = [one for one in results["trials"] if one["score"] is not None]
    axis = spans([(one["score"],) * 3 for one in scored], results["validation"]["scores"][results["decided_by"]])
    places = dict(zip((one["trial"] for one in scored), axis.spans, strict=True))
    rows = tuple(
        TrialRow(
            name=str(one["trial"]),
            folder=one["run"],
            is_best=one["run"] == results["best"],
            score=one["score"],
            span=places.get(one["trial"]),
            values=tuple(short(value) for value in one["values"].values()),
            state=one["state"],
            why=one["why"],
            epochs=one["epochs"],
            seconds=one["seconds"],
        )
        for one in results["trials"]
    )
    return Trials(results["decided_by"], tuple(short_names([*results["values"]])), rows, axis)
