"""Tokenizers asked for token ids: a Rust one by all cores, one in Python as it wants to be asked; long texts cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, pairwise
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from accel_cls.data.texts import Texts
from accel_cls.tokenization.content import TextContent, call, takes_types, tokenizer_lock
from accel_cls.tokenization.cutting import Cutting

_BATCH = 1000  # texts that are tokenized at once; 10,000 are a sixth slower, as their tokens leave the CPU's cache
_CHARACTERS = 1_000_000  # or that many characters: a token takes a hundred bytes until its number is taken out
_Mask = Callable[[], Sequence[int]]  # gives which of a row's tokens the tokenizer has added: 1 for those


@dataclass(frozen=True)
class EncodedPart:
    """Some texts' tokens, flat."""

    ids: np.ndarray  # int32
    types: np.ndarray | None  # int8
    lengths: np.ndarray  # int64, of rows
    windows: np.ndarray  # int64, rows of each text
    truncated: int


def encoded_parts(tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting) -> Iterator[EncodedPart]:
    """All texts, some at a time, cut as they are to be."""
    yield from (_fast if is_all_rust(tokenizer) else _slow)(tokenizer, texts, cutting)


def _batches(texts: Texts) -> Iterator[dict[str, list[str]]]:
    """Texts that are tokenized at once: so many, or so many characters and one text more."""
    for start in range(0, len(texts), _BATCH):
        columns = texts[start : start + _BATCH]
        sizes = np.sum([np.fromiter(map(len, cells), np.int64, len(cells)) for cells in columns.values()], 0)
        fences = [0, *(np.flatnonzero(np.diff(np.cumsum(sizes) // _CHARACTERS)) + 1).tolist(), len(sizes)]
        for first, last in pairwise(fences):
            yield {name: cells[first:last] for name, cells in columns.items()}


def _fast(tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting) -> Iterator[EncodedPart]:
    """By the Rust tokenizer, which uses all cores, at the speed that it has by itself.

    What transformers makes of each text in Python costs more than the tokens do; so it only tells the tokenizer to
    leave texts whole. While a thread waits for the tokenizer's next batch, the last one's numbers are taken out here.
    """
    with_types, content = takes_types(tokenizer), TextContent(tokenizer, texts)

    def tokenize(columns: Mapping[str, list[str]]) -> list[Any]:
        rows = [cells[0] if len(cells) == 1 else cells for cells in zip(*columns.values(), strict=True)]
        with tokenizer_lock:
            leave_whole(tokenizer, texts)
            # Without what only offsets into the text are for; the ids are the same.
            return tokenizer.backend_tokenizer.encode_batch_fast(rows)

    with ThreadPoolExecutor(1) as thread:
        batches = _batches(texts)
        ahead = [thread.submit(tokenize, columns) for columns in islice(batches, 1)]
        while ahead:
            encodings = ahead.pop().result()
            ahead += [thread.submit(tokenize, columns) for columns in islice(batches, 1)]
            ids = [encoding.ids for encoding in encodings]
            types = [encoding.type_ids for encoding in encodings] if with_types else None

            def parts_of(i: int, encodings: list[Any] = encodings) -> np.ndarray:
                return np.array([-1 if part is None else part for part in encodings[i].sequence_ids], np.int8)

            masks: list[_Mask] = [partial(getattr, encoding, "special_tokens_mask") for encoding in encodings]
            rows = _Rows(ids, types, masks)
            rows.cut(cutting, parts_of)
            yield _part(content, rows)


def _slow(tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting) -> Iterator[EncodedPart]:
    """By a tokenizer that is written in Python, or partly.

    Such a tokenizer does not tell what it has cut. So it is asked for whole texts first, and then again for those that
    are longer than `max_length`: for their ends, as it cuts them; or else for each text by itself, without special
    tokens, which tells where it is in the whole.
    """
    with_types, content = takes_types(tokenizer), TextContent(tokenizer, texts)
    for columns in _batches(texts):
        with tokenizer_lock:
            whole = call(tokenizer, columns, None)
            rows = _Rows(list(whole["input_ids"]), list(whole["token_type_ids"]) if with_types else None, None)
            longer = [i for i, row in enumerate(rows.ids) if len(row) > cutting.max_length]
            some = {name: [cells[i] for i in longer] for name, cells in columns.items()}
            if longer and cutting.is_plain:
                rows.truncated = len(longer)
                cut = call(tokenizer, some, cutting.max_length)
                for k, i in enumerate(longer):
                    rows.ids[i] = cut["input_ids"][k]
                    if rows.types is not None:
                        rows.types[i] = cut["token_type_ids"][k]
            elif longer:
                parts = dict(zip(longer, _parts_of_whole(tokenizer, some, [rows.ids[i] for i in longer]), strict=True))
                rows.cut(cutting, parts.__getitem__)
        yield _part(content, rows)


def _parts_of_whole(
    tokenizer: PreTrainedTokenizerBase, columns: Mapping[str, Sequence[str]], whole: Sequence[Sequence[int]]
) -> Iterator[np.ndarray]:
    """Which tokens are of which text, as `Cutting.rows` wants them, by a tokenizer that does not tell.

    All that is in the whole and in neither text are the special tokens before, between and after them: of each as many
    as around the text "a".
    """
    bare = [tokenizer(cells, add_special_tokens=False)["input_ids"] for cells in columns.values()]
    (probe,) = call(tokenizer, {name: ["a"] for name in columns}, None)["input_ids"]
    (letter,) = tokenizer(["a"], add_special_tokens=False)["input_ids"]
    places = [i for i in range(len(probe)) if [*probe[i : i + len(letter)]] == [*letter]]
    between = places[-1] - places[0] - len(letter)
    for i, row in enumerate(whole):
        part, start = np.full(len(row), -1, np.int8), places[0]
        for number, texts in enumerate(bare):
            part[start : start + len(texts[i])] = number
            start += len(texts[i]) + between
        yield part


class _Rows:
    """Tokens of some texts, in a row each, or in several.

    Args:
        ids: of each row.
        types: likewise; None for a model without.
        masks: likewise; None where nothing tells.
    """

    def __init__(self, ids: list[Sequence[int]], types: list[Sequence[int]] | None, masks: list[_Mask] | None):
        self.ids, self.types, self.masks = ids, types, masks
        self.windows = np.ones(len(ids), np.int64)  # rows of each text
        self.truncated = 0  # texts of which a part is not read

    def cut(self, cutting: Cutting, parts_of: Callable[[int], np.ndarray]) -> None:
        """Cut what is too long, of the texts that have a row each, given which tokens are of which text."""
        longer = [i for i, row in enumerate(self.ids) if len(row) > cutting.max_length]
        for i in reversed(longer):  # from the last one on: the places of those before it stay
            part = parts_of(i)
            rows = cutting.rows(part)
            self.ids[i : i + 1] = [_taken(self.ids[i], at) for at in rows]
            if self.types is not None:
                self.types[i : i + 1] = [_taken(self.types[i], at) for at in rows]
            if self.masks is not None:
                mask = self.masks[i]()
                self.masks[i : i + 1] = [partial(_taken, mask, at) for at in rows]
            self.windows[i] = len(rows)
            special = int((part < 0).sum())
            self.truncated += len(part) > cutting.room(special) + special


def _taken(values: Sequence[int], at: np.ndarray) -> list[int]:
    return np.array(values, np.int64)[at].tolist()


def _part(content: TextContent, rows: _Rows) -> EncodedPart:
    flat, lengths = _flat(rows.ids)
    if content.mend(rows.ids, rows.types, flat, lengths, rows.masks):
        flat, lengths = _flat(rows.ids)
    joined = None if rows.types is None else np.frombuffer(b"".join(map(bytes, rows.types)), np.int8)
    return EncodedPart(flat, joined, lengths, rows.windows, rows.truncated)


def _flat(ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    return np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum())), lengths


def leave_whole(tokenizer: PreTrainedTokenizerBase, texts: Texts) -> None:
    """Let transformers tell the Rust tokenizer to cut nothing; the texts themselves do not matter."""
    call(tokenizer, {name: ["a"] for name in texts.column_names}, None)


def is_all_rust(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether all that it does to a text is done by its Rust tokenizer: no class of its own has code for that."""
    kind = type(tokenizer)
    return (
        isinstance(tokenizer, PreTrainedTokenizerFast)
        and kind.__call__ is PreTrainedTokenizerBase.__call__
        and kind._encode_plus is PreTrainedTokenizerFast._encode_plus
        and not hasattr(tokenizer, "_switch_to_input_mode")
    )
