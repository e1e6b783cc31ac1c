"""Successive halving (Jamieson and Talwalkar, 2016) as numbers: who trains how long, on how many examples.

All candidates train for a part of their updates, the better half of them goes on to twice as many, and so on, until
two train to the end. A trial is a whole training in small: its schedule ends where the last two end, so that these are
compared with their rate at 0, and all trials that go on do so from their checkpoints.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from accel_cls.batching.plan import count_updates

# Examples that are scored, for each that is trained on, and at most: 2,000 tell accuracies apart that differ by 0.02.
_SCORED = 0.5
_MOST_SCORED = 2000
_FORWARD = 1 / 3  # of an example's forward and backward pass, what its forward pass alone takes
# Where there are few examples, a search costs little anyway; and one with fewer, trained on and scored, tells nothing.
_LEAST = 300
_LEAST_SCORED = 30  # of which one is 0.03 of an accuracy


@dataclass(frozen=True)
class Halving:
    """The search as numbers."""

    epochs: tuple[int, ...]  # of each candidate
    batch_size: int  # examples of an update
    trained: int  # examples that each trial is trained on
    scored: int  # others, that it is scored on

    @classmethod
    def of(cls, epochs: Sequence[int], usual_epochs: int, batch_size: int, examples: int) -> Halving:
        """As many examples as make all trials together cost what one training costs.

        Args:
            epochs: of each candidate.
            usual_epochs: of the training that the search is for.
            batch_size: examples of an update.
            examples: that the training has; with `_LEAST` or fewer of them the trials have all.
        """
        sizes, parts = rung_sizes(len(epochs)), rung_parts(len(epochs))
        steps = [after - before for before, after in itertools.pairwise([0.0, *parts])]
        longest = sorted(epochs, reverse=True)
        # Of an example that is trained on, in passes: what goes through the updates, and what is scored.
        passes = sum(step * sum(longest[:size]) for step, size in zip(steps, sizes, strict=True))
        passes += _SCORED * _FORWARD * sum(sizes)
        least, most = min(examples, _LEAST) / (1 + _SCORED), examples / (1 + _SCORED)
        trained = int(min(max(examples * usual_epochs / passes, least), most))
        return cls(tuple(epochs), batch_size, trained, min(int(trained * _SCORED), _MOST_SCORED))

    def updates(self, candidate: int, rung: int) -> int:
        """After how many updates of a candidate a rung ends."""
        return int(rung_parts(len(self.epochs))[rung] * self.all_updates(candidate))

    def all_updates(self, candidate: int) -> int:
        """After how many updates a candidate's schedule ends."""
        return count_updates(self.trained, self.batch_size, self.epochs[candidate])

    @property
    def obstacle(self) -> str | None:
        """Why no search can be made of that; None where one can."""
        if self.scored < _LEAST_SCORED:
            return f"of {self.scored} that are scored, each is {1 / max(1, self.scored):.2f} of an accuracy"
        fewest = min(range(len(self.epochs)), key=self.all_updates)
        if not self.updates(fewest, 0):
            rungs = len(rung_sizes(len(self.epochs)))
            return f"the schedule of a trial, {self.all_updates(fewest)} updates, can't be cut into {rungs} rungs"
        return None


def rung_sizes(candidates: int) -> tuple[int, ...]:
    """How many candidates take part in each rung: each time half of them, rounded up, until there are two."""
    sizes = [candidates]
    while sizes[-1] > 2:
        sizes.append(math.ceil(sizes[-1] / 2))
    return tuple(sizes)


def rung_parts(candidates: int) -> tuple[float, ...]:
    """Which part of its updates a candidate has made at the end of each rung: 1 at the last one's."""
    rungs = len(rung_sizes(candidates))
    return tuple(0.5 ** (rungs - 1 - at) for at in range(rungs))
