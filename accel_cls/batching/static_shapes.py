"""A few shapes for all packed micro-batches of a training, so that a pass over each can be recorded and played again.

A micro-batch of n texts with r tokens becomes one of N > n texts with T tokens, by texts of padding. Which texts an
update has, and how it is cut, stays what it is; the shapes follow from that alone, so from the recipe and the lengths.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from accel_cls.batching.plan import Plan

MOST_SHAPES = 4
# Another shape has to save so large a part of all tokens: recording it takes a dozen passes, and memory.
_WORTH = 0.02
# Tokens of a shape are a multiple of this: full tiles for matrix products.
_TOKEN_STEP = 64
# The updates of so many epochs stand for all, of long epochs so many, evenly chosen: 0.1 ms each. Where a run ends has
# no part in it, or one that is given another end would go on with other shapes, and other last digits.
_EPOCHS, _MOST_UPDATES = 3, 2000


@dataclass(frozen=True)
class StaticShape:
    """What a micro-batch is filled up to."""

    tokens: int  # T
    texts: int  # N, those of padding included
    longest: int  # tokens that a text may have

    def holds(self, tokens: int, texts: int) -> bool:
        """Whether so many tokens of so many texts can be filled up to it: each text of padding has 1 to `longest`."""
        more, missing = self.tokens - tokens, self.texts - texts
        return 0 < missing <= more <= missing * self.longest

    def filled_up(self, lengths: np.ndarray) -> np.ndarray:
        """Lengths of all texts, int64 [N]: those given, then those of padding, which are alike."""
        more, missing = self.tokens - int(lengths.sum()), self.texts - len(lengths)
        return np.concatenate([lengths, (more + np.arange(missing)) // missing])


def choose_shapes(plan: Plan, processes: int) -> tuple[StaticShape, ...]:
    """The shapes of a training's micro-batches, at most MOST_SHAPES, by their tokens.

    Of all ways to cut the micro-batches, sorted by their tokens, into so many shapes it is the one with the fewest
    tokens of padding (dynamic programming); one shape more where that saves a fiftieth of all tokens.
    """
    sizes = np.array(sorted(_sizes(plan, processes)))
    longest = int(plan.lengths.max())
    tokens, counts = np.unique(sizes[:, 0], return_counts=True)
    ends = _best_cut(-(-(tokens + 1) // _TOKEN_STEP) * _TOKEN_STEP, counts)
    bounds = [0, *(int(tokens[end]) for end in ends)]
    own = [sizes[(sizes[:, 0] > above) & (sizes[:, 0] <= to)] for above, to in itertools.pairwise(bounds)]
    # The last update of an epoch may have few texts: that it fits into a larger shape is enough.
    return (*(_shape_of(part, longest, every=False) for part in own[:-1]), _shape_of(own[-1], longest))


def shape_for(shapes: Sequence[StaticShape], tokens: int, texts: int) -> tuple[StaticShape, bool]:
    """The smallest shape that holds a micro-batch, and whether it is one of these; else one of its own."""
    for shape in shapes:
        if shape.holds(tokens, texts):
            return shape, True
    return _shape_of(np.array([[tokens, texts]]), shapes[0].longest), False


def _sizes(plan: Plan, processes: int) -> Iterator[tuple[int, int]]:
    """(tokens, texts) of micro-batches; what they leave out may have a shape of its own."""
    count = _EPOCHS * plan.updates_per_epoch
    for update in range(0, count, max(1, count // _MOST_UPDATES)):
        for part in plan.micro_batches(update, processes):
            yield int(plan.lengths[list(part.examples)].sum()), len(part.examples)


def _shape_of(sizes: np.ndarray, longest: int, every: bool = True) -> StaticShape:
    """The smallest shape that holds the tokens of some sizes, int [micro-batches, (tokens, texts)].

    Args:
        every: whether it has to hold all of them, also those with so few texts that padding takes more tokens.
    """
    tokens = _round_up(int(sizes[:, 0].max()) + 1)
    while True:
        # Texts of padding have at most `longest` tokens each, and at least one.
        texts = int((sizes[:, 1] + -(-(tokens - sizes[:, 0]) // longest)).max())
        least = int((sizes[:, 0] + texts - sizes[:, 1]).max())
        if least <= tokens or not every:
            return StaticShape(tokens, texts, longest)
        tokens = _round_up(least)


def _round_up(tokens: int) -> int:
    return -(-tokens // _TOKEN_STEP) * _TOKEN_STEP


def _best_cut(tokens: np.ndarray, counts: np.ndarray) -> list[int]:
    """Where shapes end: indices of sizes, of `counts` micro-batches each with these tokens, ascending."""
    before = np.concatenate([[0], np.cumsum(counts)])
    # Tokens of all sizes up to each, by the best cut into one shape, into two ...; and where its last shape begins.
    best = [before[1:] * tokens]
    starts: list[np.ndarray] = [np.zeros(len(tokens), np.int64)]
    for _ in range(MOST_SHAPES - 1):
        each, start = np.empty_like(best[-1]), np.zeros(len(tokens), np.int64)
        for end in range(len(tokens)):
            # The last shape begins after each size before this one, or is the only one.
            options = np.concatenate([[0], best[-1][:end]]) + (before[end + 1] - before[: end + 1]) * tokens[end]
            start[end] = int(options.argmin())
            each[end] = options[start[end]]
        best.append(each)
        starts.append(start)
    totals = [int(each[-1]) for each in best]
    chosen = 0
    while chosen + 1 < MOST_SHAPES and totals[chosen] - totals[chosen + 1] > _WORTH * totals[chosen]:
        chosen += 1
    ends, end = list[int](), len(tokens) - 1
    for shapes in range(chosen, -1, -1):
        ends.append(end)
        end = int(starts[shapes][end]) - 1
        if end < 0:
            break
    return ends[::-1]
