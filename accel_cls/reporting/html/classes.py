"""Class by class: precision, recall, F1, and how many examples there were to learn from."""

from __future__ import annotations

from dataclasses import dataclass

from accel_cls.reporting.facts import Facts


@dataclass(frozen=True)
class ClassRow:
    """One class on the validation rows."""

    name: str
    training: int | None  # examples to learn from; None in runs of older versions
    examples: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None
    test_f1: float | None


@dataclass(frozen=True)
class ClassTable:
    """See `content`."""

    rows: tuple[ClassRow, ...]
    has_test: bool
    is_partial: bool  # some score is undefined


def content(facts: Facts) -> ClassTable | None:
    """None of tasks whose labels are no classes."""
    classes = facts.results.get("classes")
    if not classes:
        return None
    trained = facts.results.get("texts", {}).get("classes", {}).get("training") or [None] * len(classes)
    test = facts.results.get("test")
    tested = [one["f1"] for one in test["classes"]] if test else [None] * len(classes)
    rows = tuple(
        ClassRow(one["name"], count, one["examples"], one["predicted"], one["precision"], one["recall"], one["f1"], f1)
        for one, count, f1 in zip(classes, trained, tested, strict=True)
    )
    is_partial = any(None in (row.precision, row.recall, row.f1) for row in rows)
    return ClassTable(rows, test is not None, is_partial)
