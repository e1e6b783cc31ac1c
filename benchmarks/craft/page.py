"""Kept results as the table of docs/craft.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from scipy import stats

from benchmarks.craft.choices import CHOICES, PLAIN
from benchmarks.craft.settings import NAMES
from benchmarks.page import markdown
from benchmarks.processes import ROOT
from benchmarks.quality.comparison import Entry, difference, entries
from benchmarks.quality.kept import Result
from benchmarks.quality.measured_on import letters_of, measured_on

PAGE = ROOT / "docs" / "craft.md"
BEGIN, END = "<!-- figures: written by python -m benchmarks.craft -->", "<!-- end of figures -->"


def tables(results: Sequence[Result]) -> str:
    """What the plain recipes reach, what each choice adds to them, and what all was measured on, in Markdown."""
    found = {(f"{one.data}-{one.encoder}", one.contestant): one for one in entries(results)}
    settings = [name for name in NAMES if (name, PLAIN.name) in found]
    plain = [_plain_row(name, found[name, PLAIN.name]) for name in settings]
    tried = [name for name in CHOICES if name != PLAIN.name and any((one, name) in found for one in settings)]
    rows = [_row(name, [(found.get((one, name)), found[one, PLAIN.name]) for one in settings]) for name in tried]
    return "\n\n".join(
        [
            "### The plain recipes",
            markdown(("setting", "accuracy", "macro F1", "training, s", "precision", "seeds"), plain),
            "### What each choice adds, in points of accuracy",
            markdown(("choice", "in the recipe", *settings), rows),
            measured_on(results, letters_of(results)),
        ]
    )


def _plain_row(name: str, entry: Entry) -> list[str]:
    return [
        name,
        str(entry.score("accuracy")),
        str(entry.score("f1_macro")),
        f"{fmean(one.facts['training_seconds'] for one in entry.results):,.0f}",
        ", ".join(sorted({one.precision or "fp32" for one in entry.results})),
        ", ".join(map(str, entry.seeds)),
    ]


def _row(name: str, pairs: Sequence[tuple[Entry | None, Entry]]) -> list[str]:
    lines = " ".join(f"`{one}`" for one in CHOICES[name].overrides)
    return [name, lines, *("" if entry is None else _cell(entry, plain) for entry, plain in pairs)]


def _cell(entry: Entry, plain: Entry) -> str:
    """The difference, its interval, in bold where that holds no 0, and the time; seeds where they are fewer."""
    seeds = sorted({*entry.seeds} & {*plain.seeds})
    low, mean, high = _interval(entry, plain)
    shown = f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
    shown = f"**{shown}**" if low > 0 or high < 0 else shown
    times = _times(entry, plain, seeds)
    return f"{shown}, {times:.1f} ×" + ("" if len(seeds) == len(plain.seeds) else f", {len(seeds)} seeds")


def _interval(entry: Entry, plain: Entry) -> tuple[float, float, float]:
    """Lower end, mean and upper end in points: Student's t over the seeds; of a single one, over its rows."""
    found = difference(entry, plain)
    mean = 100 * found.accuracy.mean
    if found.single is not None:
        return 100 * found.single.low, mean, 100 * found.single.high
    count = len({*entry.seeds} & {*plain.seeds})
    margin = 100 * (found.accuracy.deviation or 0.0) / math.sqrt(count) * float(stats.t.ppf(0.975, count - 1))
    return mean - margin, mean, mean + margin


def _times(entry: Entry, plain: Entry, seeds: Sequence[int]) -> float:
    """How many times as long the training takes, in seconds of all cores together."""

    def mean(of: Entry) -> float:
        return fmean(one.facts["cpu_seconds"] for one in of.results if one.facts["seed"] in seeds)

    return mean(entry) / mean(plain)
