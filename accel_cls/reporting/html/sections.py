"""The sections of report.html, in the order in which a person asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html import classes, confusion, course, mistakes, reliability, scores, setting, tables, texts


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading and an entry in its contents."""

    key: str  # its anchor, and the name of its template
    title: str
    content: Callable[[Facts], Any | None]  # what the template sees as `it`; None: this run has no such section


SECTIONS = (
    Section("scores", "Is it good?", scores.content),
    Section("course", "How did it go?", course.content),
    Section("confusion", "What is taken for what?", confusion.content),
    Section("classes", "Class by class", classes.content),
    Section("tables", "How far off?", tables.content),
    Section("mistakes", "The worst mistakes", mistakes.content),
    Section("reliability", "Is it as sure as it is right?", reliability.content),
    Section("texts", "What were the texts?", texts.content),
    Section("setting", "With what was it made?", setting.content),
)
