"""The short mode: a few seeded faults of each kind. `python -m tests.faults` makes hundreds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from . import kinds
from .processes import Start
from .work import LAST, Case, Work, damaged, newest, outcome

ONE, TWO = Start("warm"), Start("warm", 2)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Data and a recipe of 48 updates, and what uninterrupted runs of it leave."""
    return Work(tmp_path_factory.mktemp("faults"), seed=3)


def survived(case: Case) -> None:
    assert case.verdict == "survived", case


@pytest.mark.parametrize("number", range(4))
def test_killed_run_ends_in_the_same_result(faulty: Work, number: int) -> None:
    survived(kinds.kill(faulty, ONE, aims=number == 3))


@pytest.mark.parametrize("aims", [False, True])
def test_killed_run_of_two_processes_ends_in_the_same_result(faulty: Work, aims: bool) -> None:
    survived(kinds.kill(faulty, TWO, aims, again=0))


def test_process_that_is_killed_takes_the_others_along(faulty: Work) -> None:
    case = kinds.rank(faulty, TWO, update=20)
    survived(case)
    assert "had ended" not in case.what, "the process was there when it was killed"


def test_second_run_in_a_folder_is_refused(faulty: Work) -> None:
    survived(kinds.twins(faulty, ONE))


def test_changed_data_file_is_refused_and_named(faulty: Work) -> None:
    survived(kinds.data(faulty, ONE))


@pytest.mark.parametrize("fault", [kinds.useless_disk, kinds.full_disk])
def test_disk_that_refuses_loses_nothing(faulty: Work, fault: Callable[[Work, Start], Case]) -> None:
    try:
        survived(fault(faulty, ONE))
    except PermissionError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("how", kinds.STOPS)
def test_stopped_run_ends_in_the_same_result(faulty: Work, how: str) -> None:
    case = kinds.stop(faulty, TWO if how == "SIGTERM" else ONE, how, "one", update=22)
    survived(case)
    if how != "SAVE":  # which is looked for once a second, longer than these updates take: test_stopping has it
        assert case.events[0]["status"] == kinds.STOPPED, "it was stopped before it came to its end"


def test_harness_sees_what_is_lost(faulty: Work) -> None:
    """A bit of the weights, a line of the log, a digit of a prediction, a damaged checkpoint."""
    faulty.reference(ONE)
    output = faulty.new_output()
    shutil.copytree(faulty.uninterrupted[ONE.name], output)
    with open(output / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"update": 48}\n')
    _damage(output / "predictions.csv")
    _damage(output / "checkpoints" / f"update-{LAST:06d}" / "model.safetensors")
    case = Case("kill", ONE.name, "nothing")
    faulty.compare(case, ONE, output)
    assert case.faults == ["DIFFERENT: last weights", "DIFFERENT: metrics", "DIFFERENT: predictions"]
    assert "update-000048 is damaged" in damaged(output)[0]
    (output / "results.json").unlink()
    assert newest(output) == LAST - 3
    assert outcome(output)["results"] == "none"


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
