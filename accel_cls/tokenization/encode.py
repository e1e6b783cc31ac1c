"""Texts as token ids: made by all cores, written as they come, and found again at the next start."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tokenizers
import transformers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from accel_cls.data.texts import Texts
from accel_cls.tokenization.cache import find_or_make
from accel_cls.tokenization.content import TextContent, call, takes_types, tokenizer_lock
from accel_cls.tokenization.cutting import Cutting, of_tokenizer

_BATCH = 1000  # texts that are tokenized at once; 10,000 are a sixth slower, as their tokens leave the CPU's cache
_FORMAT = 3  # of what is kept; another number makes all anew
_CHARACTERS = 1_000_000  # or that many characters: a token takes a hundred bytes until its number is taken out
_Mask = Callable[[], Sequence[int]]  # gives which of a row's tokens the tokenizer has added: 1 for those
_FILES = {"ids": np.int32, "types": np.int8, "offsets": np.int64, "starts": np.int64}


@dataclass(frozen=True)
class Encoded:
    """Tokenized texts, flat: row i is `ids[offsets[i]:offsets[i + 1]]`. From a file, the arrays are its memory.

    A row is an example, unless examples have windows: then example k has the rows from `starts[k]` to `starts[k + 1]`.
    """

    ids: np.ndarray  # int32
    types: np.ndarray | None  # int8 token types, for models that take them
    offsets: np.ndarray  # int64, one more than there are rows
    truncated: int  # examples of which a part is not read
    from_cache: bool = False  # an earlier start has tokenized them
    known_digest: str | None = None  # of the ids, where they come from a file
    starts: np.ndarray | None = None  # int64, one more than there are examples; None where a row is an example

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, special tokens included, int32."""
        return np.diff(self.offsets if self.starts is None else self.offsets[self.starts]).astype(np.int32)

    @property
    def windows(self) -> np.ndarray | None:
        """How many rows each example has, int32; None where each has one."""
        return None if self.starts is None else np.diff(self.starts).astype(np.int32)

    @property
    def digest(self) -> str:
        """SHA-256 of the ids, and of where rows and examples begin where these are not the same."""
        digest = self.known_digest or hashlib.sha256(self.ids.data).hexdigest()
        if self.starts is None:
            return digest
        return hashlib.sha256(digest.encode() + self.offsets.tobytes() + self.starts.tobytes()).hexdigest()

    def followed_by(self, other: Encoded) -> Encoded:
        """Both, one after the other."""
        types = None if self.types is None or other.types is None else np.concatenate([self.types, other.types])
        offsets = np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]])
        ids, truncated = np.concatenate([self.ids, other.ids]), self.truncated + other.truncated
        starts = None
        if self.starts is not None and other.starts is not None:
            starts = np.concatenate([self.starts, self.starts[-1] + other.starts[1:]])
        return Encoded(ids, types, offsets, truncated, self.from_cache and other.from_cache, starts=starts)

    def describe(self, longest: int) -> tuple[str, str]:
        """Name and text of the banner's line about lengths."""
        share = self.truncated / len(self.lengths)
        cut = f"{share:.1%} cut to data.max_length {longest}"
        if self.windows is not None:
            several = self.windows[self.windows > 1]
            mean = f", {several.mean():.1f} on average" if len(several) else ""
            cut = (
                f"{len(several) / len(self.windows):.1%} read in windows of data.max_length {longest}{mean}, "
                f"{share:.1%} cut to data.windows.most"
            )
        return (
            "tokens",
            f"{self.lengths.mean():.1f} on average, 95% of the texts within {np.percentile(self.lengths, 95):.0f}, "
            f"{cut}" + ("; tokenized before" if self.from_cache else ""),
        )


@dataclass(frozen=True)
class _Part:
    """Some texts' tokens, flat."""

    ids: np.ndarray  # int32
    types: np.ndarray | None  # int8
    lengths: np.ndarray  # int64, of rows
    windows: np.ndarray  # int64, rows of each text
    truncated: int


