"""Results of several seeds put together, and against the best of the simple contestants on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from accel_cls.evaluation.statistics.paired import PairedDifference, paired_difference
from benchmarks.quality.encoders import NONE
from benchmarks.quality.kept import Result

_SIMPLE = ("tfidf", "tfidf-balanced", "frozen")


@dataclass(frozen=True)
class Spread:
    """The mean of some figures, and their standard deviation where there are several."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value or more."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None)

    def __str__(self) -> str:
        return f"{self.mean:.4f}" + ("" if self.deviation is None else f" ± {self.deviation:.4f}")


@dataclass(frozen=True)
class Entry:
    """What a contestant reached on a set with an encoder, over all seeds that there are."""

    data: str
    encoder: str
    contestant: str
    results: tuple[Result, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that there are; none where all would give the same."""
        return tuple(sorted(one.facts["seed"] for one in self.results if one.facts["seed"] is not None))

    def score(self, name: str) -> Spread:
        """The accuracy or f1_macro."""
        return Spread.of([one.facts["scores"][name] for one in self.results])

    @property
    def last_accuracy(self) -> Spread | None:
        """At the last evaluation; None where no evaluation was chosen by judged rows."""
        found = [one.facts["last"]["accuracy"] for one in self.results if one.facts["last"] is not None]
        return Spread.of(found) if found else None

    @property
    def seconds(self) -> float:
        """Of the commands, on average."""
        return fmean(one.facts["seconds"] for one in self.results)

    @property
    def is_timed(self) -> bool:
        """Whether nothing else was measured meanwhile."""
        return all(one.at_once == 1 for one in self.results)

    @property
    def cpu_seconds(self) -> float:
        """Likewise, of all cores together."""
        return fmean(one.facts["cpu_seconds"] for one in self.results)


@dataclass(frozen=True)
class Difference:
    """By how much an entry is more often right than another one, with the same seeds."""

    than: Entry
    accuracy: Spread
    single: PairedDifference | None  # where one seed is all there is


def entries(results: Sequence[Result]) -> list[Entry]:
    """All results by set, encoder and contestant."""
    found: dict[tuple[str, str, str], list[Result]] = {}
    for one in results:
        key = (one.facts["set"], one.facts["encoder"], one.facts["contestant"])
        found.setdefault(key, []).append(one)
    return [Entry(*key, tuple(some)) for key, some in found.items()]


def best_simple(entry: Entry, others: Sequence[Entry], score: str = "accuracy") -> Entry | None:
    """The best of TF-IDF and the entry's own frozen encoder, by a score; None where neither is there."""
    simple = [
        other
        for other in others
        if other.data == entry.data
        and other.encoder in (NONE.name, entry.encoder)
        and other.contestant in _SIMPLE
        and other.contestant != entry.contestant
        and _pairs(entry, other)
    ]
    return max(simple, key=lambda other: other.score(score).mean, default=None)


def times_as_long(entry: Entry, other: Entry) -> float | None:
    """How many times another one's seconds an entry takes; None where no kind of machine has timed both by itself."""
    alone = [{one.machine for one in each.results if one.at_once == 1} for each in (entry, other)]
    both = alone[0] & alone[1]
    if not both:
        return None
    first, second = (
        fmean(one.facts["seconds"] for one in each.results if one.machine in both) for each in (entry, other)
    )
    return first / second


def difference(first: Entry, second: Entry) -> Difference:
    """Paired by seed, and row by row.

    Raises:
        ValueError: where the two have no seed, or not the same rows, in common.
    """
    pairs = _pairs(first, second)
    if not pairs:
        raise ValueError(f"{first.data}: {first.contestant} and {second.contestant} have no seed in common")
    for one, other in pairs:
        if one.facts["rows"]["digest"] != other.facts["rows"]["digest"]:
            raise ValueError(f"{one.path} and {other.path} are of different rows; run one of them again with --again")
    of_seeds = [paired_difference(one.are_right, other.are_right) for one, other in pairs]
    accuracy = Spread.of([one.difference for one in of_seeds])
    return Difference(second, accuracy, of_seeds[0] if len(pairs) == 1 else None)


def macro_f1_difference(first: Entry, second: Entry) -> Spread:
    """Paired by seed; they have one in common."""
    return Spread.of(
        [one.facts["scores"]["f1_macro"] - other.facts["scores"]["f1_macro"] for one, other in _pairs(first, second)]
    )


def _pairs(first: Entry, second: Entry) -> list[tuple[Result, Result]]:
    """Results of the same seed; what has none goes with all."""
    return [
        (one, other)
        for one in first.results
        for other in second.results
        if None in (one.facts["seed"], other.facts["seed"]) or one.facts["seed"] == other.facts["seed"]
    ]
