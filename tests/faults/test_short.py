"""The short mode: a few seeded faults of each kind. `python -m tests.faults` makes hundreds."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import kinds
from .processes import Start
from .work import LAST, Case, Work, newest, outcome

ONE, TWO = Start("warm"), Start("warm", 2)
# Signals, and the word on a process that is gone, belong to what ends a run with notice.
ends_with_notice = pytest.mark.xfail(reason="a run can't be stopped with notice yet", strict=False)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Data and a recipe of 48 updates, and what uninterrupted runs of it leave."""
    return Work(tmp_path_factory.mktemp("faults"), seed=3)


def survived(case: Case) -> None:
    assert case.verdict == "survived", case


@pytest.mark.parametrize("aims", [False, False, False, True])
def test_killed_run_ends_in_the_same_result(faulty: Work, aims: bool) -> None:
    survived(kinds.kill(faulty, ONE, aims))


@pytest.mark.parametrize("aims", [False, True])
def test_killed_run_of_two_processes_ends_in_the_same_result(faulty: Work, aims: bool) -> None:
    survived(kinds.kill(faulty, TWO, aims, again=0))


@ends_with_notice
def test_process_that_is_killed_takes_the_others_along(faulty: Work) -> None:
    survived(kinds.rank(faulty, TWO, update=20))


@pytest.mark.parametrize("fresh", [False, True])
def test_second_run_in_a_folder_is_refused(faulty: Work, fresh: bool) -> None:
    survived(kinds.twins(faulty, ONE, fresh))


def test_changed_data_file_is_refused_and_named(faulty: Work) -> None:
    survived(kinds.data(faulty, ONE))


def test_disk_that_takes_nothing_is_told(faulty: Work) -> None:
    try:
        survived(kinds.read_only_disk(faulty, ONE))
    except PermissionError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("when", ["start", "middle"])
def test_full_disk_loses_nothing(faulty: Work, when: str) -> None:
    try:
        survived(kinds.full_disk(faulty, ONE, when))
    except PermissionError as error:
        pytest.skip(str(error))


@ends_with_notice
@pytest.mark.parametrize("how", kinds.STOPS)
def test_stopped_run_ends_in_the_same_result(faulty: Work, how: str) -> None:
    survived(kinds.stop(faulty, TWO if how == "SIGTERM" else ONE, how, "one", update=22))


def test_harness_sees_what_is_lost(faulty: Work) -> None:
    """Runs that differ in a single draw do not pass for one another."""
    output = faulty.new_output()
    assert faulty.run(ONE, output, "seed=43").status == 0
    case = Case("kill", ONE.name, "nothing")
    faulty.compare(case, ONE, output)
    assert [fault for fault in case.faults if "weights" in fault or "metrics" in fault]
    checkpoint = output / "checkpoints" / f"update-{LAST:06d}" / "model.safetensors"
    _damage(checkpoint)
    (output / "results.json").unlink()
    assert newest(output) == LAST - 3
    assert outcome(output)["results"] == "none"


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
