"""Suspects for people and programs: on the terminal, as csv, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accel_cls.console import Console
from accel_cls.runs.suspects import KeptSuspect, write_suspects
from accel_cls.suspecting.find import Found, Suspect

_WIDTH = 48  # characters of a text in a table
_OTHERS = {
    "same text": "the same text with different labels: no model can be right about all of them",
    "near-duplicate": "nearly the same text with another label",
    "outlier": "like no other text: perhaps of another source, or no text at all",
}


def show(found: Found, console: Console, top: int) -> None:
    """Print the first ones of each kind."""
    share = found.wrong / max(1, found.rows)
    doubted = found.of_kind("model")
    lines = [
        ("judged by", found.about),
        ("", f"agrees with {found.agreed:.1%} of the labels; {found.usual:.1%} have the most frequent one"),
        (
            "labels",
            f"{found.rows:,}, of which about {found.wrong:,.0f} are wrong ({share:.1%}, by confident learning)",
        ),
        ("suspects", f"{len(doubted):,} rows whose label is less likely than another one"),
    ]
    lines += [("", f"{label} that is {true}: about {count:,.0f}") for label, true, count in found.mistaken[:5]]
    console.section("suspects", lines)
    if found.is_judge_weak:
        console.note(
            "who judges knows little of these labels, so that its doubts tell more of it than of them: let a model "
            "judge that knows more, by repeat.folds and accel-cls suspects RUN, or --by encoder"
        )
    for note in found.notes:
        console.note(note)
    header = ["", "row", "text", "label", "suggested", "why"]
    console.table(header, _table(doubted[:top]))
    for kind, title in _OTHERS.items():
        if these := found.of_kind(kind):
            console.section(f"{title} ({len(these):,})", [])
            console.table(["", "row", "text", "label", "", "why"], _table(these[: max(5, top // 4)]))


def _table(suspects: Sequence[Suspect]) -> list[list[str]]:
    return [
        [str(number), one.row, _short(" / ".join(one.texts)), one.label, one.suggestion, one.why]
        for number, one in enumerate(suspects, start=1)
    ]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def write_found(path: Path, found: Found) -> None:
    """Write all of them as a csv file, the most doubtful first."""
    write_suspects(path, [_kept(one) for one in found.suspects])


def _kept(one: Suspect) -> KeptSuspect:
    judged = _cell(one.confidence), _cell(one.probability)
    return KeptSuspect(one.row, one.texts, one.label, one.suggestion, *judged, one.kinds, one.why)


def _cell(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.6f}"


def as_json(found: Found) -> dict[str, Any]:
    """All of it for programs."""
    return {
        "rows": found.rows,
        "judged_by": found.about,
        "agreed": found.agreed,
        "usual": found.usual,
        "is_judge_weak": found.is_judge_weak,
        "estimated_wrong": round(found.wrong, 1),
        "mistaken": [{"label": label, "true": true, "rows": round(count, 1)} for label, true, count in found.mistaken],
        "suspects": [asdict(one) for one in found.suspects],
        "notes": list(found.notes),
    }
