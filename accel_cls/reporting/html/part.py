"""A part of a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A part of a page with a heading and an entry in its contents."""

    key: str  # its anchor, and the name of its template
    title: str
