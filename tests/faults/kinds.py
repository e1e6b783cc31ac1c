"""The faults: each function makes one, lets the run go on, and returns what became of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .processes import Ended, HungError, Running, Start
from .work import LAST, Case, Work, damaged, reached, state_of

ORPHANS_END = 60  # seconds in which the others end after one process is gone
STOP_ENDS = 60  # seconds in which a run ends that was told to stop
STOPPED = 75  # exit status of a run that was told to stop
# How the others say that a process is gone: in a collective operation, and where they meet before the first.
_GONE = (
    "another process of this run has ended",
    "process 0 or its launcher has ended",
    "1 of 2 processes has not come",
)
STOPS = ("SIGTERM", "SIGINT", "SIGUSR1", "SAVE")


# Ends without notice -----------------------------------------------------------------------------------


def kill(work: Work, start: Start, aims: bool = False, again: float = 0.3) -> Case:
    """Kill -9 of everything at a random instant, several times perhaps, until the run is through.

    With `aims` the instant is the next one at which something half written lies in the run folder.
    """
    began, output = time.monotonic(), work.new_output()
    case = Case("kill", start.name, "kill -9 of all at " + ("a write" if aims else "any instant"))
    is_over, misses = False, 0
    while not is_over:
        _, whole = work.reference(start)
        instant = work.draw.uniform(0, whole)
        with work.begin(start, output) as running:
            is_over = not _until(running, instant)
            if aims and not is_over:
                is_over = not running.wait_for(lambda output=output: bool(list(output.rglob("*.partial"))))
            if is_over and not case.events and misses < 3:  # it was quicker than the uninterrupted run: once more
                work.was_quicker(start, running.ended().seconds)
                output, is_over, misses = work.new_output(), False, misses + 1
                continue
            running.kill()
        case.events.append({"event": "kill", "at": round(instant, 3), **state_of(output)})
        case.faults += damaged(output)
        is_over = is_over or work.draw.random() > again or len(case.events) > 4
    work.finish(case, start, output)
    return work.record(case, began)


def _draw_instant(work: Work, whole: float, update: int | None) -> tuple[float, int]:
    """When to strike: at a second, or, where the other number is not 0, after that update."""
    instant = work.draw.uniform(0, whole)
    return instant, work.draw.choice([0, work.draw.randrange(1, LAST)]) if update is None else update


def _until_then(work: Work, running: Running, output: Path, instant: float, at: int) -> None:
    if at:
        running.wait_for(lambda: reached(output) >= at)
        time.sleep(work.draw.uniform(0, 0.2))
    else:
        _until(running, instant)


def rank(work: Work, start: Start, update: int | None = None) -> Case:
    """Kill -9 of one process of several: the others must not wait for it, and must say what has happened."""
    began, output = time.monotonic(), work.new_output()
    _, whole = work.reference(start)
    one = work.draw.randrange(start.processes)
    instant, at = _draw_instant(work, whole, update)
    case = Case("rank", start.name, f"kill -9 of process {one}" + (f" after update {at}" if at else ""))
    # No launcher watches over warm processes: one that is gone before all have met is missed after this time.
    with work.begin(start, output, "--join-timeout", "20") as running:
        running.wait_for(lambda: len(running.ranks()) == start.processes)
        _until_then(work, running, output, instant, at)
        state, others = state_of(output), running.ranks()
        running.send(signal.SIGKILL, [others.pop(one)] if one in others else [])
        killed = time.monotonic()
        try:
            ended = running.wait(ORPHANS_END)
        except HungError as error:
            case.faults.append(f"HUNG: {error}")
        else:
            took = round(time.monotonic() - killed, 1)
            event = {"event": "kill", "rank": one, "at": round(instant, 3), **state, "others ended after": took}
            case.events.append({**event, "status": ended.status, "said": ended.err[:1500]})
            if ended.status == 0:
                case.what += ", which had ended"
            elif not any(words in ended.err for words in _GONE):
                case.faults.append("no message names the cause")
    case.faults += damaged(output)
    work.finish(case, start, output)
    return work.record(case, began)


# Ends with notice --------------------------------------------------------------------------------------


def stop(work: Work, start: Start, how: str, whom: str, update: int | None = None) -> Case:
    """A signal to one process, to all that train, or to everything, or the file SAVE, at a random instant.

    Args:
        work: the training.
        start: how it is started.
        how: a signal's name, or SAVE.
        whom: `one`, `all` or `tree`.
        update: after which update, in place of a random instant.
    """
    began, output = time.monotonic(), work.new_output()
    _, whole = work.reference(start)
    instant, at = _draw_instant(work, whole, update)
    case = Case("signals", start.name, how if how == "SAVE" else f"{how} to {whom}")
    with work.begin(start, output) as running:
        running.wait_for(lambda: len(running.ranks()) == start.processes)
        _until_then(work, running, output, instant, at)
        state = state_of(output)
        if how == "SAVE":
            if running.wait_for((output / "recipe.yaml").is_file):
                (output / "SAVE").touch()
        else:
            pids = list(running.ranks().values())
            chosen = running.tree() if whom == "tree" else pids if whom == "all" else pids and [work.draw.choice(pids)]
            running.send(signal.Signals[how], list(chosen))
        told = time.monotonic()
        event: dict[str, Any] = {"event": "stop", "at": round(instant, 3), **state}
        case.events.append(event)
        try:
            ended = running.wait(STOP_ENDS)
        except HungError as error:
            case.faults.append(f"HUNG: {error}")
        else:
            event |= {"ended after": round(time.monotonic() - told, 1), "status": ended.status}
            to_launcher = start.maps_status and whom == "tree" and how != "SAVE"
            case.faults += _orderly(start, how, ended, has_begun=output.is_dir(), to_launcher=to_launcher)
    case.faults += damaged(output)
    if (output / "SAVE").exists():
        case.faults += ["the file SAVE is still there"] if event.get("status") else []  # else it came too late
        (output / "SAVE").unlink()
    work.finish(case, start, output)
    return work.record(case, began)


def _orderly(start: Start, how: str, ended: Ended, has_begun: bool, to_launcher: bool) -> list[str]:
    """What is wrong with how a run ended that was told to stop; accelerate's launcher may die of what it is told."""
    if ended.status == 0:  # it came too late
        return []
    faults = []
    expected = 1 if start.maps_status else STOPPED
    if not has_begun and ended.status != expected and how != "SAVE":
        # Before Python has come to our first line, nobody can take a signal; nothing is lost then.
        number = signal.Signals[how]
        return [] if ended.status in (-number, 128 + number, 1) else [f"ended with {ended.status}"]
    if ended.status != expected and not (to_launcher and ended.status == -signal.Signals[how]):
        faults.append(f"ended with {ended.status} instead of {expected}: {ended.err.strip()[-300:]}")
    if not any(line.strip().startswith("stopped by") for line in ended.said.splitlines()):
        faults.append("no line begins with `stopped by`")
    return faults


