"""What processes agree on before they start, who is named where they differ, and what ends them if one is missing."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from conftest import command, free_port, train, write_reviews

from accel_cls.errors import ToldElsewhere, UserError
from accel_cls.hardware.launcher import DistributedEnv
from accel_cls.hardware.rendezvous import Rendezvous, compare_by_gather, lost_process_explained, mismatches
from accel_cls.train import main

HOST = socket.gethostname()


# What differs ------------------------------------------------------------------------------------------


def told(*values: str, hosts: dict[int, str] | None = None) -> str:
    hosts = hosts or {process: f"node{process // 8}" for process in range(len(values))}
    lines, _ = mismatches([{"torch": value} for value in values], hosts)
    return "\n".join(lines)


def test_the_odd_one_is_named_by_majority() -> None:
    assert told("2", "2", "2", "2") == ""
    assert told("2", "2", "2", "1") == "  process 3 on node0 has torch 1, all others 2"
    assert told("1", "2", "2", "2") == "  process 0 on node0 has torch 1, all others 2"
    assert told("2", "1") == "  process 1 on node0 has torch 1, process 0 on node0 2"
    assert told(*"2" * 8, *"1" * 8) == "  processes 8–15 on node1 have torch 1, all others 2"
    assert told("1", "2", "3", "2") == "  process 0 on node0 has torch 1; process 2 on node0 has torch 3, all others 2"
    odd = told(*"2" * 7, "1", "1", "2", "1", "1", *"2" * 5)
    assert odd == "  processes 7 on node0, 8, 10–11 on node1 have torch 1, all others 2"


def test_what_one_of_them_lacks_is_a_difference() -> None:
    lines, odd = mismatches([{"a": "1"}, {"a": "1"}, {}], {0: "n", 1: "n", 2: "m"})
    assert lines == ["  process 2 on m has a not set, all others 1"]
    assert odd == [2]


# The rendezvous, of threads that stand for processes -------------------------------------------------------


def meet(
    monkeypatch: pytest.MonkeyPatch, processes: int, act: Callable[[Rendezvous], None], absent: tuple[int, ...] = ()
) -> dict[int, Exception]:
    """Let processes 0, 1 on node0 and 2, 3 on node1 act in one rendezvous that waits 1 s; what each of them raises."""
    monkeypatch.setattr(
        "accel_cls.hardware.rendezvous._host", lambda: f"node{int(threading.current_thread().name) // 2}"
    )
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    raised: dict[int, Exception] = {}

    def one(process: int) -> None:
        store = dist.TCPStore("127.0.0.1", server.port, is_master=False, wait_for_workers=False)
        rendezvous = Rendezvous(store, DistributedEnv(process, processes, "127.0.0.1", server.port), seconds=1)
        try:
            with rendezvous.announcing_failure():
                act(rendezvous)
        except Exception as error:
            raised[process] = error

    threads = [threading.Thread(target=one, args=(p,), name=str(p)) for p in range(processes) if p not in absent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return raised


def test_those_who_agree_go_on_and_know_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    met = []

    def act(rendezvous: Rendezvous) -> None:
        rendezvous.require_same("start", {"a": "1"}, "")
        rendezvous.require_same("data", {"a": "2"}, "")
        met.append(rendezvous)

    assert meet(monkeypatch, 4, act) == {}
    assert [rendezvous.describe() for rendezvous in met if rendezvous.rank == 0] == [
        "processes 0–1 on node0, 2–3 on node1"
    ]


def test_only_process_0_and_the_odd_one_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = meet(
        monkeypatch, 4, lambda rendezvous: rendezvous.require_same("start", {"a": str(rendezvous.rank == 2)}, "Do it.")
    )
    text = "the processes of this run are not alike:\n  process 2 on node1 has a True, all others False\nDo it."
    assert [str(raised[process]) for process in range(4)] == [text] * 4
    assert [type(raised[process]) for process in range(4)] == [UserError, ToldElsewhere, UserError, ToldElsewhere]


def test_collective_operation_that_finds_a_process_gone_says_so() -> None:
    with pytest.raises(UserError, match="another process of this run has ended"), lost_process_explained():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:31205")
    with pytest.raises(RuntimeError, match="shapes"), lost_process_explained():
        raise RuntimeError("the shapes do not match")


@pytest.mark.parametrize(
    ("absent", "words"),
    [
        ((1, 3), "waited 1 s: 2 of 4 processes have not come: 1, 3; here: processes 0 on node0, 2 on node1.\nStart"),
        ((0,), "waited 1 s: 1 of 4 processes has not come: 0; here: processes 1 on node0, 2–3 on node1.\nStart"),
    ],
)
def test_those_who_wait_know_who_is_missing(
    monkeypatch: pytest.MonkeyPatch, absent: tuple[int, ...], words: str
) -> None:
    raised = meet(monkeypatch, 4, lambda rendezvous: rendezvous.require_same("start", {}, ""), absent)
    here = [process for process in range(4) if process not in absent]
    assert sorted(raised) == here
    assert all(str(error).startswith(words) for error in raised.values())
    assert [type(raised[process]) for process in here] == [UserError] + [ToldElsewhere] * (len(here) - 1)


def test_one_that_stops_is_told_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(rendezvous: Rendezvous) -> None:
        rendezvous.require_same("start", {}, "")
        if rendezvous.rank == 3:
            raise RuntimeError("no room")
        rendezvous.require_same("data", {}, "")

    raised = meet(monkeypatch, 4, act)
    assert [type(raised[process]) for process in range(4)] == [UserError, ToldElsewhere, ToldElsewhere, RuntimeError]
    assert str(raised[0]) == "process 3 on node1 stopped: RuntimeError: no room"


def test_a_mistake_that_all_make_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(rendezvous: Rendezvous) -> None:
        if rendezvous.rank:
            rendezvous.require_same("start", {}, "")  # to let process 0 be first
        raise UserError("wrong")

    raised = meet(monkeypatch, 3, act)
    assert type(raised[0]) is UserError
    assert [type(raised[process]) for process in (1, 2)] == [ToldElsewhere] * 2


def test_two_that_call_themselves_the_same_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(rendezvous: Rendezvous) -> None:
        rendezvous.rank = min(rendezvous.rank, 1)
        monkeypatch.setattr("os.getpid", lambda: threading.current_thread().name)
        rendezvous.require_same("start", {}, "")

    raised = meet(monkeypatch, 3, act)
    assert str(raised[0]).startswith("process 1 has come twice, from node")
    assert "--node-rank" in str(raised[0])


def test_a_meeting_point_that_closes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    store = dist.TCPStore("127.0.0.1", server.port, is_master=False, wait_for_workers=False)
    rendezvous = Rendezvous(store, DistributedEnv(1, 2, "127.0.0.1", server.port), seconds=20)
    del server
    with pytest.raises(
        UserError, match=r"the meeting point 127\.0\.0\.1 port \d+ has closed: process 0 or its launcher"
    ):
        rendezvous.require_same("start", {}, "")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ToldElsewhere):
        Rendezvous(store, DistributedEnv(1, 2, "", 0), seconds=20).require_same("start", {}, "")


def test_a_recipe_that_is_wrong_on_one_machine_only_is_told_to_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    env = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(server.port)}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("accel_cls.train._PATIENCE", 0)
    assert main(["nowhere.yaml"]) == 2
    assert "[process 1] nowhere.yaml" in capsys.readouterr().err
    first = Rendezvous(
        dist.PrefixStore("accel_cls/0", server), DistributedEnv(0, 2, "127.0.0.1", server.port), seconds=20
    )
    with pytest.raises(UserError, match=rf"process 1 on {re.escape(HOST)} stopped: nowhere\.yaml"):
        first.require_same("start", {}, "")


def test_processes_without_a_store_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    def accelerator(other: int) -> Any:
        return SimpleNamespace(device="cpu", gather=lambda mine: torch.cat([mine, mine + other]))

    compare_by_gather(accelerator(0), "data", {"a": "1"}, "")
    with pytest.raises(UserError, match=r"process 1 has other data than process 0\nDo it\."):
        compare_by_gather(accelerator(1), "data", {"a": "1"}, "Do it.")


# Real processes that can't agree -----------------------------------------------------------------------

ODD = """\
import os, sys
arguments = sys.argv[1:]
if os.environ["RANK"] == "1":
    arguments += os.environ["ODD"].split()
    if "ODD_VERSION" in os.environ:
        import importlib.metadata as metadata
        real = metadata.version
        metadata.version = lambda name: os.environ["ODD_VERSION"] if name == "tokenizers" else real(name)
        import accel_cls.runs.versions
        metadata.version = real
