"""Jobs of the gauges, one after the other or several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks import machine
from benchmarks.processes import Failed, OutOfTime
from benchmarks.quality.command import Limits, Once, Skipped, do_all
from benchmarks.workshop import Workshop


@dataclass(frozen=True)
class _Job:
    title: str
    error: Exception | None = None


def _do(jobs: list[_Job], work: Callable[[Workshop], None] = lambda shop: None, **limits: Any) -> int:
    def doer(shop: Workshop, on: dict[str, Any]) -> Callable[[_Job], dict[str, Any]]:
        assert on["at_once"] == limits.get("at_once", 1)

        def do(job: _Job) -> dict[str, Any]:
            work(shop)
            if job.error is not None:
                raise job.error
            return {"title": job.title}

        return do

    return do_all(jobs, "test", doer, lambda facts: facts["title"].upper(), Limits(**limits))


def test_several_at_a_time_share_the_cores(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(machine, "describe", lambda: {"gpu": None, "cores": 7})
    meet = threading.Barrier(3, timeout=60)  # broken unless three are done at a time
    seen = set()

    def work(shop: Workshop) -> None:
        meet.wait()
        seen.add((shop.threads, shop.another("job")))

    assert _do([_Job(str(k)) for k in range(6)], work, at_once=3) == 0
    assert len(seen) == 6  # folders
    assert {threads for threads, _ in seen} == {2}
    assert len(capsys.readouterr().out.splitlines()) == 6


@pytest.mark.parametrize(("asked", "launched"), [(None, "no"), ("bf16", "bf16"), ("fp32", "no")])
@pytest.mark.parametrize("told", [None, "bf16"])
def test_the_precision_that_is_asked_for_is_launched_before_the_one_that_is_told(
    told: str | None, asked: str | None, launched: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "describe", lambda: {"gpu": None, "cores": 2})
    seen = []

    def work(shop: Workshop) -> None:
        seen.append((shop.launch(told), shop.precision_of(told)))

    assert _do([_Job("a")], work, precision=asked) == 0
    [(command, kept)] = seen
    if asked is None and told is not None:
        launched = told
    assert command[command.index("--mixed_precision") + 1] == launched
    assert kept == {"no": "fp32", "bf16": "bf16"}[launched]


def test_what_goes_wrong_is_told_and_stops_nothing(capsys: pytest.CaptureFixture) -> None:
    errors = [Failed("it broke\nat the end"), Skipped("no such thing"), OutOfTime("over"), None]
    assert _do([_Job(str(k), error) for k, error in enumerate(errors)], seconds=100) == 1
    lines = [line.split("  ", 1)[-1].strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "1 of 4: 0 failed: it broke",
        "at the end",
        "2 of 4: 1 skipped: no such thing",
        "3 of 4: 2 is left: the time is over",
        "4 of 4: 3: 3",
    ]


def test_after_the_time_no_command_is_begun(capsys: pytest.CaptureFixture) -> None:
    assert _do([_Job("late")], lambda shop: shop.run(["true"]) and None, seconds=-1) == 0
    assert "late is left" in capsys.readouterr().out


def test_something_is_made_once_for_all_who_ask() -> None:
    once, made, both_ask = Once(), [], threading.Barrier(2, timeout=60)

    def make() -> int:
        made.append(1)
        return len(made)

    def ask(_: int) -> int:
        both_ask.wait()
        return once.get("a", make)

    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(ask, range(2))] == [1, 1]
    assert once.get("b", make) == 2

    def fail() -> int:
        raise Failed("no")

    for _ in range(2):
        with pytest.raises(Failed):
            once.get("c", fail)
