"""The sections of report.html, in the order in which a person asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html import (
    behaviour,
    classes,
    confusion,
    course,
    decisions,
    mistakes,
    reliability,
    scores,
    setting,
    slices,
    suspects,
    tables,
    texts,
)
from accel_cls.reporting.html.part import Part


@dataclass(frozen=True)
class Section(Part):
    """A part of the page of a run."""

    content: Callable[[Facts], Any | None]  # what the template sees as `it`; None: this run has no such section


SECTIONS = (
    Section("scores", "Is it good?", scores.content),
    Section("course", "How did it go?", course.content),
    Section("confusion", "What is taken for what?", confusion.content),
    Section("classes", "Class by class", classes.content),
    Section("tables", "How far off?", tables.content),
    Section("slices", "Where is it worse?", slices.content),
    Section("mistakes", "The worst mistakes", mistakes.content),
    Section("suspects", "Which labels may be wrong?", suspects.content),
    Section("behaviour", "What changes its answer?", behaviour.content),
    Section("reliability", "Is it as sure as it is right?", reliability.content),
    Section("decisions", "When does it decide?", decisions.content),
    Section("texts", "What were the texts?", texts.content),
    Section("setting", "With what was it made?", setting.content),
)
