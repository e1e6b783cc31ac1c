"""A long run that evaluates and saves all the time: what it takes must not grow."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from .processes import Running, Start
from .work import Case, Work, damaged, reached


def soak(work: Work, start: Start, minutes: float, say: Callable[[str], None] = lambda _: None) -> Case:
    """A run that evaluates and saves all the time: what it takes must not grow."""
    began, output = time.monotonic(), work.new_output()
    case = Case("soak", start.name, f"{minutes:g} minutes of evaluations and checkpoints")
    samples: list[dict[str, float]] = []
    every = min(10.0, minutes * 60 / 20)
    with work.begin(start, output, "train.epochs=100000", "evaluate.every=3", "checkpoint.every=2") as running:
        running.wait_for(lambda: reached(output) >= 20)
        while time.monotonic() - began < minutes * 60 and running.poll() is None:
            samples += [_sample(running, output, time.monotonic() - began)]
            say(json.dumps(samples[-1]))
            time.sleep(every)
        is_there = running.poll() is None
        running.kill()
    case.faults += [] if is_there else [f"LOST: it ended by itself: {running.ended().err[-500:]}"]
    later = samples[len(samples) // 3 :]
    summary = {name: _trend(later, name) for name in later[0] if name != "seconds"} if later else {}
    case.events += [{"event": "summary", **summary}, *({"event": "sample", **one} for one in samples)]
    for name, most in (("rss MB", 30.0), ("open files", 1.0), ("threads", 1.0), ("files", 20.0)):
        if summary and summary[name]["slope per hour"] > most and minutes >= 5:
            case.faults.append(f"{name} grows by {summary[name]['slope per hour']} an hour")
    case.faults += damaged(output)
    return work.record(case, began)


def _sample(running: Running, output: Path, seconds: float) -> dict[str, float]:
    found = {"seconds": round(seconds, 1), "update": float(reached(output))}
    for name in ("rss MB", "open files", "threads"):
        found[name] = 0.0
    for pid in running.ranks().values():
        process = psutil.Process(pid)
        # Not what is its own only: of the libraries that it shares, more is its own when other programs end.
        found["rss MB"] += round(process.memory_info().rss / 1e6, 2)
        found["open files"] += process.num_fds()
        found["threads"] += process.num_threads()
    sizes = []
    for place, _, names in os.walk(output):  # which passes over folders that have just been deleted
        for name in names:
            with suppress(FileNotFoundError):  # likewise
                sizes.append(os.stat(os.path.join(place, name)).st_size)
    return {**found, "files": float(len(sizes)), "folder MB": round(sum(sizes) / 1e6, 3)}


def _trend(samples: list[dict[str, float]], name: str) -> dict[str, float]:
    """The slope of a line through the samples, and the largest of them."""
    times, values = [one["seconds"] / 3600 for one in samples], [one[name] for one in samples]
    middle = sum(times) / len(times)
    spread = sum((t - middle) ** 2 for t in times)
    slope = sum((t - middle) * value for t, value in zip(times, values, strict=True)) / spread if spread else 0.0
    return {"slope per hour": round(slope, 2), "most": max(values), "last": values[-1]}
