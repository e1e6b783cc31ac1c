"""Which examples an epoch has, and in which order: each once, or of each class equally many."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)  # known by itself, so that what follows from it can be kept
class ClassesAlike:
    """An epoch has as many examples as there are, of each class equally many."""

    classes: np.ndarray  # of each example, int [examples]; with several classes a text, its rarest one


@functools.lru_cache(maxsize=2)  # this epoch's and the next one's
def order_of(count: int, sampling: ClassesAlike | None, seed: int, epoch: int) -> np.ndarray:
    """The examples of an epoch in their order, int64 [count].

    Args:
        count: how many examples there are.
        sampling: None for each of them once.
        seed: the recipe's.
        epoch: counted from 0.
    """
    draw = np.random.default_rng([seed, epoch])
    return draw.permutation(count if sampling is None else _alike(sampling.classes, draw))


def _alike(classes: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Of each class equally many, as far as the number can be divided; who gets one more is drawn.

    Examples of a class come equally often, too, or once more: with replacement, a third of a class would be missing
    from an epoch that has as many draws as it has examples.
    """
    present = np.unique(classes)
    share, rest = divmod(len(classes), len(present))
    has_one_more = draw.permutation(len(present)) < rest
    chosen = []
    for one, more in zip(present, has_one_more, strict=True):
        members = np.flatnonzero(classes == one)
        times, left = divmod(share + int(more), len(members))
        chosen += [np.tile(members, times), draw.permutation(members)[:left]]
    return np.concatenate(chosen)
