"""Texts beside their like: which have another label, and which are like no other text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accel_cls.data.examples import Examples
from accel_cls.evaluation.baselines import fit_vectorizer, together
from accel_cls.evaluation.suspicion.similar import similar_pairs

_NEAREST = 3  # neighbours whose similarity is averaged
_MOST_OTHERS = 10_000  # texts that each is compared with: of more, so many that are drawn
_CHUNK = 500  # texts at a time


@dataclass(frozen=True)
class Twin:
    """A text, and the one most like it that has another label."""

    one: int
    other: int
    similarity: float  # 1: equal but for case, spaces and signs


def twins_with_other_labels(texts: Sequence[str], labels: np.ndarray) -> list[Twin]:
    """Each text for which there is a nearly equal one with another label, with the most similar of these.

    Different labels differ in a binary digit of their numbers: so a few comparisons of one half with the other find
    them all, whatever the number of labels.

    Args:
        texts: of pairs both, joined.
        labels: [texts, ...], encoded.
    """
    numbers = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    found: dict[int, Twin] = {}
    for digit in range(int(numbers.max()).bit_length()):
        has_digit = numbers >> digit & 1 == 1
        for side in (has_digit, ~has_digit):
            left, right = np.flatnonzero(side).tolist(), np.flatnonzero(~side).tolist()
            for pair in similar_pairs([texts[i] for i in left], [texts[i] for i in right])[0]:
                twin = Twin(left[pair.left], right[pair.right], pair.similarity)
                if twin.one not in found or found[twin.one].similarity < twin.similarity:
                    found[twin.one] = twin
    return [found[i] for i in sorted(found)]


def likeness(examples: Examples, seed: int) -> np.ndarray:
    """How much each text is like those most like it, float64 [examples]: mean cosine of TF-IDF to the nearest three.

    0 is like none. Copies of a text count as one. Of more than 10,000 texts so many are drawn to be compared with.
    """
    features = together(fit_vectorizer(examples)[1]).tocsr()
    text_of = examples.texts.firsts()
    others = np.unique(text_of)
    if len(others) > _MOST_OTHERS:
        others = np.sort(np.random.default_rng(seed).choice(others, _MOST_OTHERS, replace=False))
    lengths = np.sqrt(np.asarray(features.multiply(features).sum(1)).ravel())  # of pairs, which are no unit vectors
    scale = 1 / np.maximum(lengths, 1e-12)
    compared = features[others].transpose().tocsr()
    found = np.zeros(len(examples))
    for start in range(0, len(examples), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(examples)))
        cosines = (features[rows] @ compared).toarray() * scale[rows, None] * scale[others]
        cosines[text_of[rows][:, None] == others] = 0
        nearest = min(_NEAREST, len(others))
        found[rows] = np.partition(cosines, -nearest, axis=1)[:, -nearest:].mean(1)
    return found
