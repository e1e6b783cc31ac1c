"""What an author should look at before training: the form in which it is said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One place of a finding: rows that belong together, and the text that stands there."""

    rows: tuple[str, ...]
    text: str = ""
    labels: tuple[str, ...] = ()  # of the rows, where they differ
    excerpt: str = ""  # the part of the text that is meant, what does not print written as \x08


@dataclass(frozen=True)
class Finding:
    """Something that an author should look at."""

    kind: str  # one of the words in docs/check.md
    what: str  # what was found, with counts
    advice: str  # what to do about it
    cases: tuple[Case, ...] = ()
    is_error: bool = False  # training would refuse


def texts_in_words(count: int) -> str:
    """So many texts."""
    return f"{count:,} text{'' if count == 1 else 's'}"
