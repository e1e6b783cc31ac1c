"""Which sizes of micro-batches come into question for `train.micro_batch_tokens: auto`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from accel_cls.batching.layout import padded_width, width_step
from accel_cls.recipe import Recipe


@dataclass(frozen=True)
class MicroBatchSizes:
    """The sizes that micro-batches may have, in padded tokens."""

    widest: int  # tokens of the widest row of the training examples
    max_length: int  # data.max_length: validation texts, and later ones, may be that long
    batch_size: int  # rows of an update: its examples, or their windows
    min_micro_batches: int = 1  # of an update
    windows: int = 1  # that a text may have
    passes: int = 1  # forward passes that an objective keeps at once: two through half as many rows need as much

    @classmethod
    def of(
        cls, recipe: Recipe, lengths: np.ndarray, few_shapes: bool = False, windows: np.ndarray | None = None
    ) -> MicroBatchSizes:
        """The sizes for a recipe whose training examples have these lengths and windows; with `few_shapes` on XLA."""
        max_length, train = recipe.data.max_length, recipe.train
        rows = lengths if windows is None else -(-lengths // windows)
        widest = padded_width(int(rows.max()), max_length, width_step(max_length, few_shapes))
        examples, most = min(train.batch_size, len(lengths)), 1
        if windows is not None and recipe.data.windows is not None:
            examples, most = int(np.sort(windows)[-examples:].sum()), recipe.data.windows.most
        return cls(widest, max_length, examples, train.min_micro_batches, most, recipe.loss.kept_passes)

    def candidates(self, processes: int = 1) -> list[int]:
        """The sizes to choose from, ascending: rows × the widest width, from one row to a process's part of an update.

        A larger micro-batch is of no use. Steps by a half or a third keep the search short.
        """
        most = -(-self.batch_size // max(processes, self.min_micro_batches))
        steps = {step << k for k in range(most.bit_length()) for step in (1, 3)}
        rows = {most, *(step for step in steps if step < most)}
        return sorted({max(self.windows * self.max_length, count * self.widest) for count in rows})

    def next_smaller(self, tokens: int) -> int | None:
        """The largest size below so many tokens; None for none."""
        return max((size for size in self.candidates() if size < tokens), default=None)

    def worst_shape(self, tokens: int) -> tuple[int, int]:
        """(rows, width) of the micro-batch of that size that needs the most memory: its rows are the widest."""
        return min(self.batch_size, tokens // self.widest), self.widest


def largest_that_fits(candidates: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """The index of the largest candidate that fits, of ascending ones; None where none does.

    The largest comes first, since it mostly fits; then a binary search: 5 tries at most for 12 candidates.
    """
    if fits(candidates[-1]):
        return len(candidates) - 1
    low, high = -1, len(candidates) - 1  # all up to `low` fit, from `high` on none does
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(candidates[middle]) else (low, middle)
    return None if low < 0 else low


def with_micro_batch_tokens(recipe: Recipe, tokens: int) -> Recipe:
    """A recipe with the number that `auto` stands for."""
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"micro_batch_tokens": tokens})})
