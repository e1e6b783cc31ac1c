"""Texts that are nearly the same, found exactly and without comparing every pair."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

SIMILAR = 0.8  # from this Jaccard similarity of their character trigrams on, two texts are nearly the same
_GRAM = 3
# Shorter texts (in letters and digits) are compared whole: one other sign changes half their trigrams.
_SHORTEST = 10
_MOST_CANDIDATES = 200_000_000  # beyond that (minutes), only a part of the left side is compared
_CHUNK = 4_000_000  # candidates at a time: about 100 MB


@dataclass(frozen=True)
class Pair:
    """A text of the left side and the most similar text of the right side."""

    left: int
    right: int
    similarity: float  # Jaccard, from SIMILAR to 1


def normal_form(text: str) -> str:
    """A text without what people type differently: case, width, spaces, punctuation, symbols."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def similar_pairs(left: Sequence[str], right: Sequence[str]) -> tuple[list[Pair], int]:
    """Each left text that has a nearly equal right text, with the most similar one.

    Texts of equal normal form are similar by 1. Others, from 10 letters on, are compared by the Jaccard
    similarity of their sets of character trigrams. Two sets of similarity t share one of the
    |x| - ceil(t |x|) + 1 rarest members of either (Bayardo et al., "Scaling Up All Pairs Similarity
    Search", 2007), so only texts that share a rare trigram are looked at; none is missed.

    Args:
        left: texts, as they are; those without a letter or digit are similar to nothing.
        right: texts to compare them with.

    Returns:
        The pairs, by left position; and how many left texts were compared: all, unless there are so many
        texts alike that it would take minutes.
    """
    left_forms, right_forms = ([normal_form(text) for text in side] for side in (left, right))
    found: dict[int, Pair] = {}
    by_form: dict[str, int] = {}
    for j, form in enumerate(right_forms):
        by_form.setdefault(form, j)
    for i, form in enumerate(left_forms):
        if form and form in by_form:
            found[i] = Pair(i, by_form[form], 1.0)
    grams, left_sets, right_sets = _gram_sets(left_forms, right_forms)
    left_rare, right_rare = (_rarest(sets, grams) for sets in (left_sets, right_sets))
    shared = right_rare.transpose().tocsr()
    candidates = left_rare @ np.diff(shared.indptr)  # of each left text, counted before any is made
    compared = np.arange(len(left))
    if candidates.sum() > _MOST_CANDIDATES:
        step = int(-(-candidates.sum() // _MOST_CANDIDATES))
        compared = compared[::step]
    for part in _parts(compared, candidates):
        both = (left_rare[part] @ shared).tocoo()
        rows, columns = part[both.row], both.col
        for begin in range(0, len(rows), _CHUNK // 16):
            i, j = rows[begin : begin + _CHUNK // 16], columns[begin : begin + _CHUNK // 16]
            common = (left_sets[i] * right_sets[j]).sum(axis=1)
            union = np.diff(left_sets.indptr)[i] + np.diff(right_sets.indptr)[j] - common
            similarity = common / union
            for at in np.flatnonzero(similarity >= SIMILAR):
                known = found.get(int(i[at]))
                if known is None or similarity[at] > known.similarity:
                    found[int(i[at])] = Pair(int(i[at]), int(j[at]), float(similarity[at]))
    return [found[i] for i in sorted(found)], len(compared)


def _gram_sets(left: Sequence[str], right: Sequence[str]) -> tuple[np.ndarray, csr_array, csr_array]:
    """How many texts hold each trigram, int64; and the trigrams of each text as 0/1 matrices, texts by trigrams."""
    rows, keys = [], []
    for start in range(0, len(left) + len(right), 20_000):  # some 10 million characters at a time
        texts = [*left, *right][start : start + 20_000]
        codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
        lengths = np.fromiter(map(len, texts), np.int64)
        row = np.repeat(np.arange(len(texts)), lengths)
        place = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        begins = (place <= lengths[row] - _GRAM) & (lengths[row] >= _SHORTEST)
        at = np.flatnonzero(begins)
        # Code points have 21 bits: three of them fit into 63, so that a key is its trigram, not a hash.
        key = codes[at] << np.uint64(42) | codes[at + 1] << np.uint64(21) | codes[at + 2]
        rows.append(row[at] + start)
        keys.append(key)
    names, columns = np.unique(np.concatenate(keys), return_inverse=True)
    shape = (len(left) + len(right), max(1, len(names)))
    entries = np.unique(np.concatenate(rows) * shape[1] + columns)  # a set: each trigram of a text once
    row, column = np.divmod(entries, shape[1])
    sets = csr_array((np.ones(len(row), np.int32), (row, column)), shape=shape)
    return np.bincount(column, minlength=shape[1]), sets[: len(left)], sets[len(left) :]


def _rarest(sets: csr_array, counts: np.ndarray) -> csr_array:
    """Of each set, only as many of its rarest members as two similar sets must share one of."""
    sizes = np.diff(sets.indptr)
    row = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((sets.indices, counts[sets.indices], row))
    place = np.arange(len(order)) - np.repeat(sets.indptr[:-1], sizes)
    # 1e-9: ceil(0.8 × 5) is 4, whatever binary fractions make of it.
    kept = order[place < (sizes - np.ceil(SIMILAR * sizes - 1e-9) + 1)[row]]
    entries = (np.ones(len(kept), np.int32), (row[kept], sets.indices[kept]))
    return csr_array(entries, shape=sets.shape)


def _parts(texts: np.ndarray, candidates: np.ndarray) -> Iterator[np.ndarray]:
    """The texts, divided so that each part has at most _CHUNK candidates (but at least one text)."""
    ends = np.cumsum(candidates[texts]) // _CHUNK
    for end in np.unique(ends):
        yield texts[ends == end]
