"""Texts as they are kept while a run needs them: columns in Arrow's memory, without a Python object for each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa


class Texts:
    """Columns of texts, all equally long. Take whole columns or slices: rows one by one are slow."""

    def __init__(self, table: pa.Table):
        # 64-bit offsets: a column of 32-bit ones holds no more than 2 GB.
        self._table = table.cast(pa.schema([(name, pa.large_string()) for name in table.column_names]))

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[str | None]]) -> Texts:
        """Of Python's texts."""
        return cls(pa.table({name: pa.array(texts, pa.large_string()) for name, texts in columns.items()}))

    @classmethod
    def joined(cls, parts: Sequence[Texts]) -> Texts:
        """One after the other; all have the same columns."""
        return cls(pa.concat_tables([part._table for part in parts]))

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return self._table.column_names

    def __len__(self) -> int:
        return self._table.num_rows

    @overload
    def __getitem__(self, key: str) -> list[Any]: ...

    @overload
    def __getitem__(self, key: slice) -> dict[str, list[str]]: ...

    def __getitem__(self, key: str | slice) -> list[Any] | dict[str, list[str]]:
        if isinstance(key, str):
            return self._table[key].to_pylist()
        start, stop, step = key.indices(len(self))
        assert step == 1
        part = self._table.slice(start, max(0, stop - start))
        return {name: part[name].to_pylist() for name in part.column_names}

    def cells(self) -> Iterator[tuple[str, ...]]:
        """What each row holds: a text, or both of a pair."""
        return zip(*(self[name] for name in self.column_names), strict=True)

    def firsts(self) -> np.ndarray:
        """The first row with the same texts as each, int64 [rows]: those of copies are one."""
        first: dict[tuple[str, ...], int] = {}
        return np.array([first.setdefault(cells, i) for i, cells in enumerate(self.cells())], np.int64)

    def select(self, indices: np.ndarray) -> Texts:
        """The rows at these positions, in this order."""
        at = np.ascontiguousarray(indices, np.int64)
        return Texts(self._table.take(pa.Int64Array.from_buffers(pa.int64(), len(at), [None, pa.py_buffer(at)])))

    def named(self, names: Mapping[str, str]) -> Texts:
        """These columns under new names, {new: old}, "" where a text is missing."""
        columns = {new: self._table[old] for new, old in names.items()}
        return Texts(pa.table({new: c.fill_null("") if c.null_count else c for new, c in columns.items()}))

    def digest(self) -> str:
        """SHA-256 of all texts in their order and columns; none may be missing. A GB takes a second."""
        whole = hashlib.sha256()
        for name in self.column_names:
            bytes_, lengths = hashlib.sha256(), hashlib.sha256()  # two, since Arrow may cut a column anywhere
            for chunk in self._table[name].chunks:
                _, ends, content = chunk.buffers()
                if len(chunk):
                    at = np.frombuffer(ends, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
                    lengths.update(np.diff(at).data)
                    bytes_.update(memoryview(content or b"")[at[0] : at[-1]])
            whole.update(name.encode() + b"\0" + bytes_.digest() + lengths.digest())
        return whole.hexdigest()
