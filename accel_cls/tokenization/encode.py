"""Texts made token ids, written as they come, and found again at the next start."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tokenizers
import transformers
from transformers import PreTrainedTokenizerBase

from accel_cls.data.texts import Texts
from accel_cls.tokenization.cache import find_or_make
from accel_cls.tokenization.content import takes_types, tokenizer_lock
from accel_cls.tokenization.cutting import Cutting, of_tokenizer
from accel_cls.tokenization.encoded import Encoded
from accel_cls.tokenization.tokenizing import encoded_parts, is_all_rust, leave_whole

_FORMAT = 3  # of what is kept; another number makes all anew
_FILES = {"ids": np.int32, "types": np.int8, "offsets": np.int64, "starts": np.int64}


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
    if not is_all_rust(tokenizer):  # Python code of its own can't be told by its content
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
        leave_whole(tokenizer, texts)
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
    for part in encoded_parts(tokenizer, texts, cutting):
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