def encode(tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting | int) -> Encoded:
    """Tokenize the columns "text" and, for pairs, "pair"; pairs lose tokens of the longer text first.

    Args:
        tokenizer: the tokenizer.
        texts: the columns.
        cutting: how long texts are cut; a number: to so many tokens, as the tokenizer cuts by itself.
    """
    cutting = of_tokenizer(tokenizer, cutting) if isinstance(cutting, int) else cutting
    files = {name: io.BytesIO() for name in _FILES}
    truncated = _write(tokenizer, texts, cutting, files)
    ids, types, offsets, starts = (np.frombuffer(files[name].getbuffer(), kind) for name, kind in _FILES.items())
    return Encoded(
        ids,
        types if takes_types(tokenizer) else None,
        offsets,
        truncated,
        starts=None if cutting.windows is None else starts,
    )


def are_cut(tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting) -> np.ndarray:
    """Whether of each text only a part is read, bool [texts]."""
    special = tokenizer.num_special_tokens_to_add(pair="pair" in texts.column_names)
    most = cutting.room(special) + special
    return encode(tokenizer, texts, most + 1).lengths > most


def encode_cached(
    tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting | int, notes: list[str]
) -> Encoded:
    """The same, but only if no run before has: what it made is in the cache. A note where that can't be written."""
    cutting = of_tokenizer(tokenizer, cutting) if isinstance(cutting, int) else cutting
    if not _is_all_rust(tokenizer):  # Python code of its own can't be told by its content
        return encode(tokenizer, texts, cutting)

    def make(folder: Path) -> None:
        with ExitStack() as opened:
            files = {name: opened.enter_context(open(folder / name, "wb")) for name in _FILES}
            truncated = _write(tokenizer, texts, cutting, files)
        (folder / "truncated").write_text(str(truncated), encoding="ascii")

    def is_sound(folder: Path) -> bool:
        ids, types, offsets, starts = (_scaled(folder / name, kind) for name, kind in _FILES.items())
        rows = len(texts) if cutting.windows is None else len(offsets) - 1
        return (
            _is_rising(offsets, rows, len(ids))
            and (_is_rising(starts, len(texts), rows) if cutting.windows is not None else not len(starts))
            and len(types) == (len(ids) if takes_types(tokenizer) else 0)
            and (not len(ids) or (ids.min() >= 0 and ids.max() <= max(tokenizer.get_vocab().values())))
            and (folder / "truncated").read_text(encoding="ascii").isdecimal()
        )

    entry = find_or_make("tokens", "token ids", _key(tokenizer, texts, cutting), make, notes, is_sound)
    if entry is None:
        return encode(tokenizer, texts, cutting)
    ids, types, offsets, starts = (_scaled(entry.folder / name, kind) for name, kind in _FILES.items())
    return Encoded(
        ids,
        types if takes_types(tokenizer) else None,
        offsets,
        int((entry.folder / "truncated").read_text(encoding="ascii")),
        entry.from_cache,
        entry.checksums["ids"],
        None if cutting.windows is None else starts,
    )


def _is_rising(fences: np.ndarray, count: int, end: int) -> bool:
    """Whether these are fences of so many parts from 0 to `end`."""
    return len(fences) == count + 1 and fences[0] == 0 and fences[-1] == end and bool((np.diff(fences) >= 0).all())


def _scaled(path: Path, kind: type) -> np.ndarray:
    """A file as an array that the system reads when it is looked at, and drops when memory is short."""
    if not path.stat().st_size:
        return np.empty(0, kind)
    return np.asarray(np.memmap(path, kind, mode="c"))  # "c": writing to it changes no file


