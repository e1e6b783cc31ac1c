"""The one kind of error that is the user's to mend: printed as it is, without a traceback."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# What a terminal obeys instead of showing it: controls but for tabs and line ends, what turns the direction of
# writing. What it shows nothing of, so that two names look like one; but not what joins letters and emoji. And halves
# of characters, which no file takes.
_UNPRINTABLE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069"
    "\u3164\ud800-\udfff\ufeff\uffa0]"
)


def printable(text: str) -> str:
    """The same text as a terminal may show it: what it would obey is written as Python writes it, such as \\x1b."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def shown(text: str, most: int = 60) -> str:
    """The beginning of a text that may be of any length."""
    return text if len(text) <= most else f"{text[:most]}…"


def listed(texts: Sequence[str], most: int = 20) -> str:
    """The first of some texts that may be many."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(map(shown, texts[:most])) + more


class UserError(ValueError):
    """A mistake in a recipe, a data file, a model folder or a command; its message says what to do."""

    def __init__(self, message: str):
        super().__init__(printable(message))

    def as_json(self) -> list[dict[str, Any]]:
        """The mistakes for programs, each with a `message`."""
        return [{"message": str(self)}]


class Diverged(UserError):
    """A training that has ended since its losses or gradients are no finite numbers."""


class ToldElsewhere(UserError):
    """A mistake that another process of the run tells the user of: this one only ends."""


class DivergedElsewhere(Diverged, ToldElsewhere):
    """The same on the other processes of the run."""
