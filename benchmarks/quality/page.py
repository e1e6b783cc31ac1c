"""Kept results as the tables of docs/quality.md."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from benchmarks.page import markdown
from benchmarks.processes import ROOT
from benchmarks.quality.comparison import Difference, Entry, best_simple, difference, entries, macro_f1_difference
from benchmarks.quality.encoders import NAMES as ENCODERS
from benchmarks.quality.goals import verdicts
from benchmarks.quality.jobs import CONTESTANTS, SHOWN, shown_encoder
from benchmarks.quality.kept import Result
from benchmarks.quality.measured_on import letters_of, measured_on
from benchmarks.quality.sets import NAMES as SETS
from benchmarks.quality.sets import about, is_made_uneven

PAGE = ROOT / "docs" / "quality.md"
BEGIN, END = "<!-- figures: written by python -m benchmarks.quality -->", "<!-- end of figures -->"

_HEAD = (
    "encoder", "contestant", "accuracy", "at the last evaluation", "macro F1", "to the best simple one, points",
    "macro F1, to the best simple one", "seconds", "CPU seconds", "seeds", "machine and commit",
)  # fmt: skip
_COMPARED = ("accel_cls", "quick", "trainer")  # with what is simple
_ORDER = ("majority", "tfidf", "tfidf-balanced", "frozen", "quick", "trainer", "accel_cls")


def tables(results: Sequence[Result]) -> str:
    """The goals, a table for each set, and what all was measured on, in Markdown."""
    found = sorted(entries(results), key=_rank)
    letters = letters_of(results)
    parts = [_goals(found)]
    for name in dict.fromkeys(entry.data for entry in found):
        parts.append(_of_set([entry for entry in found if entry.data == name], letters))
    parts += [measured_on(results, letters)]
    return "\n\n".join(parts) + "\n"


def _rank(entry: Entry) -> tuple[Any, ...]:
    """Known sets and encoders in their own order, others after them by name."""

    def place(name: str, known: Sequence[str]) -> tuple[int, str]:
        return known.index(name) if name in known else len(known), name

    return place(entry.data, SETS), place(entry.encoder, ENCODERS), place(entry.contestant, _ORDER)


def _goals(found: Sequence[Entry]) -> str:
    rows = [
        (one.data, one.encoder, one.goal, one.reached, "yes" if one.is_met else "**no**") for one in verdicts(found)
    ]
    if not rows:
        return "### Goals\n\nNo recipe of accel_cls has been measured yet."
    return f"### Goals\n\n{markdown(('data', 'encoder', 'goal', 'reached', 'met'), rows)}"


def _of_set(found: Sequence[Entry], letters: dict[str, str]) -> str:
    name = found[0].data
    rows = [_row(entry, found, letters) for entry in found]
    used = [at for at in range(len(_HEAD)) if any(row[at] for row in rows)]
    table = markdown([_HEAD[at] for at in used], [[row[at] for at in used] for row in rows])
    return f"### {name}: {about(name)}\n\n{_rows_of(found)}\n\n{table}\n\n`{_repeats(found)}`"


def _rows_of(found: Sequence[Entry]) -> str:
    """Which rows were learned from and judged."""
    counts = [result.facts["rows"] for entry in found for result in entry.results]
    learned = " or ".join(f"{count:,}" for count in sorted({rows["training"] for rows in counts}, reverse=True))
    judged = " or ".join(f"{count:,}" for count in sorted({rows["judged"] for rows in counts}, reverse=True))
    if any(result.facts["judged_file"] for entry in found for result in entry.results):
        how = (
            "the rows of a file of their own, by which nothing was chosen: accel_cls splits validation rows off those "
            "that it is given, chooses by them, and learns them, too, in the end, where its recipe says `refit`; "
            "else it has learned from fewer than the others"
        )
    else:
        how = (
            "those that accel_cls splits off by the seed. Its own best epoch is chosen by these same rows; beside "
            "that stands what it had at the last evaluation"
        )
    return f"Learned from: {learned} rows. Judged: {judged}, {how}."


def _row(entry: Entry, found: Sequence[Entry], letters: dict[str, str]) -> list[str]:
    simple = best_simple(entry, found) if entry.contestant in _COMPARED else None
    last = entry.last_accuracy
    places = sorted({_place(one, letters) for one in entry.results})
    return [
        shown_encoder(entry.encoder),
        SHOWN.get(entry.contestant, entry.contestant),
        str(entry.score("accuracy")),
        "" if last is None else str(last),
        str(entry.score("f1_macro")),
        "" if simple is None else _show_difference(difference(entry, simple)),
        _macro_f1_beside(entry, found),
        f"{entry.seconds:,.0f}",
        f"{entry.cpu_seconds:,.0f}",
        ", ".join(map(str, entry.seeds)) or "all the same",
        ", ".join(places),
    ]


def _macro_f1_beside(entry: Entry, found: Sequence[Entry]) -> str:
    """Its difference to the best by macro F1 of what is simple, where accuracy says little."""
    is_compared = entry.contestant in _COMPARED and is_made_uneven(entry.data)
    simple = best_simple(entry, found, "f1_macro") if is_compared else None
    if simple is None:
        return ""
    apart = macro_f1_difference(entry, simple)
    spread = "" if apart.deviation is None else f" ± {100 * apart.deviation:.1f}"
    return f"{100 * apart.mean:+.1f}{spread} to {SHOWN[simple.contestant]}"


def _place(one: Result, letters: dict[str, str]) -> str:
    """The machine's letter, the commit, and the precision where it is not fp32."""
    told = "" if one.precision in (None, "fp32") else f" {one.precision}"
    return f"{letters[one.machine]} {one.facts['machine']['commit']}{told}"


def _show_difference(found: Difference) -> str:
    mean, than = 100 * found.accuracy.mean, SHOWN[found.than.contestant]
    if found.single is not None:
        one = found.single
        return f"{mean:+.1f} ({100 * one.low:+.1f} to {100 * one.high:+.1f}, p = {one.p:.2g}) to {than}"
    return f"{mean:+.1f} ± {100 * (found.accuracy.deviation or 0.0):.1f} to {than}"


def _repeats(found: Sequence[Entry]) -> str:
    """The command that gives a set's results again."""
    encoders = dict.fromkeys(entry.encoder for entry in found)
    seeds = sorted({seed for entry in found for seed in entry.seeds})
    contestants = [name for name in CONTESTANTS if any(entry.contestant == name for entry in found)]
    asked = ["--encoders", *encoders, "--contestants", *contestants]
    asked += ["--seeds", *map(str, seeds), "--again"] if seeds else ["--again"]
    return shlex.join(["python", "-m", "benchmarks.quality", found[0].data, *asked])
