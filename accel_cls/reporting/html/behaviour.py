"""What changes its answer: how often answers differ where texts are changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html.plots import short
from accel_cls.reporting.html.spans import Span, Spans, spans
from accel_cls.reporting.mistakes import shortened

_LONGEST = 200  # characters of a text
_WIDTH = 280  # of bars, in pixels


@dataclass(frozen=True)
class Cut:
    """A text in three: what it begins with, what is of itself, and how it ends as the other one does."""

    begin: str
    own: str
    end: str


@dataclass(frozen=True)
class Example:
    """A text, what it was changed to, and the answers to both."""

    row: str
    text: Cut
    changed: Cut
    predicted: str
    predicted_changed: str
    probability_change: float
    is_expected: bool  # the answer has turned, or stayed, as it should


@dataclass(frozen=True)
class Change:
    """A way to change texts."""

    name: str
    is_to_differ: bool  # the answer should be another one
    texts: int
    differ: float  # a share, or a mean difference
    low: float  # 95% interval
    high: float
    span: Span
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Behaviour:
    """See `content`."""

    texts: int
    measure: str
    is_share: bool
    same: tuple[Change, ...]  # that should change no answer
    opposite: tuple[Change, ...]  # that should turn it where it is an opinion
    axis: Spans


def content(facts: Facts) -> Behaviour | None:
    """None where the recipe does not ask for it, and of runs of older versions."""
    found = facts.results.get("behaviour")
    if not found or not found["tests"]:
        return None
    is_share = found["measure"] == "labels that differ"
    values = [(one["differ"], *one["interval"]) for one in found["tests"]]
    written: Callable[[float], str] = "{:.0%}".format if is_share else short
    axis = spans(values, from_zero=True, written=written, width=_WIDTH)
    changes = tuple(_change(one, span) for one, span in zip(found["tests"], axis.spans, strict=True))
    same, opposite = (tuple(one for one in changes if one.is_to_differ == is_so) for is_so in (False, True))
    return Behaviour(found["texts"], found["measure"], is_share, same, opposite, axis)


def _change(one: dict[str, Any], span: Span) -> Change:
    is_to_differ = one["expected"] == "opposite"
    examples = tuple(_example(example, is_to_differ) for example in one["examples"])
    low, high = one["interval"]
    return Change(one["name"], is_to_differ, one["texts"], one["differ"], low, high, span, examples)


def _example(one: dict[str, Any], is_to_differ: bool) -> Example:
    text, changed = told_apart(shortened(one["text"], _LONGEST), shortened(one["changed"], _LONGEST))
    before, after = one["predicted"], one["predicted_changed"]
    is_expected = (before != after) == is_to_differ
    return Example(one["row"], text, changed, before, after, one["probability_change"], is_expected)


def told_apart(one: str, other: str) -> tuple[Cut, Cut]:
    """Two texts, each cut around what is its own."""
    least = min(len(one), len(other))
    begin = next((i for i in range(least) if one[i] != other[i]), least)
    left = least - begin
    end = next((i for i in range(left) if one[-1 - i] != other[-1 - i]), left)

    def cut(text: str) -> Cut:
        return Cut(text[:begin], text[begin : len(text) - end], text[len(text) - end :])

    return cut(one), cut(other)
