"""Byte-order marks (U+FEFF) where no file begins: of files put together, of programs that add one of their own.

They do not show, so that a column or a class with one looks like the same without. Names, labels and the beginnings of
JSON lines are read without them, with a note; in a text they stay, as every character does.
"""

from __future__ import annotations

from collections.abc import Sequence

MARK = "\ufeff"


class MarksLeftOut(str):
    """A note that marks were left out, and where: `check` makes a finding of it."""

    places: tuple[str, ...]

    def __new__(cls, places: Sequence[str]) -> MarksLeftOut:
        """The note.

        Args:
            places: where each was.
        """
        count = f"{len(places):,} byte-order mark{'' if len(places) == 1 else 's'} (U+FEFF)"
        more = f" and {len(places) - 3:,} more" if len(places) > 3 else ""
        note = super().__new__(cls, f"{count} left out: {', '.join(places[:3])}{more}")
        note.places = tuple(places)
        return note


def unmarked(text: str) -> str:
    """A text without such marks."""
    return text.replace(MARK, "")
