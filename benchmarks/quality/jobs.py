"""What there is to do: each contestant on each data set with each encoder and seed, the cheapest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.quality.encoders import NONE, Encoder
from benchmarks.quality.sets import DataSet


@dataclass(frozen=True)
class Contestant:
    """Who is compared."""

    name: str  # on the command line
    shown: str
    alone: bool  # whether it runs without a pretrained encoder
    encoded: bool  # whether it runs with one
    has_chance: bool  # whether the same rows may give it another result with another seed
    # By which the order is chosen, nothing else: seconds to start, and for each 100 bytes of data on two cores of a
    # server CPU, from nothing or with an encoder of 12 layers, 384 wide.
    seconds_to_start: float
    seconds_alone: float = 0.0
    seconds_encoded: float = 0.0


CONTESTANTS = {
    one.name: one
    for one in (
        Contestant("tfidf", "TF-IDF", True, False, False, 8, 0.0007),
        Contestant("frozen", "frozen + LR", False, True, False, 15, seconds_encoded=0.007),
        Contestant("quick", "accel_cls --quick", False, True, True, 25, seconds_encoded=0.007),
        Contestant("accel_cls", "accel_cls", True, True, True, 25, 0.006, 0.06),
        Contestant("trainer", "Trainer", False, True, True, 20, seconds_encoded=0.1),
    )
}
# What the contestant tfidf answers, besides.
ALSO_SHOWN = {"majority": "majority", "tfidf-balanced": "TF-IDF balanced"}
SHOWN = {name: one.shown for name, one in CONTESTANTS.items()} | ALSO_SHOWN


@dataclass(frozen=True)
class Job:
    """One contestant's training on one set, and its answers for the judged rows."""

    data: DataSet
    encoder: Encoder
    contestant: Contestant
    seed: int | None  # None: all seeds give the same

    @property
    def title(self) -> str:
        """As lines on the screen have it."""
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.data.name}, {self.contestant.shown}, {shown_encoder(self.encoder.name)}{seed}"

    @property
    def expected_seconds(self) -> float:
        """About how long it takes."""
        one = self.contestant
        rate = one.seconds_alone if self.encoder == NONE else one.seconds_encoded
        return one.seconds_to_start + rate * self.data.size / 100


def shown_encoder(name: str) -> str:
    """An encoder's name for people."""
    return "from nothing" if name == NONE.name else name


def all_jobs(
    sets: Sequence[DataSet], encoders: Sequence[Encoder], contestants: Sequence[str], seeds: Sequence[int]
) -> list[Job]:
    """The jobs, the cheapest first; a second seed is worth as much as something that takes twice as long."""
    found = {
        job: job.expected_seconds * turn
        for data in sets
        for name in contestants
        for encoder in _encoders_of(CONTESTANTS[name], data, encoders)
        for turn, job in _by_turn(data, encoder, CONTESTANTS[name], seeds)
    }
    return sorted(found, key=lambda job: found[job])


def _encoders_of(contestant: Contestant, data: DataSet, encoders: Sequence[Encoder]) -> list[Encoder]:
    if not contestant.encoded:
        return [NONE]
    return [one for one in encoders if one.reads(data.language) and (one != NONE or contestant.alone)]


def _by_turn(
    data: DataSet, encoder: Encoder, contestant: Contestant, seeds: Sequence[int]
) -> Iterator[tuple[int, Job]]:
    same = data.judged is not None and not contestant.has_chance
    for turn, seed in enumerate([None] if same else seeds, start=1):
        yield turn, Job(data, encoder, contestant, seed)
