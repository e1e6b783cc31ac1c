"""Micro-batches of texts in which some tokens are hidden, to be guessed (Devlin et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from accel_cls.batching.batches import Batch, Batches
from accel_cls.batching.layout import MicroBatch
from accel_cls.models.capabilities.padding import columns_of_text
from accel_cls.models.masked_language import Guesses
from accel_cls.models.packing import move
from accel_cls.tokenization.words import NO_WORD

_HIDDEN, _REPLACED = 0.8, 0.1  # of the tokens that are to be guessed; the others stay as they are
_TRAINED, _JUDGED = 1, 0  # what is drawn for


@dataclass(frozen=True)
class Masking:
    """How tokens are hidden: drawn by (seed, update, example) alone."""

    words: np.ndarray  # int32, flat as the ids: see `words_of`
    share: float  # of a text's tokens that are to be guessed
    mask_token: int
    others: np.ndarray  # int64: the tokens that may replace one
    seed: int
    is_training: bool  # else the same tokens are hidden each time, so that scores can be compared

    def counts(self, offsets: np.ndarray) -> np.ndarray:
        """How many tokens of each text are to be guessed, int64 [texts]: a share of them, and one at least.

        Whole words may make it a few less; a text's weight in a mean is this number all the same, which is known
        before anything is drawn.
        """
        return self._wanted(np.diff(np.concatenate([[0], np.cumsum(self.words != NO_WORD)])[offsets]))

    def _wanted(self, usable: np.ndarray) -> np.ndarray:
        """How many of so many tokens, int64."""
        return np.where(usable, np.maximum(1, np.rint(self.share * usable)), 0).astype(np.int64)

    def draw(self, ids: np.ndarray, words: np.ndarray, example: int, update: int) -> tuple[np.ndarray, np.ndarray]:
        """Which tokens of a text are to be guessed, int64 [guesses], and what stands in their place, likewise."""
        place = [_TRAINED, update, example] if self.is_training else [_JUDGED, example]
        draw = np.random.default_rng([self.seed, *place])
        usable = np.flatnonzero(words != NO_WORD)
        wanted = int(self._wanted(np.array(len(usable))))
        chosen: list[int] = []
        sizes = np.bincount(words[usable]) if len(usable) else np.empty(0, np.int64)
        for word in draw.permutation(np.flatnonzero(sizes)).tolist():
            if not chosen or len(chosen) + sizes[word] <= wanted:
                chosen.extend(np.flatnonzero(words == word).tolist())
            if len(chosen) >= wanted:
                break
        at = np.array(sorted(chosen), np.int64)
        kinds = draw.random(len(at))
        random = draw.choice(self.others, len(at))
        shown = np.where(kinds < _HIDDEN, self.mask_token, np.where(kinds < _HIDDEN + _REPLACED, random, ids[at]))
        return at, shown.astype(np.int64)


@dataclass(frozen=True)
class MaskedBatches(Batches):
    """As `Batches`, with tokens hidden; `guesses` among the inputs says which, and what they were."""

    masking: Masking | None = None  # never None; fields of a base with defaults come first

    def make(self, micro_batch: MicroBatch, update: int = 0) -> Batch:
        """A micro-batch's tensors, on the device."""
        batch = super().make(micro_batch, update)
        assert self.masking is not None
        at, shown, true, rows = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], []
        for row, (example, start) in enumerate(self._starts(micro_batch)):
            begin, end = self.encoded.offsets[example], self.encoded.offsets[example + 1]
            ids = self.encoded.ids[begin:end]
            where, put = self.masking.draw(ids, self.masking.words[begin:end], example, update)
            at.append(start + where)
            shown.append(put)
            true.append(ids[where].astype(np.int64))
            rows += [row] * len(where)
        places = move(np.concatenate(at), self.device)
        ids = batch.inputs["input_ids"].clone()
        ids.view(-1).index_copy_(0, places, move(np.concatenate(shown), self.device))
        found = move(np.concatenate(true), self.device), move(np.array(rows, np.int64), self.device)
        guesses = Guesses(places, *found, len(batch.mask))
        return replace(batch, inputs=batch.inputs | {"input_ids": ids, "guesses": guesses})

    def _starts(self, micro_batch: MicroBatch) -> Iterator[tuple[int, int]]:
        """Each example, and where its first token lies in the micro-batch, row after row."""
        begin = 0
        for row, example in enumerate(micro_batch.examples):
            length = int(self.encoded.offsets[example + 1] - self.encoded.offsets[example])
            if micro_batch.packed:
                yield example, begin
            else:
                side = columns_of_text(length, micro_batch.width, self.padding.side)
                yield example, row * micro_batch.width + side.start
            begin += length
