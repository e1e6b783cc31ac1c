"""Is it as sure as it is right: a reliability diagram and the expected calibration error, of the answers alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html.plots import Chart, chart

_BINS = 15  # of equal width, as Guo et al. (2017) have them


@dataclass(frozen=True)
class Bin:
    """Answers of about the same probability."""

    low: float
    high: float
    answers: int
    said: float  # mean probability
    right: float  # share of them


@dataclass(frozen=True)
class Reliability:
    """See `content`."""

    chart: Chart
    bins: tuple[Bin, ...]  # those that are not empty
    answers: int
    error: float  # expected calibration error
    said: float
    right: float
    is_by_class: bool  # an answer is one class of one text, there or not


def content(facts: Facts) -> Reliability | None:
    """None of tasks without probabilities."""
    probabilities = facts.decoded.probabilities
    if not probabilities.size:
        return None
    is_there = np.zeros(probabilities.shape, bool)
    for i, label in enumerate(facts.validation.labels):
        is_there[i, list(facts.task.classes_of(label))] = True
    # Probabilities that sum to one are a choice, of which the chosen one counts; others a decision each.
    is_choice = bool(np.allclose(probabilities.sum(1), 1))
    if is_choice:
        chosen = probabilities.argmax(1)[:, None]
        probabilities, is_there = (np.take_along_axis(x, chosen, 1) for x in (probabilities, is_there))
    said, right = probabilities.ravel(), is_there.ravel()
    bins = binned(said, right)
    error = sum(one.answers * abs(one.said - one.right) for one in bins) / len(said)
    series = [
        ("as sure as right", "guide", [(0.0, 0.0), (1.0, 1.0)]),
        ("this model", "main", [(one.said, one.right) for one in bins]),
    ]
    words = "; ".join(f"says {one.said:.0%}, is right {one.right:.0%}" for one in bins)
    diagram = chart("Share that is right, by the probability that was said", words, "probability", series)
    assert diagram is not None
    return Reliability(
        diagram, tuple(bins), len(said), float(error), float(said.mean()), float(right.mean()), not is_choice
    )


def binned(said: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Answers by their probability, float64 [answers], and whether they are right, bool [answers]."""
    which = np.minimum((said * _BINS).astype(np.int64), _BINS - 1)
    return [
        Bin(k / _BINS, (k + 1) / _BINS, int(own.sum()), float(said[own].mean()), float(right[own].mean()))
        for k in range(_BINS)
        if (own := which == k).any()
    ]
