"""Rows whose answers are worth more, or less, in one run than in the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accel_cls.atomic import write_csv
from accel_cls.comparing.compare import Compared, Comparison
from accel_cls.comparing.finished import AnsweredRun
from accel_cls.console import Console
from accel_cls.errors import shown

_SHOWN = 3  # texts of each kind
_LENGTH = 60  # of a text, in characters


def change_names(comparison: Comparison) -> tuple[str, str]:
    """What a change for the worse, and one for the better, is called."""
    judged, task = comparison.judged, comparison.first.task
    is_right = task.row_scores(judged.labels[:1], judged.predicted[:1]).dtype == bool
    return ("right to wrong", "wrong to right") if is_right else ("farther off", "nearer")


def show_changes(comparison: Comparison, one: Compared, console: Console) -> None:
    """Print how many there are, and the first ones of each kind."""
    names = change_names(comparison)
    for is_better, name in zip((False, True), names, strict=True):
        rows = [change.at for change in one.changes if change.is_better is is_better]
        what = f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'}"
        console.section(f"{one.run.label}, {name}: {what}{', the clearest' if len(rows) > _SHOWN else ''}", [])
        if rows:
            cells = [_row(comparison, one, at) for at in rows[:_SHOWN]]
            console.table(["label", comparison.first.label, one.run.label, "text", ""], cells)


def _row(comparison: Comparison, one: Compared, at: int) -> list[str]:
    texts = [shown(" ".join(text.split()), _LENGTH) for text in texts_of(comparison.first, at)]
    said = (_said(comparison.first, comparison.judged.predicted[at]), _said(one.run, one.judged.predicted[at]))
    return [label_of(comparison.first, at), *said, " | ".join(texts), comparison.first.answers.examples.rows[at]]


def texts_of(run: AnsweredRun, at: int) -> list[str]:
    """The texts of a row: one, or two of a pair."""
    return [cell for cells in run.answers.examples.texts[at : at + 1].values() for cell in cells]


def label_of(run: AnsweredRun, at: int) -> str:
    """What is true of a row, in words."""
    return run.task.text_of(run.answers.labels[at], run.classes)


def _said(run: AnsweredRun, predicted: Any) -> str:
    return ", ".join(run.task.named(predicted, run.classes)) or "none"


def write_changes(comparison: Comparison, path: Path) -> int:
    """Write all rows whose answer changes in some run as csv; returns how many.

    A row has where it comes from, its texts, its label, what each run predicts, and of each run but the first whether
    that is worse or better than the first one's; empty where it is worth the same.
    """
    runs = comparison.runs
    header = ["row", *comparison.first.answers.examples.texts.column_names, "label"]
    header += [f"predicted by {run.label}" for run in runs] + [f"change in {run.label}" for run in runs[1:]]
    return write_csv(path, header, _rows(comparison))


def _rows(comparison: Comparison) -> Iterator[list[str]]:
    first, names = comparison.first, change_names(comparison)
    of_runs = [{change.at: names[change.is_better] for change in one.changes} for one in comparison.others]
    for at in sorted({at for changed in of_runs for at in changed}):
        said = [_said(first, comparison.judged.predicted[at])]
        said += [_said(one.run, one.judged.predicted[at]) for one in comparison.others]
        row = [first.answers.examples.rows[at], *texts_of(first, at), label_of(first, at)]
        yield [*row, *said, *(changed.get(at, "") for changed in of_runs)]


def changes_as_json(comparison: Comparison, one: Compared) -> list[dict[str, Any]]:
    """All of them for programs, the clearest first."""
    names = change_names(comparison)
    return [
        {
            "row": comparison.first.answers.examples.rows[change.at],
            "texts": texts_of(comparison.first, change.at),
            "label": label_of(comparison.first, change.at),
            "first": _said(comparison.first, comparison.judged.predicted[change.at]),
            "predicted": _said(one.run, one.judged.predicted[change.at]),
            "change": names[change.is_better],
        }
        for change in one.changes
    ]
