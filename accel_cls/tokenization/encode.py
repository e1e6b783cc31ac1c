"""Texts as token ids: made by all cores, written as they come, and found again at the next start."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tokenizers
import transformers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from accel_cls.data.texts import Texts
from accel_cls.tokenization.cache import find_or_make

_BATCH = 1000  # texts that are tokenized at once; 10,000 are a sixth slower, as their tokens leave the CPU's cache
_FORMAT = 2  # of what is kept; another number makes all anew
# Truncation is a state of the tokenizer: while it is set and used, no other thread may set another. A tokenizer in
# Rust takes all cores for one batch anyway.
_lock = threading.Lock()
_FILES = {"ids": np.int32, "types": np.int8, "offsets": np.int64}


@dataclass(frozen=True)
class Encoded:
    """Tokenized texts, flat: example i is `ids[offsets[i]:offsets[i + 1]]`. From a file, the arrays are its memory."""

    ids: np.ndarray  # int32
    types: np.ndarray | None  # int8 token types, for models that take them
    offsets: np.ndarray  # int64, one more than there are examples
    truncated: int  # examples that were cut to max_length
    from_cache: bool = False  # an earlier start has tokenized them
    known_digest: str | None = None  # of the ids, where they come from a file

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, special tokens included, int32."""
        return np.diff(self.offsets).astype(np.int32)

    @property
    def digest(self) -> str:
        """SHA-256 of the ids."""
        return self.known_digest or hashlib.sha256(self.ids.data).hexdigest()

    def followed_by(self, other: Encoded) -> Encoded:
        """Both, one after the other."""
        types = None if self.types is None or other.types is None else np.concatenate([self.types, other.types])
        offsets = np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]])
        ids, truncated = np.concatenate([self.ids, other.ids]), self.truncated + other.truncated
        return Encoded(ids, types, offsets, truncated, self.from_cache and other.from_cache)

    def describe(self, longest: int) -> tuple[str, str]:
        """Name and text of the banner's line about lengths."""
        share = self.truncated / len(self.lengths)
        return (
            "tokens",
            f"{self.lengths.mean():.1f} on average, 95% of the texts within {np.percentile(self.lengths, 95):.0f}, "
            f"{share:.1%} cut to data.max_length {longest}" + ("; tokenized before" if self.from_cache else ""),
        )


@dataclass(frozen=True)
class _Part:
    """Some texts' tokens, flat."""

    ids: np.ndarray  # int32
    types: np.ndarray | None  # int8
    lengths: np.ndarray  # int64
    truncated: int


