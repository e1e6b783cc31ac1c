"""The record as a table, for the terminal and for the docs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.processes import ROOT

MOST_LINES = 60
HARDWARE, SPEED = ROOT / "docs" / "hardware.md", ROOT / "docs" / "speed.md"
_BEGIN, _END = "<!-- gpu: written by python -m tools.gpu_check -->", "<!-- end of gpu -->"
_VERDICT = {True: "ok", False: "NOT OK", None: ""}
_WIDTHS = (22, 54, 82)  # columns of the terminal's table: step, what, value


def heading(record: dict[str, Any]) -> str:
    """Date, device and versions in a line."""
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    device = record["device"] if record["device"] != "CPU" else "CPU, which shows that the steps work, and no more"
    return f"{record['date']}, {device}; {versions}; accel_cls at {record['commit']}"


def rows(record: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Step, what was looked at, what was found, and the verdict."""
    found = []
    for step in record["steps"]:
        lines = [(one["what"], one["value"], _VERDICT[one["ok"]]) for one in step["findings"]]
        if step["status"] in ("left out", "out of time") or step["why"]:
            reason = step["why"].strip().splitlines() or [""]
            verdict = "NOT OK" if step["status"] == "failed" else step["status"]
            lines.append(("", reason[-1] if step["status"] == "failed" else reason[0], verdict))
        found += [(step["name"] if number == 0 else "", *line) for number, line in enumerate(lines)]
    return found


def table(record: dict[str, Any]) -> str:
    """For the terminal, at most MOST_LINES lines: steps beyond that are in the record alone."""
    lines = [heading(record)]
    for step, what, value, verdict in rows(record):
        cells = (cell[:width].ljust(width) for cell, width in zip((step, what, value), _WIDTHS, strict=True))
        lines.append(f"{' '.join(cells)} {verdict}".rstrip())
    if len(lines) > MOST_LINES - 1:
        lines[MOST_LINES - 2 :] = [f"and {len(lines) - MOST_LINES + 2} lines more, in the record"]
    statuses = [step["status"] for step in record["steps"]]
    counted = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    return "\n".join([*lines, f"{counted}; {record['seconds']:.0f} s of {record['limit']} s"])


def publish(record: dict[str, Any], hardware: Path = HARDWARE, speed: Path = SPEED) -> list[Path]:
    """Put the table into docs/hardware.md and the benchmarks' into docs/speed.md; returns the pages that changed."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows(record)]
    text = f"{heading(record)}.\n\n{page.markdown(['step', 'what', 'found', 'verdict'], cells)}"
    _put(hardware, text)
    if not record["benchmarks"]:
        return [hardware]
    _put(speed, page.tables([record["benchmarks"]]))
    return [hardware, speed]


def _put(path: Path, text: str) -> None:
    content = path.read_text(encoding="utf-8")
    path.write_text(page.between_markers(content, text, _BEGIN, _END), encoding="utf-8")


def failed(steps: Sequence[dict[str, Any]]) -> list[str]:
    """The names of the steps that failed."""
    return [step["name"] for step in steps if step["status"] == "failed"]
