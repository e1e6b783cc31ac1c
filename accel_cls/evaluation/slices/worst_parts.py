"""The score on parts of the rows, and which parts are worse than the rest by more than chance.

Chance is what permutations of the rows' scores make of the same parts. They hold for right and wrong as for amounts,
and know that parts overlap: what is corrected for are the parts that were looked at, not their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import csr_matrix

from accel_cls.evaluation.slices.conditions import Condition
from accel_cls.evaluation.statistics.mean_interval import mean_interval

_PERMUTATIONS, _AT_ONCE = 1000, 100
_CHANCE = 0.05
_LEAST, _LEAST_SHARE = 20, 0.01  # rows of a part that is looked for
_MOST_TOLD = 3
_LEFT = 2.0  # standard errors that a part is still worse by, without the rows of those told before it
_SAME = 1e-4  # standard errors, to which sums of float32 are equal


@dataclass(frozen=True)
class Slice:
    """Rows that fulfil one condition or two, and the model's score on them."""

    conditions: tuple[Condition, ...]
    count: int
    score: float  # the mean of their scores
    low: float  # 95% interval
    high: float
    difference: float  # to the mean of all other rows
    p: float  # that chance alone makes such a difference, either way, where this part alone was looked at


@dataclass(frozen=True)
class WorstSlice(Slice):
    """A part that is worse than the rest by more than chance."""

    corrected_p: float  # that chance alone makes any of the parts that were looked at as much worse


@dataclass(frozen=True)
class Slices:
    """What is found."""

    single: list[Slice]  # one for each condition, in their order
    worst: list[WorstSlice]  # of single conditions and pairs of them, the worst first; each adds to those before it
    looked_at: int  # among so many
    least: int  # of at least so many rows


def find_slices(scores: np.ndarray, groups: np.ndarray, conditions: Sequence[Condition], seed: int = 0) -> Slices:
    """Score each condition's rows, and look for the worst parts by what is known before a text is labelled.

    Args:
        scores: of each row, more is better: bool, or numbers.
        groups: int64 [rows]; rows of one text share a number, and are evidence once.
        conditions: by which rows are told apart; of two of the same name no pair is made.
        seed: of the permutations.
    """
    least = max(_LEAST, round(_LEAST_SHARE * len(scores)))
    parts: list[tuple[Condition, ...]] = [(condition,) for condition in conditions]
    known = [condition for condition in conditions if condition.is_known_before]
    pairs = [(one, two) for one, two in combinations(known, 2) if one.by != two.by]
    parts += [pair for pair in pairs if _is_enough(pair, least)]
    is_looked_for = np.array([all(c.is_known_before for c in part) and _is_enough(part, least) for part in parts])
    first = np.unique(groups, return_index=True)[1]
    chance = _Chance.of(scores[first].astype(np.float64), [_rows(part)[first] for part in parts])
    p, corrected = chance.compare(is_looked_for, seed)
    found = [_slice(part, scores, float(one)) for part, one in zip(parts, p, strict=True)]
    order = [i for i in np.argsort(chance.distances, kind="stable") if is_looked_for[i] and corrected[i] < _CHANCE]
    worst = [WorstSlice(**vars(found[i]), corrected_p=float(corrected[i])) for i in _adding(order, parts, scores)]
    return Slices(found[: len(conditions)], worst, int(is_looked_for.sum()), least)


def _rows(part: Sequence[Condition]) -> np.ndarray:
    return np.logical_and.reduce([condition.rows for condition in part])


def _is_enough(part: Sequence[Condition], least: int) -> bool:
    rows = _rows(part)
    return least <= rows.sum() <= len(rows) - least


def _slice(part: tuple[Condition, ...], scores: np.ndarray, p: float) -> Slice:
    rows = _rows(part)
    own, others = scores[rows], scores[~rows]
    low, high = mean_interval(own)
    difference = float(own.mean() - others.mean()) if len(others) else 0.0
    return Slice(part, len(own), float(own.mean()), low, high, difference, p)


def _adding(order: Sequence[int], parts: Sequence[tuple[Condition, ...]], scores: np.ndarray) -> list[int]:
    """The first of some parts, and those after it that are worse also without the rows of those before."""
    left, told = np.ones(len(scores), bool), list[int]()
    for i in order:
        rows = _rows(parts[i])[left]
        if len(told) < _MOST_TOLD and _distance(scores[left].astype(np.float64), rows) < -_LEFT:
            told.append(i)
            left &= ~_rows(parts[i])
    return told


def _distance(scores: np.ndarray, rows: np.ndarray) -> float:
    """By how many standard errors some rows are better than expected; 0 where there is nothing to compare."""
    if not rows.any() or rows.all():
        return 0.0
    return float(_Chance.of(scores, [rows]).distances[0])


@dataclass(frozen=True)
class _Chance:
    """Parts of rows, and how far permutations of the rows' scores put them from the mean."""

    centered: np.ndarray  # float32 [rows]: scores without their mean
    members: csr_matrix  # float32 [parts, rows], 1 where a row is of a part
    errors: np.ndarray  # float64 [parts]: the standard error of the sum of a part's scores

    @classmethod
    def of(cls, scores: np.ndarray, parts: Sequence[np.ndarray]) -> _Chance:
        count = len(scores)
        counts = np.array([rows.sum() for rows in parts], np.int64)
        indices = np.concatenate([np.flatnonzero(rows) for rows in parts] or [np.empty(0, np.int64)])
        shape = (len(parts), count)
        ends = np.concatenate([[0], np.cumsum(counts)])
        members = csr_matrix((np.ones(len(indices), np.float32), indices, ends), shape=shape)
        errors = scores.std() * np.sqrt(counts * (count - counts) / max(1, count - 1))
        # What is all rows or none, or where all scores are the same, is at no distance.
        return cls((scores - scores.mean()).astype(np.float32), members, np.where(errors > 0, errors, np.inf))

    @property
    def distances(self) -> np.ndarray:
        """By how many standard errors each part is better than the mean of all rows, float64 [parts]."""
        return (self.members @ self.centered) / self.errors

    def compare(self, searched: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """How probable each part's distance is by chance, float64 [parts].

        Args:
            searched: bool [parts], those among which the worst are looked for.
            seed: of the permutations.

        Returns:
            Of each by itself, either way; and that any of those searched is as much worse.
        """
        draw, found = np.random.default_rng(seed), self.distances
        farther, worse = np.zeros(len(found)), np.zeros(len(found))
        for _ in range(_PERMUTATIONS // _AT_ONCE):
            scores = np.stack([draw.permutation(self.centered) for _ in range(_AT_ONCE)], axis=1)
            chance = (self.members @ scores) / self.errors[:, None]
            farther += (np.abs(chance) >= np.abs(found)[:, None] - _SAME).sum(1)
            lowest = chance[searched].min(0, initial=0.0)
            worse += (lowest <= found[:, None] + _SAME).sum(1)
        return (farther + 1) / (_PERMUTATIONS + 1), (worse + 1) / (_PERMUTATIONS + 1)
