"""Is it as sure as it is right: reliability diagrams and what the temperature has made better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html.plots import Chart, chart

_MEASURES = ("log_loss", "brier", "ece")


@dataclass(frozen=True)
class Bin:
    """Answers of about the same probability."""

    low: float
    high: float
    answers: int
    said: float  # mean probability
    right: float  # share of them


@dataclass(frozen=True)
class Measured:
    """How good the probabilities of some rows are."""

    rows: str  # which ones
    how: str  # with the temperature, or without
    values: tuple[float, ...]  # log loss, Brier score, expected calibration error
    is_said: bool  # these are what predict says


@dataclass(frozen=True)
class Reliability:
    """See `content`."""

    temperature: float | None  # the one of all classes; None where each has its own, or there is none
    by_class: tuple[tuple[str, float], ...]  # each class's own
    why_none: str | None
    rows: int  # that it was fitted on
    charts: tuple[Chart, ...]  # of the validation rows, and of test rows
    measured: tuple[Measured, ...]
    bins: tuple[Bin, ...]  # of what predict says of the validation rows, those that are not empty
    answers: int
    said: float  # on average, of these
    right: float
    error: float
    is_decision: bool  # an answer is one class of one text, there or not


def content(facts: Facts) -> Reliability | None:
    """None of tasks without probabilities, and of runs of older versions."""
    calibration = facts.results.get("calibration")
    if calibration is None:
        return None
    found, why = calibration["temperature"], calibration["why_none"]
    parts = [(part, calibration[part]) for part in ("validation", "test") if calibration[part]]
    judged = _said(calibration, calibration["validation"])
    bins = tuple(_bins(judged["reliability"]))
    answers = sum(one.answers for one in bins)
    return Reliability(
        None if why or isinstance(found, dict) else found,
        tuple(found.items()) if isinstance(found, dict) and not why else (),
        why,
        calibration["rows"],
        tuple(_chart(part, one, calibration) for part, one in parts),
        tuple(measured for part, one in parts for measured in _measured(part, one, calibration)),
        bins,
        answers,
        sum(one.answers * one.said for one in bins) / answers,
        sum(one.answers * one.right for one in bins) / answers,
        judged["ece"],
        answers > calibration["rows"],
    )


def _said(calibration: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Of a part's two judgements the one of what predict says."""
    return part["before"] if calibration["why_none"] else part["after"]


def _bins(reliability: dict[str, list[Any]]) -> Iterator[Bin]:
    bins = len(reliability["count"])
    columns = zip(reliability["count"], reliability["confidence"], reliability["right"], strict=True)
    for k, (count, said, right) in enumerate(columns):
        if count:
            yield Bin(k / bins, (k + 1) / bins, count, said, right)


def _chart(part: str, one: dict[str, Any], calibration: dict[str, Any]) -> Chart:
    has_temperature = not calibration["why_none"]
    series = [("as sure as right", "guide", [(0.0, 0.0), (1.0, 1.0)])]
    before = [(b.said, b.right) for b in _bins(one["before"]["reliability"])]
    series.append(("as trained", "second" if has_temperature else "main", before))
    if has_temperature:
        series.append(
            ("with the temperature", "main", [(b.said, b.right) for b in _bins(one["after"]["reliability"])])
        )
    bins = _bins(_said(calibration, one)["reliability"])
    words = "; ".join(f"says {b.said:.0%}, is right {b.right:.0%}" for b in bins)
    drawn = chart(f"Share that is right by probability, {part} rows", words, "probability", series)
    assert drawn is not None
    return drawn


def _measured(part: str, one: dict[str, Any], calibration: dict[str, Any]) -> Iterator[Measured]:
    for when, how in (("before", "as trained"), ("after", "with the temperature")):
        if (found := one[when]) is not None:
            is_fold = (part, when) == ("validation", "after")
            said = f"{how}, on rows it was not fitted on" if is_fold else how
            yield Measured(part, said, tuple(found[key] for key in _MEASURES), found is _said(calibration, one))
