"""Figures as a JSON file, and as the tables and the plot of docs/speed.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import prediction, startup, tokenizing, training
from benchmarks.processes import ROOT

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "speed.md"
PLOT = ROOT / "docs" / "speed.svg"
BEGIN, END = "<!-- figures: written by python -m benchmarks -->", "<!-- end of figures -->"

_QUIET = 0.1  # cores that others may keep busy: what a system does by itself

_KINDS = {
    "training": ("Training", training.HEAD, training.show),
    "prediction": ("Classifying and evaluating", prediction.HEAD, prediction.show),
    "startup": ("Until the first update has ended", startup.HEAD, startup.show),
    "tokenizing": ("Tokenizing", tokenizing.HEAD, tokenizing.show),
}


def new_file(on: dict[str, Any], quick: bool) -> Path:
    """Where a run's figures go: a file named for the day and the machine's kind."""
    RESULTS.mkdir(exist_ok=True)
    name = f"{on['date']}-{'gpu' if on['gpu'] else 'cpu'}{'-quick' if quick else ''}"
    path, number = RESULTS / f"{name}.json", 1
    while path.exists():
        number += 1
        path = RESULTS / f"{name}-{number}.json"
    return path


def save(record: dict[str, Any], path: Path) -> None:
    """Write all figures so far."""
    path.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """An earlier run's figures."""
    return json.loads(path.read_text(encoding="utf-8"))


def publish(records: Sequence[dict[str, Any]]) -> None:
    """Put tables and plots between the markers of docs/speed.md, of each machine; what stands around them stays."""
    from benchmarks.plot import draw

    parts = []
    for number, of_machine in enumerate(by_machine(records), start=1):
        plot = PLOT if number == 1 else PLOT.with_stem(f"{PLOT.stem}-{number}")
        drawn = draw(cases_of(of_machine), plot)
        parts.append(tables(of_machine))
        if drawn:
            parts.append(f"![Training speed in percent of the floor's]({plot.name})\n")
    PAGE.write_text(between_markers(PAGE.read_text(encoding="utf-8"), "\n".join(parts)), encoding="utf-8")


def by_machine(records: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Runs of the harness, apart for each kind of machine: figures of different ones have nothing to do together."""
    machines: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        machines.setdefault(_machine(record), []).append(record)
    return list(machines.values())


def between_markers(page: str, text: str, begin_marker: str = BEGIN, end_marker: str = END) -> str:
    """A page with other text between its markers.

    Raises:
        ValueError: where the page has no markers.
    """
    before, begin, rest = page.partition(begin_marker)
    _, end, after = rest.partition(end_marker)
    if not begin or not end:
        raise ValueError(f"expected {begin_marker} and {end_marker} in the page")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def cases_of(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cases of several runs on one kind of machine, of each name the last one."""
    return list({case["name"]: case for record in records for case in record["cases"]}.values())


def tables(records: Sequence[dict[str, Any]]) -> str:
    """All cases of one kind of machine in Markdown, those of a kind in one table, below what they were measured on."""
    cases = cases_of(records)
    newest = [(record, [case["name"] for case in record["cases"] if case in cases]) for record in records]
    parts = [f"### {_machine(records[0])}", *(_measured_on(record, names) for record, names in newest if names)]
    for kind, (title, head, show) in _KINDS.items():
        rows = [row for case in cases if case["kind"] == kind for row in show(case)]
        if rows:
            parts.append(f"#### {title}\n\n{markdown(head, rows)}")
    parts += [*_disturbed(cases), *_late(cases)]
    measured = {case["name"] for case in cases}
    missing = {
        name: f"* {what}: `{name}`, {reason.splitlines()[0]}"
        for record in records
        for what in ("skipped", "failed")
        for name, reason in record[what].items()
        if name not in measured
    }
    bullets = [*missing.values(), *_incomplete(cases)]
    if bullets:
        parts.append("\n".join(bullets))
    return "\n\n".join(parts) + "\n"


def _disturbed(cases: Sequence[dict[str, Any]]) -> list[str]:
    """A warning that names the runs beside which other processes kept the machine busy."""
    found = [
        f"{case['name']}, {who}, round {number}: {one['others_cores']:.1f}"
        for case in cases
        for who, rounds in case["rounds"].items()
        for number, one in enumerate(rounds, start=1)
        if one["others_cores"] > _QUIET
    ]
    return [f"**Other processes kept cores busy meanwhile**: {'; '.join(found)}."] if found else []


def _late(cases: Sequence[dict[str, Any]]) -> list[str]:
    """A warning that names the runs in which torch compiled something while updates were counted."""
    found = [
        f"{case['name']}, {who}, round {number}: {one['late_programs']}"
        for case in cases
        for who, rounds in case["rounds"].items()
        for number, one in enumerate(rounds, start=1)
        if one.get("late_programs")
    ]
    return [f"**Programs were compiled within the counted updates**: {'; '.join(found)}."] if found else []


def _incomplete(cases: Sequence[dict[str, Any]]) -> list[str]:
    """What is missing in cases that were measured: contestants that failed, rounds for which there was no time."""
    failed = [
        f"* failed: `{case['name']}`, {who}: {reason.splitlines()[0]}"
        for case in cases
        for who, reason in case.get("failed", {}).items()
    ]
    cut = [f"* cut short: `{case['name']}`, {case['cut_short']}" for case in cases if case.get("cut_short")]
    return [*failed, *cut]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _machine(record: dict[str, Any]) -> str:
    on = record["machine"]
    return (
        f"{on['processor']}, {on['cores']} cores ({', '.join(on['flags']) or 'no AVX2'}), "
        f"{on['memory_bytes'] / 2**30:.0f} GiB{', ' + on['gpu'] if on['gpu'] else ''}"
    )


def _measured_on(record: dict[str, Any], names: Sequence[str]) -> str:
    """What the cases of these names were measured on."""
    on = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in on["versions"].items())
    plural = "" if record["rounds"] == 1 else "s"
    lines = [
        f"{on['date']}: Python {on['python']}, {versions}; accel_cls at {on['commit']}; "
        f"{record['rounds']} round{plural} of {', '.join(names)}."
    ]
    if record["peaks"]:
        peaks = (
            f"{key} {peak['flop_per_second'] / 1e9:,.0f} GFLOP/s and {peak['optimizer_seconds'] * 1e3:.1f} ms"
            for key, peak in record["peaks"].items()
        )
        lines.append(f"Peaks, and AdamW over the weights: {'; '.join(peaks)}.")
    if record["quick"]:
        lines.insert(0, "**A quick run, to see that the cases work: its figures mean nothing.**")
    return "\n\n".join(lines)
