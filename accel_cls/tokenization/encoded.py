"""Texts as token ids."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


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
