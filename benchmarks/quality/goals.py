"""What the recipes that `accel-cls new` writes are to reach, and how near the kept results come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.quality.comparison import (
    Difference,
    Entry,
    best_simple,
    difference,
    macro_f1_difference,
    times_as_long,
)
from benchmarks.quality.encoders import NONE
from benchmarks.quality.jobs import SHOWN, shown_encoder
from benchmarks.quality.sets import is_made_uneven

_ACCURACY = {
    ("reviews", "none"): 0.905,
    ("news", "none"): 0.885,
    ("banking77", "minilm"): 0.935,
    ("reviews", "e5"): 0.915,
    ("news", "e5"): 0.890,
    ("bustm", "e5"): 0.62,
}
_SECONDS_FROM_NOTHING = 60
_SECONDS_QUICK = 60
_TIMES_THE_TRAINER = 1.5
_ENOUGH = 1000  # training rows, from which on a pretrained encoder has to be better than all that is simple


@dataclass(frozen=True)
class Verdict:
    """A goal beside what was reached."""

    data: str
    encoder: str
    goal: str
    reached: str
    is_met: bool


def verdicts(found: Sequence[Entry]) -> list[Verdict]:
    """Of each goal that a kept result speaks to."""
    return [verdict for entry in found for verdict in _of_entry(entry, found)]


def _of_entry(entry: Entry, found: Sequence[Entry]) -> list[Verdict]:
    if entry.contestant == "quick" and entry.is_timed:
        return [_seconds(entry, _SECONDS_QUICK, "accel_cls --quick: ")]
    if entry.contestant != "accel_cls":
        return []
    made = []
    if (least := _ACCURACY.get((entry.data, entry.encoder))) is not None:
        mean = entry.score("accuracy").mean
        made.append(_verdict(entry, f"accuracy {least:g} or more", f"{mean:.4f}", mean >= least))
    simple = best_simple(entry, found)
    is_alone = entry.encoder == NONE.name
    if simple is not None and (is_alone or entry.results[0].facts["rows"]["training"] >= _ENOUGH):
        made.append(_better(entry, difference(entry, simple), is_alone))
    if is_made_uneven(entry.data) and (simple := best_simple(entry, found, "f1_macro")) is not None:
        made.append(_by_macro_f1(entry, simple))
    if is_alone and entry.is_timed:
        made.append(_seconds(entry, _SECONDS_FROM_NOTHING))
    trainer = next((one for one in found if _is_trainer_of(entry, one)), None)
    if trainer is not None and (times := times_as_long(entry, trainer)) is not None:
        goal = f"{_TIMES_THE_TRAINER} × the Trainer's time or less"
        made.append(_verdict(entry, goal, f"{times:.2f} ×", times <= _TIMES_THE_TRAINER))
    return made


def _is_trainer_of(entry: Entry, other: Entry) -> bool:
    """Whether it is the Trainer on the same set, with the same encoder."""
    return (other.data, other.encoder, other.contestant) == (entry.data, entry.encoder, "trainer")


def _better(entry: Entry, found: Difference, may_equal: bool) -> Verdict:
    points = 100 * found.accuracy.mean
    goal = "as good as TF-IDF or better" if may_equal else "better than TF-IDF and the frozen encoder"
    reached = f"{points:+.1f} points to {SHOWN[found.than.contestant]}"
    return _verdict(entry, goal, reached, points >= 0 if may_equal else points > 0)


def _by_macro_f1(entry: Entry, simple: Entry) -> Verdict:
    """What rare classes are to be better by; accuracy hides them."""
    points = 100 * macro_f1_difference(entry, simple).mean
    reached = f"{points:+.1f} points to {SHOWN[simple.contestant]}"
    return _verdict(entry, "macro F1 as good as that of what is simple, or better", reached, points >= 0)


def _seconds(entry: Entry, most: int, who: str = "") -> Verdict:
    return _verdict(entry, f"{who}under {most} s", f"{entry.seconds:,.0f} s", entry.seconds < most)


def _verdict(entry: Entry, goal: str, reached: str, is_met: bool) -> Verdict:
    return Verdict(entry.data, shown_encoder(entry.encoder), goal, reached, is_met)
