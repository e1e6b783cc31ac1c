"""The parts of an update by name, for whoever measures: `with span("forward"):`.

Nobody listens in a normal training: a span then costs half a microsecond, an update some ten of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Listener(Protocol):
    """Is told where an update stands."""

    def begin(self, part: str) -> None:
        """A part of an update begins; parts do not overlap."""

    def end(self, part: str) -> None:
        """It ends."""

    def update_done(self) -> None:
        """An update has ended, with all that was logged and saved after it."""


_listener: Listener | None = None


class _Span:
    """Holds no state, so that one object does for every use of a name."""

    def __init__(self, part: str):
        self._part = part

    def __enter__(self) -> None:
        if _listener is not None:
            _listener.begin(self._part)

    def __exit__(self, *_: object) -> None:
        if _listener is not None:
            _listener.end(self._part)


_SPANS = {part: _Span(part) for part in ("data", "forward", "backward", "optimizer")}


def span(part: str) -> _Span:
    """The block is this part of an update."""
    return _SPANS[part]


def update_done() -> None:
    """An update has ended."""
    if _listener is not None:
        _listener.update_done()


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Tell a listener of each span and update in this block."""
    global _listener
    _listener = listener
    try:
        yield
    finally:
        _listener = None
