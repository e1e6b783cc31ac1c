"""What commands have in common that do jobs one after the other, keep each result, and publish what is kept."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from accel_cls.errors import UserError
from benchmarks import machine
from benchmarks.page import between_markers
from benchmarks.processes import Failed
from benchmarks.quality.kept import Kept, Result
from benchmarks.workshop import Workshop

_LAST_LINES = 8  # that are told of a command that failed


class Skipped(Exception):
    """Why a job can't be done here."""


class Titled(Protocol):
    """A job."""

    @property
    def title(self) -> str:
        """As lines on the screen have it."""


J = TypeVar("J", bound=Titled)


def do_all(
    jobs: Sequence[J],
    name: str,
    doer: Callable[[Workshop, dict[str, Any]], Callable[[J], dict[str, Any]]],
    says: Callable[[dict[str, Any]], str],
) -> int:
    """Do jobs, with a line for each as it ends; returns how many failed.

    Args:
        jobs: in order.
        name: of the command.
        doer: gives, for a workshop and what is known of the machine, what does a job and returns what was kept of it.
        says: that in words.
    """
    on, failed = machine.describe(), 0
    with tempfile.TemporaryDirectory(prefix=f"accel_cls_{name}_", ignore_cleanup_errors=True) as place:
        device = "cuda" if on["gpu"] else "cpu"
        shop = Workshop(Path(place), 1, False, lambda line: print(line, flush=True), device=device)
        do = doer(shop, on)
        for number, job in enumerate(jobs, start=1):
            which = f"{number} of {len(jobs)}: {job.title}"
            try:
                shop.say(f"{which}: {says(do(job))}")
            except Skipped as error:
                shop.say(f"{which} skipped: {error}")
            except (Failed, UserError) as error:
                failed += 1
                first, *rest = str(error).splitlines()
                shop.say("\n    ".join([f"{which} failed: {first}", *[line for line in rest if line][-_LAST_LINES:]]))
    return failed


def publish_kept(
    kept: Kept, page: Path, tables: Callable[[Sequence[Result]], str], begin_marker: str, end_marker: str
) -> int:
    """Put tables of all that is kept between the markers of a page; what stands around them stays.

    Returns:
        The exit status; 2 where nothing is kept, results are of different rows, or the page can't be written so.
    """
    results = [*kept.results()]
    if not results:
        print(f"--results {kept.folder}: nothing is kept there", file=sys.stderr)
        return 2
    try:
        text = between_markers(page.read_text(encoding="utf-8"), tables(results), begin_marker, end_marker)
        page.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0