# Disks -------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str = "8m") -> Iterator[Path]:
    """A disk of its own. Raises PermissionError where this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("mount") is None or os.name != "posix":
        raise PermissionError("there is no `mount` here")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "accel_cls-faults", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PermissionError(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def full_disk(work: Work, start: Start) -> Case:
    """A disk that becomes full at some update; with room again, the same command goes on."""
    began = time.monotonic()
    at = work.draw.randrange(4, LAST - 12)
    case = Case("disk", start.name, f"full from update {at} on")
    with small_disk(work.new_output()) as disk:
        output, filler = disk / "run", disk / "filler"
        with work.begin(start, output) as running:
            running.wait_for(lambda: reached(output) >= at)
            running.wait_for(lambda: _fill(filler))  # what is deleted meanwhile makes room: it is taken at once
            ended = running.ended()
        case.events.append({"event": "full", **state_of(output), "status": ended.status, "said": ended.err[:1500]})
        case.faults += _explained(start, ended, "No space left on device") + damaged(output)
        filler.unlink()
        work.finish(case, start, output)
    return work.record(case, began)


def useless_disk(work: Work, start: Start) -> Case:
    """A disk that is read-only, and then one that is full, from the start; mended, it takes the run."""
    began = time.monotonic()
    case = Case("disk", start.name, "read-only, then full")
    with small_disk(work.new_output()) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        ended = work.run(start, disk / "run")
        case.events.append({"event": "read-only", "status": ended.status, "said": ended.err[:1500]})
        case.faults += _explained(start, ended, "Read-only file system")
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        _fill(disk / "filler")
        ended = work.run(start, disk / "run")
        case.events.append({"event": "full", "status": ended.status, "said": ended.err[:1500]})
        case.faults += _explained(start, ended, "No space left on device")
        (disk / "filler").unlink()
        work.finish(case, start, disk / "run")
    return work.record(case, began)


def _fill(filler: Path) -> bool:
    """Take all the room of a disk; False, so that it can be waited for in vain."""
    with open(filler, "ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return False


def _explained(start: Start, ended: Ended, words: str) -> list[str]:
    expected = 1 if start.maps_status else 2
    faults = [] if ended.status == expected else [f"ended with {ended.status} instead of {expected}"]
    faults += [] if words in ended.err else [f"does not say {words!r}: {ended.err.strip()[-500:]}"]
    if "Traceback" in ended.err and start.way in ("warm", "python"):
        faults.append(f"a traceback: {ended.err.strip()[-500:]}")
    return faults


# Clocks ------------------------------------------------------------------------------------------------

_CLOCK = '''
"""A wall clock that jumps by hours, forwards and backwards, while the monotonic one goes on."""
import random, time
_draw, _real, _real_ns = random.Random({seed}), time.time, time.time_ns
_state = [time.monotonic(), 0.0]
def _offset():
    if time.monotonic() > _state[0]:
        _state[0] = time.monotonic() + _draw.uniform(0.02, 0.3)
        _state[1] = _draw.choice([-1, 1]) * _draw.uniform(1, 1e7)
    return _state[1]
time.time = lambda: _real() + _offset()
time.time_ns = lambda: _real_ns() + int(_offset() * 1e9)
'''


def clock(work: Work, start: Start) -> Case:
    """A wall clock that jumps all the time; with a kill on the way, so that it also jumps between two starts."""
    assert start.way != "warm", "the clock is replaced where an interpreter starts"
    began, output = time.monotonic(), work.new_output()
    case = Case("clock", start.name, "a wall clock that jumps")
    place = work.folder / "clocks" / output.name
    place.mkdir(parents=True)
    (place / "sitecustomize.py").write_text(_CLOCK.format(seed=work.draw.randrange(2**31)), encoding="utf-8")
    env = {"PYTHONPATH": os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH", "")]))}
    at = work.draw.randrange(4, LAST - 4)
    with work.begin(start, output, env=env) as running:
        running.wait_for(lambda: reached(output) >= at)
        running.kill()
    case.events.append({"event": "kill", **state_of(output)})
    work.finish(case, start, output, env=env)
    records = [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    results = json.loads((output / "results.json").read_text(encoding="utf-8"))
    durations = {key: value for one in [*records, results] for key, value in one.items() if "second" in key}
    wrong = {key: value for key, value in durations.items() if not 0 <= value < 1e6}
    case.faults += [f"{key} is {value}" for key, value in wrong.items()]
    return work.record(case, began)


# Others at the same things -----------------------------------------------------------------------------


def twins(work: Work, start: Start) -> Case:
    """A second run, and one with --fresh, at the folder of one that goes on."""
    began, output = time.monotonic(), work.new_output()
    case = Case("twins", start.name, "a second run in the same folder, also with --fresh")
    _, whole = work.reference(start)
    with work.begin(start, output) as first:
        first.wait_for(lambda: (output / "recipe.yaml").is_file())
        _until(first, work.draw.uniform(0, 0.2) * whole)
        with work.begin(start, output) as plain, work.begin(start, output, "--fresh") as fresh:
            seconds = [plain.wait(), fresh.wait()]
        for ended in seconds:
            event = {"event": "second", **state_of(output), "status": ended.status, "said": ended.err[-800:]}
            case.events.append(event)
            case.faults += _explained(start, ended, "belongs to another run: process ")
        ended = first.wait()
    if ended.status:
        case.faults.append(f"LOST: the first ended with {ended.status}: {ended.err.strip()[-500:]}")
    else:
        work.compare(case, start, output)
    if list(output.parent.glob(f"{output.name}.*")):
        case.faults.append("the first run's folder was renamed")
    return work.record(case, began)


def race(work: Work, start: Start) -> Case:
    """Two commands given at the same time for one folder: one of the two trains."""
    began, output = time.monotonic(), work.new_output()
    case = Case("twins", start.name, "two runs started at once")
    with work.begin(start, output) as one, work.begin(start, output) as other:
        ended = [one.wait(), other.wait()]
    case.events.append({"event": "both", "statuses": [end.status for end in ended]})
    good, bad = sorted(ended, key=lambda end: end.status)
    case.faults += [] if good.status == 0 else [f"LOST: both failed: {good.err[-500:]}"]
    if bad.status:  # else the second came when the first had ended, and found it finished
        case.faults += _explained(start, bad, "belongs to another run")
    if not good.status:
        work.compare(case, start, output)
    return work.record(case, began)


def data(work: Work, start: Start) -> Case:
    """A data file that was changed while the run was down."""
    began, output = time.monotonic(), work.new_output()
    case = Case("data", start.name, "a changed data file")
    file = work.folder / "reviews.csv"
    before = file.read_bytes()
    at = work.draw.randrange(4, LAST - 12)
    with work.begin(start, output) as running:
        running.wait_for(lambda: reached(output) >= at)
        running.kill()
    case.events.append({"event": "kill", **state_of(output)})
    lines = before.splitlines(keepends=True)
    row = work.draw.randrange(1, len(lines))
    try:
        file.write_bytes(b"".join([*lines[:row], lines[row].replace(b'"', '"新'.encode(), 1), *lines[row + 1 :]]))
        changed = work.run(start, output)
    finally:
        file.write_bytes(before)
    case.events.append({"event": "changed", "row": row, "status": changed.status, "said": changed.err[-800:]})
    case.faults += _explained(start, changed, "reviews.csv")
    work.finish(case, start, output)
    return work.record(case, began)


# -------------------------------------------------------------------------------------------------------


def _until(running: Running, instant: float) -> bool:
    """Wait until so many seconds after the start; False where the run has ended before."""
    while time.monotonic() - running.began < instant:
        if running.poll() is not None:
            return False
        time.sleep(0.005)
    return running.poll() is None