class _Content:
    """What may stand in a text: no special token, and not nothing at all.

    A tokenizer that was told to split what looks like a special token still finds it where its vocabulary has it as
    a piece, as SentencePiece's has `</s>`; or where normalization makes it, of `</S>` or of full-width signs.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, texts: Texts):
        ids = {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}
        self._is_special = np.zeros(1 + max([*tokenizer.get_vocab().values(), *ids]), bool)
        self._is_special[[*ids]] = True
        with _lock:
            usual = _call(tokenizer, {name: ["a"] for name in texts.column_names}, None)["input_ids"][0]
        self._usual = int(self._is_special[usual].sum())  # those that the tokenizer itself puts around a text
        self._unknown, self._nothing = tokenizer.unk_token_id, tokenizer.pad_token_id

    def mend(
        self,
        ids: list[Sequence[int]],
        types: list[Sequence[int]] | None,
        flat: np.ndarray,
        lengths: np.ndarray,
        encodings: Sequence[Any] | None,
    ) -> bool:
        """Put what may stand there in the place of what may not; whether there was anything to change.

        Args:
            ids: of each text.
            types: likewise; None for a model without.
            flat: all ids, one text's after the other's.
            lengths: of each text.
            encodings: the Rust tokenizer's, which know what it has put there; None of one in Python, which has no
                such pieces.
        """
        running = np.zeros(len(flat) + 1, np.int32)
        np.cumsum(self._is_special[flat], out=running[1:])
        counts = np.diff(running[np.cumsum(lengths)], prepend=0)
        suspects = np.flatnonzero(counts > self._usual) if encodings is not None else ()
        for i in map(int, suspects):
            assert encodings is not None
            found = [
                (one if is_added or not self._is_special[one] else self._unknown, kind)
                for one, kind, is_added in zip(
                    ids[i], types[i] if types else ids[i], encodings[i].special_tokens_mask, strict=True
                )
            ]
            ids[i] = [one for one, _ in found if one is not None]
            if types is not None:
                types[i] = [kind for one, kind in found if one is not None]
        empty = [i for i in (*map(int, np.flatnonzero(lengths == 0)), *map(int, suspects)) if not len(ids[i])]
        for i in empty:  # a tokenizer that adds no tokens of its own
            ids[i] = [self._nothing]
            if types is not None:
                types[i] = [0]
        return len(suspects) + len(empty) > 0


def encode(tokenizer: PreTrainedTokenizerBase, texts: Texts, max_length: int) -> Encoded:
    """Tokenize the columns "text" and, for pairs, "pair"; pairs lose tokens of the longer text first."""
    files = {name: io.BytesIO() for name in _FILES}
    truncated = _write(tokenizer, texts, max_length, files)
    ids, types, offsets = (np.frombuffer(files[name].getbuffer(), kind) for name, kind in _FILES.items())
    return Encoded(ids, types if _takes_types(tokenizer) else None, offsets, truncated)


def are_cut(tokenizer: PreTrainedTokenizerBase, texts: Texts, max_length: int) -> np.ndarray:
    """Whether each text has more tokens than that, special tokens included, bool [texts]."""
    return encode(tokenizer, texts, max_length + 1).lengths > max_length


def encode_cached(tokenizer: PreTrainedTokenizerBase, texts: Texts, max_length: int, notes: list[str]) -> Encoded:
    """The same, but only if no run before has: what it made is in the cache. A note where that can't be written."""
    if not _is_all_rust(tokenizer):  # Python code of its own can't be told by its content
        return encode(tokenizer, texts, max_length)

    def make(folder: Path) -> None:
        with ExitStack() as opened:
            files = {name: opened.enter_context(open(folder / name, "wb")) for name in _FILES}
            truncated = _write(tokenizer, texts, max_length, files)
        (folder / "truncated").write_text(str(truncated), encoding="ascii")

    def is_sound(folder: Path) -> bool:
        ids, types, offsets = (_scaled(folder / name, kind) for name, kind in _FILES.items())
        return (
            len(offsets) == len(texts) + 1
            and offsets[0] == 0
            and offsets[-1] == len(ids)
            and bool((np.diff(offsets) >= 0).all())
            and len(types) == (len(ids) if _takes_types(tokenizer) else 0)
            and (not len(ids) or (ids.min() >= 0 and ids.max() <= max(tokenizer.get_vocab().values())))
            and (folder / "truncated").read_text(encoding="ascii").isdecimal()
        )

    entry = find_or_make("tokens", "token ids", _key(tokenizer, texts, max_length), make, notes, is_sound)
    if entry is None:
        return encode(tokenizer, texts, max_length)
    ids, types, offsets = (_scaled(entry.folder / name, kind) for name, kind in _FILES.items())
    return Encoded(
        ids,
        types if _takes_types(tokenizer) else None,
        offsets,
        int((entry.folder / "truncated").read_text(encoding="ascii")),
        entry.from_cache,
        entry.checksums["ids"],
    )


def _scaled(path: Path, kind: type) -> np.ndarray:
    """A file as an array that the system reads when it is looked at, and drops when memory is short."""
    if not path.stat().st_size:
        return np.empty(0, kind)
    return np.asarray(np.memmap(path, kind, mode="c"))  # "c": writing to it changes no file