from accel_cls.train import main
sys.exit(main(arguments))
"""


def odd_one(folder: Path, processes: int, extra: str, *arguments: str, **env: str) -> str:
    """Train with processes of which the second has these extra arguments; what they print when they refuse."""
    (folder / "odd.py").write_text(ODD, encoding="utf-8")
    launcher = ("torchrun", "--nproc_per_node", str(processes), "--master_port", str(free_port()))
    done = command(*launcher, "odd.py", "recipe.yaml", *arguments, cwd=folder, env={**env, "ODD": extra})
    assert done.returncode != 0
    assert done.stderr.count("exitcode  : 2") >= 1, done.stderr
    assert "Error: " not in done.stderr.replace("ChildFailedError: ", ""), done.stderr
    return done.stderr


def test_odd_version_and_recipe_are_named(work: Path) -> None:
    said = odd_one(work, 3, "train.learning_rate=1e-4 output=elsewhere", ODD_VERSION="0.1")
    assert "the processes of this run are not alike:\n" in said
    assert f"  process 1 on {HOST} has tokenizers 0.1, all others 0." in said
    assert f"  process 1 on {HOST} has train.learning_rate 0.0001, all others 0.01\nInstall the same versions" in said
    assert "output" not in said
    assert not (work / "run").exists()


def test_odd_data_file_is_named(work: Path) -> None:
    write_reviews(work / "other.csv", count=239)
    said = odd_one(work, 2, "data.train=other.csv")
    assert f"  process 1 on {HOST} has training examples 191, process 0 on {HOST} 192\n" in said
    assert "data digest" in said
    assert "Give all machines the same data files" in said
    assert not (work / "run").exists()


def test_one_that_fails_ends_the_others_at_once(work: Path) -> None:
    said = odd_one(work, 2, "data.train=nowhere.csv")
    assert f"\nprocess 1 on {HOST} stopped: {work}/nowhere.csv: there is no such data file" in said


def test_processes_that_never_come_are_named(work: Path) -> None:
    env = {"WORLD_SIZE": "4", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    waited = train(work, "--join-timeout", "1", env=env)
    assert waited.returncode == 2
    assert f"\nwaited 1 s: 3 of 4 processes have not come: 1–3; here: process 0 on {HOST}.\n" in waited.stderr
    assert f"see that they reach 127.0.0.1 port {env['MASTER_PORT']}; or wait longer" in waited.stderr
    assert "Traceback" not in waited.stderr


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK, MASTER_ADDR, MASTER_PORT are not set"),
        ({"WORLD_SIZE": "two"}, "the environment variable WORLD_SIZE is 'two'; expected a whole number, 1 or more"),
        (
            {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            "RANK is 2; expected a number below",
        ),
    ],
)
def test_environment_that_makes_no_sense_is_refused_at_once(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, env: dict[str, str], words: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("accel_cls.train._PATIENCE", 0)
    assert main([str(work / "recipe.yaml")]) == 2
    assert words in capsys.readouterr().err
