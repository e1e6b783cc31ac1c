"""The training texts that are most like some others: what a model may have learned its mistakes from.

Likeness is that of the baselines' TF-IDF vectors, so of what a person sees at once: the same words or characters. It
says nothing of the model itself; but a mistake beside a twin with the other label is one of the labels, not of the
model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accel_cls.data.examples import Examples
from accel_cls.data.texts import Texts
from accel_cls.evaluation.baselines import cut, fit_vectorizer, sampled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_CHUNK = 10_000  # training texts that are compared at a time


@dataclass(frozen=True)
class Neighbours:
    """The nearest training examples of some texts, the most alike first."""

    examples: Examples  # of the training that are near any of them
    at: np.ndarray  # int64 [texts, count]: which of these examples
    likeness: np.ndarray  # float32 [texts, count]: cosine, 0 nothing in common, 1 the same; of pairs the mean of both


def nearest(train: Examples, texts: Texts, count: int = 3) -> Neighbours:
    """Find the training examples that are most like some texts.

    Args:
        train: the training examples; of many, the sample that baselines learn from.
        texts: one or more; "text", and "pair" of pairs, as the training examples have them.
        count: how many of each, as far as there are so many training examples.
    """
    train = sampled(train)
    count = min(count, len(train))
    vectorizer, vectors = fit_vectorizer(train)
    asked = [vectorizer.transform(cut(texts[name][:])) for name in texts.column_names]
    at = np.zeros((len(texts), 0), np.int64)
    likeness = np.zeros((len(texts), 0), np.float32)
    for start in range(0, len(train), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        products = [_products(mine, theirs[chunk]) for mine, theirs in zip(asked, vectors, strict=True)]
        found = np.mean(products, axis=0)
        at = np.hstack([at, np.tile(np.arange(start, start + found.shape[1]), (len(texts), 1))])
        likeness = np.hstack([likeness, found])
        # Stable: of equally near texts the first one stays, whatever the chunks.
        order = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
        at, likeness = np.take_along_axis(at, order, 1), np.take_along_axis(likeness, order, 1)
    chosen, places = np.unique(at, return_inverse=True)
    return Neighbours(train.select(chosen), places.reshape(at.shape), likeness.clip(0, 1))


def _products(first: csr_matrix, second: csr_matrix) -> np.ndarray:
    """The product of each row of one with each of the other, float32."""
    return (first @ second.T).toarray()
