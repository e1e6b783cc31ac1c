"""What is read of a text that has more tokens than a model takes: a part of it, or several parts as windows.

All of it is arithmetic on positions of whole texts' tokens, so that no token is ever torn, and special tokens stay
where the tokenizer has put them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from accel_cls.errors import UserError
from accel_cls.recipe.sections.data import Data, Windows

Truncate = Literal["end", "start", "middle"]  # what is cut off
_HEAD = 4  # middle: of all tokens that are read, one in so many is of the start, as 128 of 512 in Sun et al. (2019)


@dataclass(frozen=True)
class Cutting:
    """How texts that are too long are cut."""

    max_length: int  # tokens of a row, special ones included
    truncate: Truncate = "end"
    head_tokens: int | None = None  # with middle: tokens of the start that stay; None: a quarter of all

    windows: Windows | None = None  # what is not cut off is read in several rows

    @classmethod
    def of(cls, data: Data) -> Cutting:
        """As a recipe says."""
        return cls(data.max_length, data.truncate, data.head_tokens, data.windows)

    @classmethod
    def from_json(cls, told: object, max_length: int) -> Cutting:
        """As a model's config.json says; see `as_json`. Raises ValueError where that says something else."""
        if not isinstance(told, Mapping) or told.get("truncate") not in get_args(Truncate):
            raise ValueError(f"expected truncate to be one of {', '.join(get_args(Truncate))}")
        head, windows = told.get("head_tokens"), told.get("windows")
        if head is not None and (not isinstance(head, int) or isinstance(head, bool) or head < 1):
            raise ValueError(f"expected head_tokens to be a whole number, found {head!r}")
        try:
            windows = None if windows is None else Windows.model_validate(windows)
        except ValueError as error:
            raise ValueError("expected windows to have overlap, most and pooling, as in a recipe") from error
        return cls(max_length, told["truncate"], head, windows)

    @property
    def is_plain(self) -> bool:
        """Whether the tokenizer can do it by itself."""
        return self.truncate != "middle" and self.windows is None

    @property
    def longest(self) -> int:
        """The most tokens that are read of a text, the special ones of each row included."""
        return self.max_length * (1 if self.windows is None else self.windows.most)

    def as_json(self) -> dict[str, Any]:
        """All but the length, which the tokenizer knows."""
        windows = {} if self.windows is None else {"windows": self.windows.model_dump()}
        return {"truncate": self.truncate, "head_tokens": self.head_tokens, **windows}

    def check(self, special: int) -> None:
        """Raise UserError where the special tokens around a text, so many, leave no room for what is wanted."""
        room = self.room(special)
        if self.head_tokens is not None and self.head_tokens >= room:
            of = f"data.max_length {self.max_length}" if self.windows is None else "what is read of a text"
            raise UserError(
                f"data.head_tokens: found {self.head_tokens}; expected {room - 1} at most: of {of}, "
                f"{special} are special tokens, and one or more are for the text's end"
            )
        if self.windows is not None and self.windows.overlap >= self.max_length - special:
            raise UserError(
                f"data.windows.overlap: found {self.windows.overlap}; with {special} special tokens, data.max_length "
                f"{self.max_length} leaves {self.max_length - special} tokens of the text in a window: no window "
                "would move on"
            )

    def room(self, special: int) -> int:
        """How many tokens of a text may be read, where a row has so many special ones."""
        a_row = self.max_length - special
        if self.windows is None:
            return a_row
        return a_row + (self.windows.most - 1) * (a_row - self.windows.overlap)

    def head(self, special: int) -> int:
        """With middle, how many tokens of a text's start are read."""
        return (self.room(special) + special) // _HEAD if self.head_tokens is None else self.head_tokens

    def rows(self, part: np.ndarray) -> list[np.ndarray]:
        """What is read of a text that is longer than `max_length`.

        Args:
            part: int8 [tokens]: 0 for the tokens of the text, 1 for those of a pair's second one, -1 for special ones.

        Returns:
            For each row the positions of its tokens, int64, rising.
        """
        is_special = part < 0
        texts, special = [np.flatnonzero(part == 0), np.flatnonzero(part == 1)], int(is_special.sum())
        most = _share(len(texts[0]), len(texts[1]), self.room(special))
        kept = [self.kept(text, count, special) for text, count in zip(texts, most, strict=True)]
        if self.windows is None:
            return [_with(is_special, np.concatenate(kept))]
        return [_with(is_special, kept[0][a:b]) for a, b in self.fences(len(kept[0]), special)]

    def kept(self, text: np.ndarray, most: int, special: int) -> np.ndarray:
        """Of a text's tokens those that are read, `most` or all; `special` are around it."""
        if len(text) <= most:
            return text
        if self.truncate == "end":
            return text[:most]
        head = 0
        if self.truncate == "middle" and most:  # of a pair's text as large a part as of both
            head = min(most, max(1, most * self.head(special) // self.room(special)))
        return np.concatenate([text[:head], text[len(text) - (most - head) :]])

    def sizes(self, lengths: np.ndarray, special: int) -> tuple[np.ndarray, np.ndarray | None]:
        """What becomes of whole texts of so many tokens, special ones included: tokens read, and windows or None."""
        if self.windows is None:
            return np.minimum(lengths, self.max_length), None
        read, overlap = np.minimum(lengths - special, self.room(special)), self.windows.overlap
        windows = np.maximum(1, -(-(read - overlap) // (self.max_length - special - overlap)))
        return read + (windows - 1) * overlap + windows * special, windows

    def fences(self, count: int, special: int) -> Iterator[tuple[int, int]]:
        """Where the windows of so many tokens begin and end: as few as there have to be, as long as one another."""
        assert self.windows is not None
        overlap, a_row = self.windows.overlap, self.max_length - special
        number = max(1, -(-(count - overlap) // (a_row - overlap)))
        length, longer = divmod(count + (number - 1) * overlap, number)
        start = 0
        for i in range(number):
            end = start + length + (i < longer)
            yield start, end
            start = end - overlap


def of_tokenizer(tokenizer: Any, max_length: int) -> Cutting:
    """As a tokenizer cuts by itself."""
    return Cutting(max_length, "start" if tokenizer.truncation_side == "left" else "end")


def _share(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each text of a pair stay: the longer one loses first, as in tokenizers' longest_first."""
    shorter, longer = sorted((first, second))
    if shorter + longer > room:
        longer = max(shorter, room - shorter)
        if shorter + longer > room:
            shorter, longer = room // 2, room - room // 2
    return (longer, shorter) if first > second else (shorter, longer)


def _with(is_special: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The positions of special tokens and these ones."""
    keep = is_special.copy()
    keep[at] = True
    return np.flatnonzero(keep)