def _key(tokenizer: PreTrainedTokenizerBase, texts: Texts, max_length: int) -> str:
    """Of all that token ids follow from."""
    with _lock:
        _set_truncation(tokenizer, texts, max_length)
        backend = tokenizer.backend_tokenizer.to_str()  # truncation included
    facts = [
        _FORMAT,
        [tokenizers.__version__, transformers.__version__],
        hashlib.sha256(backend.encode()).hexdigest(),
        [tokenizer.backend_tokenizer.encode_special_tokens, _takes_types(tokenizer), max_length],
        texts.digest(),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _write(tokenizer: PreTrainedTokenizerBase, texts: Texts, max_length: int, files: Mapping[str, BinaryIO]) -> int:
    """Tokenize into files of ids, types and offsets; returns how many texts were cut."""
    end = truncated = 0
    files["offsets"].write(np.zeros(1, np.int64).data)
    parts = _fast if _is_all_rust(tokenizer) else _slow
    for part in parts(tokenizer, texts, max_length):
        offsets = end + np.cumsum(part.lengths)
        end = int(offsets[-1])
        truncated += part.truncated
        files["ids"].write(part.ids.data)
        files["offsets"].write(offsets.data)
        if part.types is not None:
            files["types"].write(part.types.data)
    return truncated


def _fast(tokenizer: PreTrainedTokenizerBase, texts: Texts, max_length: int) -> Iterator[_Part]:
    """By the Rust tokenizer, which uses all cores, at the speed that it has by itself.

    What transformers makes of each text in Python costs more than the tokens do; so it only tells the tokenizer how
    to truncate. While a thread waits for the tokenizer's next batch, the last one's numbers are taken out here.
    """
    with_types, content = _takes_types(tokenizer), _Content(tokenizer, texts)

    def tokenize(start: int) -> list[Any]:
        columns = texts[start : start + _BATCH].values()
        rows = [cells[0] if len(cells) == 1 else cells for cells in zip(*columns, strict=True)]
        with _lock:
            _set_truncation(tokenizer, texts, max_length)
            # Without what only offsets into the text are for; the ids are the same.
            return tokenizer.backend_tokenizer.encode_batch_fast(rows)

    with ThreadPoolExecutor(1) as thread:
        ahead = [thread.submit(tokenize, start) for start in range(0, len(texts), _BATCH)[:1]]
        for start in range(0, len(texts), _BATCH):
            encodings = ahead.pop().result()
            if start + _BATCH < len(texts):
                ahead.append(thread.submit(tokenize, start + _BATCH))
            ids = [encoding.ids for encoding in encodings]
            types = [encoding.type_ids for encoding in encodings] if with_types else None
            cut = sum(bool(encoding.overflowing) for encoding in encodings)
            yield _part(content, ids, types, cut, encodings)


def _slow(tokenizer: PreTrainedTokenizerBase, texts: Texts, max_length: int) -> Iterator[_Part]:
    """By a tokenizer that is written in Python, or partly.

    Such a tokenizer does not tell what it has cut. So it is asked for whole texts first, and then again for those that
    are longer than `max_length`.
    """
    with_types, content = _takes_types(tokenizer), _Content(tokenizer, texts)
    for start in range(0, len(texts), _BATCH):
        columns = texts[start : start + _BATCH]
        with _lock:
            whole = _call(tokenizer, columns, None)
            ids, types = list(whole["input_ids"]), list(whole["token_type_ids"]) if with_types else None
            longer = [i for i, row in enumerate(ids) if len(row) > max_length]
            if longer:
                cut = _call(tokenizer, {name: [c[i] for i in longer] for name, c in columns.items()}, max_length)
                for k, i in enumerate(longer):
                    ids[i] = cut["input_ids"][k]
                    if types is not None:
                        types[i] = cut["token_type_ids"][k]
        yield _part(content, ids, types, len(longer))


def _part(
    content: _Content,
    ids: list[Sequence[int]],
    types: list[Sequence[int]] | None,
    truncated: int,
    encodings: Sequence[Any] | None = None,
) -> _Part:
    flat, lengths = _flat(ids)
    if content.mend(ids, types, flat, lengths, encodings):
        flat, lengths = _flat(ids)
    joined = None if types is None else np.frombuffer(b"".join(map(bytes, types)), np.int8)
    return _Part(flat, joined, lengths, truncated)


def _flat(ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    return np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum())), lengths


def _call(tokenizer: PreTrainedTokenizerBase, columns: Mapping[str, Sequence[str]], max_length: int | None) -> Any:
    """As transformers tokenizes, truncated to `max_length`; None: not at all."""
    return tokenizer(
        columns["text"],
        columns.get("pair"),
        truncation=max_length is not None,
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=_takes_types(tokenizer),
    )


def _set_truncation(tokenizer: PreTrainedTokenizerBase, texts: Texts, max_length: int) -> None:
    """Let transformers tell the Rust tokenizer how to truncate; the texts themselves do not matter."""
    _call(tokenizer, {name: ["a"] for name in texts.column_names}, max_length)


def _is_all_rust(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether all that it does to a text is done by its Rust tokenizer: no class of its own has code for that."""
    kind = type(tokenizer)
    return (
        isinstance(tokenizer, PreTrainedTokenizerFast)
        and kind.__call__ is PreTrainedTokenizerBase.__call__
        and kind._encode_plus is PreTrainedTokenizerFast._encode_plus
        and not hasattr(tokenizer, "_switch_to_input_mode")
    )


def _takes_types(tokenizer: PreTrainedTokenizerBase) -> bool:
    return "token_type_ids" in tokenizer.model_input_names
