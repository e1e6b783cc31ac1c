"""N-grams of tokens: the number of each, which of them many texts have, and those of a batch of texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

NONE = -1  # the key of what is no n-gram
_TOKENS_AT_ONCE = 200_000  # whose n-grams are in memory at a time, when they are counted


@dataclass(frozen=True)
class Ngrams:
    """A vocabulary of n-grams."""

    keys: torch.Tensor  # int64 [ngrams], rising; see `ngram_keys`
    weights: torch.Tensor  # float32 [ngrams]: each one's inverse document frequency


def ngram_keys(ids: torch.Tensor, part: torch.Tensor, vocabulary: int, longest: int) -> torch.Tensor:
    """A number for each n-gram of 1 to `longest` tokens, the same one for the same tokens.

    Args:
        ids: int64 [texts, tokens].
        part: int64 [texts, tokens]: n-grams lie within one part of a text; NONE at padding.
        vocabulary: how many ids there are; (vocabulary + 1) ** longest is below 2 ** 63.
        longest: tokens of the longest n-gram.

    Returns:
        int64 [texts, longest * tokens]: first those of one token, then those of two, each where it begins; NONE where
        none does.
    """
    tokens = ids.shape[1]
    ids, ends = functional.pad(ids, (0, longest - 1)), functional.pad(part, (0, longest - 1), value=NONE)
    key, keys = torch.zeros_like(part), []
    for n in range(longest):
        key = key * (vocabulary + 1) + ids[:, n : n + tokens] + 1
        is_whole = (part != NONE) & (ends[:, n : n + tokens] == part)
        keys.append(torch.where(is_whole, key, NONE))
    return torch.cat(keys, 1)


def count_ngrams(ids: np.ndarray, offsets: np.ndarray, vocabulary: int, longest: int, most: int) -> Ngrams:
    """The n-grams that most texts have, and at least two. Deterministic: among equals the smaller key.

    Args:
        ids: int [tokens] of all texts, one after the other.
        offsets: int64 [texts + 1]: where each text begins, and the end.
        vocabulary: how many ids there are.
        longest: tokens of the longest n-gram.
        most: n-grams that are kept.
    """
    texts = len(offsets) - 1
    keys, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    for first, last in _stretches(offsets):
        begin, end = offsets[first], offsets[last]
        text = torch.from_numpy(np.repeat(np.arange(last - first), np.diff(offsets[first : last + 1])))
        row = torch.from_numpy(ids[begin:end].astype(np.int64))
        found = ngram_keys(row[None], text[None], vocabulary, longest)[0].numpy()
        order = np.argsort(found, kind="stable")  # of each n-gram, texts now rise
        found, texts_of = found[order], text.repeat(longest).numpy()[order]
        is_new = np.append(True, (found[1:] != found[:-1]) | (texts_of[1:] != texts_of[:-1])) & (found != NONE)
        more, of_each = np.unique(found[is_new], return_counts=True)
        keys, places = np.unique(np.concatenate([keys, more]), return_inverse=True)
        counts = np.bincount(places, np.concatenate([counts, of_each]), len(keys)).astype(np.int64)
    if (counts > 1).any():
        keys, counts = keys[counts > 1], counts[counts > 1]
    kept = np.sort(np.argsort(-counts, kind="stable")[:most])
    weights = np.log((1 + texts) / (1 + counts[kept])) + 1  # as scikit-learn's TfidfTransformer has it
    return Ngrams(torch.from_numpy(keys[kept]), torch.from_numpy(weights.astype(np.float32)))


def _stretches(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Texts that are counted at once: (the first, the one after the last)."""
    first, texts = 0, len(offsets) - 1
    while first < texts:
        last = int(np.searchsorted(offsets, offsets[first] + _TOKENS_AT_ONCE))
        yield first, (last := min(max(last, first + 1), texts))
        first = last


@dataclass(frozen=True)
class FoundNgrams:
    """The n-grams of each text."""

    at: torch.Tensor  # int64 [texts, longest * tokens]: which; anything where there is none
    weights: torch.Tensor  # float32, likewise: inverse document frequency; 0 where there is none

    @property
    def are_known(self) -> torch.Tensor:
        """Where there is one, bool [texts, longest * tokens]."""
        return self.weights > 0


def weighted_sum(table: torch.Tensor, at: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Rows of a table added up, [texts, table's columns]; [texts, n] say which, and what each counts."""
    return functional.embedding_bag(at, table, per_sample_weights=weights.to(table.dtype), mode="sum")
