"""One run folder has one owner, for as long as that owner lives."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from accel_cls.errors import UserError
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.lock import LOCK_NAME, RunLock

# Owns a folder, says so, and does what its argument says.
OWNER = """
import os, subprocess, sys, time
from pathlib import Path
from accel_cls.runs.lock import RunLock
lock = RunLock(Path("food"))
lock.acquire([])
if sys.argv[1] == "fork":
    reader, writer = os.pipe()
    if os.fork() == 0:  # which closes its copy of the lock before anything else
        os.write(writer, b"!")
        time.sleep(60)
    os.read(reader, 1)
if sys.argv[1] == "exec":
    subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
print("owns", flush=True)
time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """Another process that owns the folder `food`."""
    monkeypatch.chdir(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, request.param], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "owns\n"
    yield process
    with suppress(ProcessLookupError):  # it is gone already, and had no children
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("owner", ["alone"], indirect=True)
def test_second_is_refused_and_told_who_owns(owner: subprocess.Popen) -> None:
    with pytest.raises(UserError) as caught:
        RunLock(Path("food")).acquire([])
    text = str(caught.value)
    assert (
        f"food belongs to another run: process {owner.pid} on {socket.gethostname()}, this machine, since 20" in text
    )
    assert f"(kill {owner.pid})" in text
    assert "output=…" in text


@pytest.mark.parametrize("owner", ["alone", "fork", "exec"], indirect=True)
def test_lock_ends_with_its_owner_and_not_with_its_children(owner: subprocess.Popen) -> None:
    owner.kill()
    owner.wait()
    assert Path("food", LOCK_NAME).is_file(), "what a killed owner leaves"
    lock, notes = RunLock(Path("food")), []
    lock.acquire(notes)
    assert notes == []
    assert json.loads(Path("food", LOCK_NAME).read_text())["process"] == os.getpid()
    lock.close()


@pytest.mark.parametrize("owner", ["alone"], indirect=True)
def test_run_that_is_going_on_is_not_renamed(owner: subprocess.Popen, work: Path) -> None:
    from accel_cls.recipe import load_recipe
    from accel_cls.runs.changes import RunSpec
    from accel_cls.runs.resume import lock_and_open_run

    with pytest.raises(UserError, match="belongs to another run"):
        lock_and_open_run(RunFolder("food"), RunSpec(load_recipe(work / "recipe.yaml"), "d", 9), True, [])
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["food", "recipe.yaml", "reviews.csv"]


def test_nothing_of_it_stays(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "food")
    folder.lock.acquire([])
    assert folder.is_empty
    folder.lock.acquire([])
    folder.lock.close()
    folder.lock.close()
    assert list(folder.path.iterdir()) == []


def test_renamed_folder_goes_without_the_lock_and_the_new_one_has_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "food")
    folder.lock.acquire([])
    folder.recipe.write_text("x")
    aside = folder.set_aside()
    assert [path.name for path in aside.iterdir()] == ["recipe.yaml"]
    assert [path.name for path in folder.path.iterdir()] == [LOCK_NAME]
    with pytest.raises(UserError, match="belongs to another run"):
        RunLock(folder.path).acquire([])
    RunLock(aside).acquire([])
    folder.lock.close()


def test_lock_of_a_file_that_was_deleted_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking, the owner may end and take the file with it, and a third may begin."""
    import accel_cls.runs.lock as module

    lock = module._lock
    third = RunLock(tmp_path)
    late = iter([True])

    def lock_late(descriptor: int) -> None:
        if next(late, False):
            (tmp_path / LOCK_NAME).unlink()
            third.acquire([])
        lock(descriptor)

    monkeypatch.setattr(module, "_lock", lock_late)
    with pytest.raises(UserError, match="belongs to another run"):
        RunLock(tmp_path).acquire([])
    third.close()


def test_disk_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    import accel_cls.runs.lock as module

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module, "_lock", refuse)
    notes: list[str] = []
    RunLock(tmp_path).acquire(notes)
    assert "knows no locks (No locks available)" in notes[0]
