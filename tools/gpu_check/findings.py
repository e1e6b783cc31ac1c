"""What a step finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A fact about this machine."""

    what: str
    value: str
    ok: bool | None = None  # None: a figure that nothing is expected of


class StepFailed(Exception):
    """A step could not do what it does; says why."""
