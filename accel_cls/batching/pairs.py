"""Pairs of training texts, of one class or of two, as a contrastive training learns from them. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accel_cls.data.corpus import Corpus
from accel_cls.recipe import Recipe

_STREAM = 1  # beside the seed, so that these draws are none of the plan's


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of texts."""

    texts: np.ndarray  # int64 [pairs, 2]: positions in the training data
    same: np.ndarray  # bool [pairs]: whether both have one class

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self, rows: Sequence[str]) -> tuple[str, ...]:
        """Where the texts of each pair stand; of each text it is given."""
        return tuple(f"{rows[first]} with {rows[second]}" for first, second in self.texts.tolist())


def pairs_of(recipe: Recipe, labels: np.ndarray) -> Pairs | None:
    """The pairs that a recipe learns from; None where it learns from the texts themselves.

    Args:
        labels: of the training examples, int64 [texts]: their classes, of each of which there are two or more.
    """
    if recipe.few_shot is None or not recipe.learns_from_pairs:
        return None
    return draw_pairs(labels, recipe.few_shot.pairs, recipe.seed)


def count_examples(recipe: Recipe, corpus: Corpus) -> int:
    """How many examples a pass over the training data has: of a recipe that learns from pairs, these."""
    pairs = pairs_of(recipe, corpus.train.labels)
    return corpus.learned if pairs is None else len(pairs)


def draw_pairs(classes: np.ndarray, times: int, seed: int) -> Pairs:
    """As many pairs of one class as of two, drawn by the seed.

    Each text gets `times` others of its class and `times` of other classes. Where all pairs of texts are fewer, these
    are taken, each once, and pairs of the rarer kind again, so that both weigh the same.

    Args:
        classes: of each text, int64 [texts]; of each class that there is, two texts or more.
    """
    draw, count = np.random.default_rng([seed, 0, _STREAM]), len(classes)
    sizes = np.bincount(classes)
    alike = int((sizes * (sizes - 1)).sum()) // 2
    most = max(alike, count * (count - 1) // 2 - alike)  # of one kind
    if most <= times * count:
        texts = np.stack(np.triu_indices(count, 1), 1)
        is_same = classes[texts[:, 0]] == classes[texts[:, 1]]
        chosen = [_evenly(np.flatnonzero(kind), most, draw) for kind in (is_same, ~is_same)]
        at = np.concatenate(chosen)
        return Pairs(texts[at], is_same[at])
    own, others = ({c: np.flatnonzero((classes == c) == is_own) for c in set(classes.tolist())} for is_own in (1, 0))
    same = [_evenly(own[c][own[c] != text], times, draw) for text, c in enumerate(classes.tolist())]
    different = [_evenly(others[c], times, draw) for c in classes.tolist()]
    first = np.tile(np.repeat(np.arange(count), times), 2)
    texts = np.stack([first, np.concatenate([*same, *different])], 1)
    return Pairs(texts, np.arange(len(texts)) < len(texts) // 2)


def _evenly(values: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """So many of some values, each as often as any other, or once more."""
    times, left = divmod(count, len(values))
    return np.concatenate([np.tile(values, times), draw.choice(values, left, replace=False)])
