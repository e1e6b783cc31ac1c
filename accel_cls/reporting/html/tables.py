"""What a task has to say besides scores by class and confusion, as tables of its own."""

from __future__ import annotations

from collections.abc import Sequence

from accel_cls.reporting.facts import Facts
from accel_cls.tasks import Table

_DRAWN = ("classes", "confusion")  # entries of results.json that sections of their own show


def content(facts: Facts) -> Sequence[Table] | None:
    """The tables that no other section draws; None where there are none."""
    found = facts.task.report_tables(facts.validation.labels, facts.answered.predicted, facts.names)
    return [table for table in found if table.title.lower() not in _DRAWN] or None