def _key(tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting) -> str:
    """Of all that token ids follow from."""
    with tokenizer_lock:
        _leave_whole(tokenizer, texts)
        backend = tokenizer.backend_tokenizer.to_str()
    facts = [
        _FORMAT,
        [tokenizers.__version__, transformers.__version__],
        hashlib.sha256(backend.encode()).hexdigest(),
        [tokenizer.backend_tokenizer.encode_special_tokens, takes_types(tokenizer), cutting.max_length],
        cutting.as_json(),
        texts.digest(),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _write(tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting, files: Mapping[str, BinaryIO]) -> int:
    """Tokenize into files of ids, types, offsets and, with windows, starts; returns how many texts were cut."""
    end = last = truncated = 0
    fenced = ("offsets",) if cutting.windows is None else ("offsets", "starts")
    for name in fenced:
        files[name].write(np.zeros(1, np.int64).data)
    parts = _fast if _is_all_rust(tokenizer) else _slow
    for part in parts(tokenizer, texts, cutting):
        offsets = end + np.cumsum(part.lengths)
        end = int(offsets[-1])
        truncated += part.truncated
        files["ids"].write(part.ids.data)
        files["offsets"].write(offsets.data)
        if cutting.windows is not None:
            starts = last + np.cumsum(part.windows)
            last = int(starts[-1])
            files["starts"].write(starts.data)
        if part.types is not None:
            files["types"].write(part.types.data)
    return truncated


def _batches(texts: Texts) -> Iterator[dict[str, list[str]]]:
    """Texts that are tokenized at once: so many, or so many characters and one text more."""
    for start in range(0, len(texts), _BATCH):
        columns = texts[start : start + _BATCH]
        sizes = np.sum([np.fromiter(map(len, cells), np.int64, len(cells)) for cells in columns.values()], 0)
        fences = [0, *(np.flatnonzero(np.diff(np.cumsum(sizes) // _CHARACTERS)) + 1).tolist(), len(sizes)]
        for first, last in pairwise(fences):
            yield {name: cells[first:last] for name, cells in columns.items()}


def _fast(tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting) -> Iterator[_Part]:
    """By the Rust tokenizer, which uses all cores, at the speed that it has by itself.

    What transformers makes of each text in Python costs more than the tokens do; so it only tells the tokenizer to
    leave texts whole. While a thread waits for the tokenizer's next batch, the last one's numbers are taken out here.
    """
    with_types, content = takes_types(tokenizer), TextContent(tokenizer, texts)

    def tokenize(columns: Mapping[str, list[str]]) -> list[Any]:
        rows = [cells[0] if len(cells) == 1 else cells for cells in zip(*columns.values(), strict=True)]
        with tokenizer_lock:
            _leave_whole(tokenizer, texts)
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


def _slow(tokenizer: PreTrainedTokenizerBase, texts: Texts, cutting: Cutting) -> Iterator[_Part]:
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


def _part(content: TextContent, rows: _Rows) -> _Part:
    flat, lengths = _flat(rows.ids)
    if content.mend(rows.ids, rows.types, flat, lengths, rows.masks):
        flat, lengths = _flat(rows.ids)
    joined = None if rows.types is None else np.frombuffer(b"".join(map(bytes, rows.types)), np.int8)
    return _Part(flat, joined, lengths, rows.windows, rows.truncated)


def _flat(ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    return np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum())), lengths


def _leave_whole(tokenizer: PreTrainedTokenizerBase, texts: Texts) -> None:
    """Let transformers tell the Rust tokenizer to cut nothing; the texts themselves do not matter."""
    call(tokenizer, {name: ["a"] for name in texts.column_names}, None)


def _is_all_rust(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether all that it does to a text is done by its Rust tokenizer: no class of its own has code for that."""
    kind = type(tokenizer)
    return (
        isinstance(tokenizer, PreTrainedTokenizerFast)
        and kind.__call__ is PreTrainedTokenizerBase.__call__
        and kind._encode_plus is PreTrainedTokenizerFast._encode_plus
        and not hasattr(tokenizer, "_switch_to_input_mode")
    )
