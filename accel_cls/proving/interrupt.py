"""Train, kill -9 all processes at a random instant, and resume by the same command, as often as asked for."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from accel_cls.parity.comparison_runs import start_training, training_failed
from accel_cls.runs.folder import RunFolder

_POLL = 0.002  # seconds between two checks of how far a run is
_TAIL = 1 << 20  # bytes that hold the last line of a trace, however many examples an update has
_UPDATE = re.compile(rb'^\{"update": (\d+),', re.M)
_CONTINUES = re.compile(r"continues an unfinished run from update (\d+)")
_OVER = "this run is already finished"


@dataclass(frozen=True)
class Kill:
    """When to kill a run: so many seconds after it was seen to have finished an update."""

    update: int
    delay: float


@dataclass(frozen=True)
class Attempt:
    """One start of the training command, up to its end or its kill."""

    resumed_from: int | None  # the update of the checkpoint; 0 where there was none; None for the first start
    killed_at: int | None  # the last update that it was seen to have finished; None where it came to its end


def draw_kills(count: int, updates: int, seconds: float, seed: int) -> list[Kill]:
    """Instants over the whole of a training, one in each of `count` equal parts of it.

    The delay, up to two updates long, makes them fall anywhere in an update, an evaluation or a checkpoint.
    """
    draw = random.Random(seed)
    bounds = [1 + (updates - 1) * i // count for i in range(count + 1)]
    return [
        Kill(draw.randrange(low, max(low + 1, high)), draw.random() * 2 * seconds / updates)
        for low, high in itertools.pairwise(bounds)
    ]


def train_with_kills(
    name: str, commands: Sequence[list[str]], kills: Sequence[Kill], run: Path, threads: int
) -> list[Attempt]:
    """Run the commands one after the other, the last one as often as needed, until the training has ended by itself.

    Returns the attempts; `after_kill` is called between each two of them.

    Raises:
        UserError: where a training fails by itself, or does not go on.
    """
    attempts: list[Attempt] = []
    pending, reached = list(kills), 0
    while True:
        command = commands[min(len(attempts), len(commands) - 1)]
        log = run.with_name(f"{run.name}-{len(attempts) + 1}.log")
        launcher = start_training(command, log, threads)
        try:
            kill = pending.pop(0) if pending else None
            was_killed = kill is not None and _kill_at(launcher, kill, RunFolder(run), reached)
        except BaseException:  # Ctrl-C, above all: nothing of this stays behind
            kill_process_tree(launcher)
            raise
        status = launcher.wait()
        if status and not was_killed:
            raise training_failed(name, log)
        resumed = _resumed_from(log, reached) if attempts else None
        reached = max(reached, last_update(RunFolder(run).trace))
        attempts.append(Attempt(resumed, reached if was_killed else None))
        if not was_killed:
            return attempts
        after_kill(run)


def after_kill(run: Path) -> None:
    """Called when all processes of a training have been ended, before it goes on. Here tests inject faults."""


def last_update(trace: Path) -> int:
    """The last update that a training has written into its trace."""
    path = trace / "process-0.jsonl"
    with suppress(OSError), open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        found = _UPDATE.findall(file.read())
        return int(found[-1]) if found else 0
    return 0


def kill_process_tree(launcher: subprocess.Popen[bytes]) -> None:
    """kill -9 all processes of a run, workers before the launcher, which would report their end."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(launcher.pid)
        family = process.children(recursive=True)
        for member in [*reversed(family), process]:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family)
    launcher.wait()


def _kill_at(launcher: subprocess.Popen[bytes], kill: Kill, run: RunFolder, reached: int) -> bool:
    """Wait for the instant and kill; False where the training has come to its end before."""
    # What was reached before is in the trace until the run has gone on: only what is beyond it is new.
    target = max(kill.update, reached + 1)
    while launcher.poll() is None:
        if last_update(run.trace) >= target:
            time.sleep(kill.delay)
            if launcher.poll() is None and not run.is_finished:
                kill_process_tree(launcher)
                return True
            return False
        time.sleep(_POLL)
    return False


def _resumed_from(log: Path, reached: int) -> int:
    text = log.read_text(encoding="utf-8", errors="replace")
    found = _CONTINUES.search(text)
    if found is None and _OVER in text:  # killed when all was done but to say so
        return reached
    return int(found[1]) if found else 0
