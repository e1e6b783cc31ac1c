"""Code that runs where something trusts what it reads, and whether it has: it makes a folder HARMED."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class Payload:
    """Makes the folder where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("HARMED",)


def check_unharmed() -> None:
    """At the end of a test, in its own current folder."""
    harmed = list(Path().rglob("HARMED"))
    assert not harmed, harmed
