"""Which labels may be wrong: what `accel-cls suspects` has found, where it has looked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from accel_cls.reporting.facts import Facts
from accel_cls.reporting.mistakes import shortened
from accel_cls.runs.suspects import KeptSuspect

_MOST = 200
_LONGEST = 400  # characters of a text
_MOST_BYTES = 100_000  # of all texts: beside the mistakes' the page stays under 1 MB

_KINDS = {
    "model": "another label is likelier",
    "same text": "the same text with another label",
    "near-duplicate": "nearly the same text with another label",
    "outlier": "like no other text",
}


@dataclass(frozen=True)
class SuspectRow:
    """A row that is worth a look."""

    rank: int
    suspect: KeptSuspect  # its texts and reasons shortened
    kinds: tuple[str, ...]  # in words


@dataclass(frozen=True)
class Suspects:
    """See `content`."""

    shown: tuple[SuspectRow, ...]
    found: int  # in all
    kinds: tuple[str, ...]  # of those shown


def content(facts: Facts) -> Suspects | None:
    """None where nobody has looked."""
    return None if facts.suspects is None else shown_suspects(facts.suspects)


def shown_suspects(found: Sequence[KeptSuspect]) -> Suspects:
    """The first, as many as the page can hold."""
    shown = tuple(_as_many_as_fit(found))
    used = {kind for one in shown for kind in one.kinds}
    return Suspects(shown, len(found), tuple(kind for kind in _KINDS.values() if kind in used))


def _as_many_as_fit(found: Sequence[KeptSuspect]) -> Iterator[SuspectRow]:
    left = _MOST_BYTES
    for rank, one in enumerate(found[:_MOST], start=1):
        texts = tuple(shortened(text, _LONGEST) for text in one.texts)
        why = shortened(one.why, _LONGEST)
        left -= sum(len(text.encode()) for text in (*texts, why, one.label, one.suggestion))
        if left < 0:
            return
        yield SuspectRow(rank, replace(one, texts=texts, why=why), tuple(_KINDS.get(kind, kind) for kind in one.kinds))
