"""Vectors of texts in fewer numbers: those along the directions in which they differ most."""

from __future__ import annotations

import numpy as np


def unit_components(vectors: np.ndarray, size: int) -> np.ndarray:
    """What is left of vectors in `size` numbers, of length 1: their principal components, less their mean.

    As sentence-transformers shrinks a teacher's embeddings for a narrower student. Where there are fewer components,
    zeros follow: cosines between texts are then those of the vectors less their mean.

    Args:
        vectors: float [texts, hidden].
        size: numbers of a vector that comes of it.

    Returns:
        float32 [texts, size]; a vector that is the mean itself becomes zeros.
    """
    apart = vectors.astype(np.float64)
    apart -= apart.mean(0)
    _, directions = np.linalg.eigh(apart.T @ apart)
    directions = directions[:, ::-1][:, :size]  # the greatest first
    # A direction may point either way: so that its largest number is positive.
    largest = np.abs(directions).argmax(0)
    directions = directions * np.sign(directions[largest, np.arange(directions.shape[1])])
    found = np.zeros((len(vectors), size))
    found[:, : directions.shape[1]] = apart @ directions
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0).astype(np.float32)
