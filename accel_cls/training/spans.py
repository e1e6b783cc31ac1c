"""Spans: the parts of an update by name, for a profiler: `with span("forward"):`.

Without an observer, as in a normal training, a span costs half a microsecond, an update some ten of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class SpanObserver(Protocol):
    """Is called where a span or an update begins and ends."""

    def begin(self, part: str) -> None:
        """A part of an update begins; parts do not overlap."""

    def end(self, part: str) -> None:
        """It ends."""

    def update_done(self) -> None:
        """An update has ended, with all that was logged and saved after it."""


_observer: SpanObserver | None = None


class _Span:
    """Holds no state, so that one object does for every use of a name."""

    def __init__(self, part: str):
        self._part = part

    def __enter__(self) -> None:
        if _observer is not None:
            _observer.begin(self._part)

    def __exit__(self, *_: object) -> None:
        if _observer is not None:
            _observer.end(self._part)


_SPANS = {part: _Span(part) for part in ("data", "forward", "backward", "optimizer")}


def span(part: str) -> _Span:
    """The block is this part of an update."""
    return _SPANS[part]


def update_done() -> None:
    """An update has ended."""
    if _observer is not None:
        _observer.update_done()


@contextmanager
def observe_spans(observer: SpanObserver) -> Iterator[None]:
    """Call an observer for each span and update in this block."""
    global _observer
    _observer = observer
    try:
        yield
    finally:
        _observer = None
