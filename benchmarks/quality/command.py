"""What commands have in common that do jobs, keep each result, and publish what is kept."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from accel_cls.errors import UserError
from benchmarks import machine
from benchmarks.page import between_markers
from benchmarks.processes import Failed, OutOfTime
from benchmarks.quality.kept import Kept, Result
from benchmarks.workshop import Workshop

_LAST_LINES = 8  # that are told of a command that failed


class Skipped(Exception):
    """Why a job can't be done here."""


@dataclass(frozen=True)
class Limits:
    """How jobs are done."""

    at_once: int = 1
    seconds: float | None = None  # after which those that are not done are ended; None for no end
    precision: str | None = None  # that accel_cls trains in; None: as the profile of the device has it

    @classmethod
    def of(cls, options: argparse.Namespace) -> Limits:
        """As the command line has them."""
        return cls(options.at_once, options.seconds, options.precision)


class Titled(Protocol):
    """A job."""

    @property
    def title(self) -> str:
        """As lines on the screen have it."""


J = TypeVar("J", bound=Titled)
V = TypeVar("V")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """How many jobs are done at a time, for how long, and in which precision."""
    add = parser.add_argument
    add("--at-once", type=_positive, default=1, metavar="N", help="jobs at a time (default: 1); their seconds suffer")
    add("--seconds", type=_positive, metavar="N", help="for all; what is not done by then is left, for another time")
    add("--precision", choices=("fp32", "bf16"), help="that accel_cls trains in; default: as a user would be told")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text}; expected 1 or more")
    return int(text)


def do_all(
    jobs: Sequence[J],
    name: str,
    doer: Callable[[Workshop, dict[str, Any]], Callable[[J], dict[str, Any]]],
    says: Callable[[dict[str, Any]], str],
    limits: Limits,
) -> int:
    """Do jobs, with a line for each as it ends; returns how many failed.

    Args:
        jobs: in order.
        name: of the command.
        doer: gives, for a workshop and what is known of the machine, what does a job and returns what was kept of it.
            Where several are done at a time, it is called by several threads.
        says: that in words.
        limits: how many are done at a time, which then share the cores, and the others.
    """
    on = machine.describe() | {"at_once": limits.at_once}

    def say(line: str) -> None:
        print(f"{line}\n", end="", flush=True)  # in one go: others may tell something, too

    with (
        tempfile.TemporaryDirectory(prefix=f"accel_cls_{name}_", ignore_cleanup_errors=True) as place,
        ThreadPoolExecutor(limits.at_once) as pool,
    ):
        shop = _workshop(Path(place), on, limits, say)
        do = doer(shop, on)

        def try_one(number: int, job: J) -> bool:
            """Whether it failed."""
            which = f"{number} of {len(jobs)}: {job.title}"
            try:
                shop.say(f"{which}: {says(do(job))}")
            except Skipped as error:
                shop.say(f"{which} skipped: {error}")
            except OutOfTime:
                shop.say(f"{which} is left: the time is over")
            except (Failed, UserError) as error:
                first, *rest = str(error).splitlines()
                shop.say("\n    ".join([f"{which} failed: {first}", *[line for line in rest if line][-_LAST_LINES:]]))
                return True
            return False

        try:
            return sum(pool.map(try_one, itertools.count(1), jobs))
        except BaseException:  # Ctrl-C: those that have not begun are not to
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _workshop(place: Path, on: dict[str, Any], limits: Limits, say: Callable[[str], None]) -> Workshop:
    """Where jobs are done that begin now."""
    return Workshop(
        place,
        rounds=1,
        quick=False,
        tell=say,
        deadline=None if limits.seconds is None else time.monotonic() + limits.seconds,
        device="cuda" if on["gpu"] else "cpu",
        threads=None if limits.at_once == 1 else max(1, on["cores"] // limits.at_once),
        precision=limits.precision,
    )


class Once:
    """Makes something of each key when it is first asked for, also where several threads ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Future[Any]] = {}

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """What `make` gave, or raised, for this key."""
        with self._lock:
            is_first = key not in self._made
            future = self._made.setdefault(key, Future())
        if is_first:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
        return future.result()


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
