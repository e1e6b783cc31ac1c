"""Checkpoints written while training goes on: what they hold, and what happens when they can't be written."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
import threading
import time

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from snapshots import held, same

from accel_cls.checkpoints import saving, snapshot
from accel_cls.checkpoints.checkpoint import Progress, find_fault, load_checkpoint
from accel_cls.checkpoints.saving import Saver
from accel_cls.checkpoints.snapshot import Snapshot
from accel_cls.console import Console
from accel_cls.errors import UserError
from accel_cls.memory.available import DeviceMemory


class Tied(torch.nn.Module):
    """Two layers with one weight, as an encoder's embeddings and its head may have."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 3)
        self.second = torch.nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


@pytest.fixture(scope="module")
def accelerator():
    yield Accelerator(cpu=True)
    AcceleratorState._reset_state(reset_partial_state=True)


def tiny(accelerator, seed=0, fused=True):
    accelerator.free_memory()
    torch.manual_seed(seed)
    model = Tied()
    return accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=fused))


def one_step(model, optimizer):
    model(torch.ones(4, 3)).pow(2).sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def moments_of(optimizer):
    state = optimizer.state_dict()["state"]
    return {f"{at} {what}": value.clone() for at, values in state.items() for what, value in values.items()}


def saver_of(accelerator, folder, keep=9, progress=None):
    return Saver(accelerator, folder, keep, Console(), progress or Progress())


def save(saver, model, optimizer, **counters):
    for name, value in counters.items():
        setattr(saver.progress, name, value)
    saver.save(model, optimizer)


@pytest.mark.parametrize("fused", [True, False])
def test_what_is_saved_goes_on_as_if_nothing_had_been(tmp_path, accelerator, fused):
    model, optimizer = tiny(accelerator, fused=fused)
    one_step(model, optimizer)
    progress = Progress(7, 5, 1.5, 0.25, 5, 2, [0.5, 0.1])
    saved_progress = dataclasses.replace(progress, saves=1)
    saver = saver_of(accelerator, tmp_path, progress=progress)
    saver.save(model, optimizer)
    saver.finish()
    saved = tmp_path / "update-000007"
    assert list(tmp_path.iterdir()) == [saved]
    assert {path.name for path in saved.iterdir()} == {
        "model.safetensors",
        "optimizer.safetensors",
        "progress.json",
        "manifest.json",
    }
    assert find_fault(saved) is None
    one_step(model, optimizer)
    after = weights(model)

    model, optimizer = tiny(accelerator, seed=1, fused=fused)
    assert load_checkpoint(accelerator, model, optimizer, saved) == saved_progress
    one_step(model, optimizer)
    assert same(weights(model), after)


@pytest.mark.parametrize("after", [0, 3, 9])
def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, accelerator, monkeypatch, after):
    """What is written is what was there when it was asked for, however much was written when that changed."""
    may_read = held(monkeypatch, after)
    model, optimizer = tiny(accelerator)
    one_step(model, optimizer)
    then, moments = weights(model), moments_of(optimizer)
    progress = Progress(update=1)
    saver = saver_of(accelerator, tmp_path, progress=progress)
    saver.save(model, optimizer)
    one_step(model, optimizer)
    progress.update = 2
    one_step(model, optimizer)
    assert not (tmp_path / "update-000001").exists()
    may_read.set()
    saver.finish()
    assert not same(weights(model), then)
    assert load_checkpoint(accelerator, model, optimizer, tmp_path / "update-000001").update == 1
    assert same(weights(model), then)
    assert same(moments_of(optimizer), moments)


def test_what_a_forward_pass_changes_is_saved_as_it_was(tmp_path, accelerator, monkeypatch):
    accelerator.free_memory()
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), fused=True))
    one_step(model, optimizer)
    then = weights(model)
    may_read = held(monkeypatch)
    saver = saver_of(accelerator, tmp_path)
    save(saver, model, optimizer, update=1)
    model(torch.ones(4, 3))
    assert not same(weights(model), then)
    may_read.set()
    saver.finish()
    assert same(load_file(tmp_path / "update-000001" / "model.safetensors"), then)


def test_second_checkpoint_has_its_own_weights(tmp_path, accelerator):
    model, optimizer = tiny(accelerator)
    saver = saver_of(accelerator, tmp_path, keep=1)
    for update in (1, 2):
        one_step(model, optimizer)
        save(saver, model, optimizer, update=update)
    saver.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["update-000002"]
    then = weights(model)
    one_step(model, optimizer)
    load_checkpoint(accelerator, model, optimizer, tmp_path / "update-000002")
    assert same(weights(model), then)


def test_saves_are_counted_and_timed_over_all_resumptions(tmp_path, accelerator, monkeypatch):
    """While training stands still, in copying and in waiting for the save before, is a part of what a save takes."""
    write = Snapshot.write
    monkeypatch.setattr(Snapshot, "write", lambda *a: (time.sleep(0.2), write(*a))[1])
    model, optimizer = tiny(accelerator)
    one_step(model, optimizer)
    saver = saver_of(accelerator, tmp_path, progress=Progress(saves=3, save_seconds=1.0, stall_seconds=0.5))
    save(saver, model, optimizer, update=1)
    save(saver, model, optimizer, update=2)
    saver.finish()
    assert saver.progress.saves == 5
    assert saver.progress.save_seconds > 1.4
    assert 0.5 < saver.progress.stall_seconds < saver.progress.save_seconds
    assert load_checkpoint(accelerator, model, optimizer, tmp_path / "update-000002").saves == 5
    monkeypatch.setattr(Snapshot, "write", lambda *_: (_ for _ in ()).throw(OSError("full")))
    save(saver, model, optimizer, update=3)
    saver.wait()
    assert saver.progress.saves == 5


def no_memory(_):
    raise MemoryError


@pytest.mark.parametrize("short", ["too little is free", "none is given"])
def test_where_memory_is_short_training_waits(tmp_path, accelerator, monkeypatch, short):
    if short == "too little is free":
        monkeypatch.setattr(saving, "available_memory", lambda *_: DeviceMemory("the CPU", 10, 10))
    else:
        monkeypatch.setattr(snapshot, "_copy", no_memory)
    model, optimizer = tiny(accelerator)
    one_step(model, optimizer)
    then = weights(model)
    may_read = held(monkeypatch, after=2)
    saver = saver_of(accelerator, tmp_path)
    save(saver, model, optimizer, update=1)
    threading.Timer(0.3, may_read.set).start()
    one_step(model, optimizer)
    assert may_read.is_set()
    assert not same(weights(model), then)
    assert saver.progress.stall_seconds > 0.2
    saver.finish()
    load_checkpoint(accelerator, model, optimizer, tmp_path / "update-000001")
    assert same(weights(model), then)


def test_memory_is_shared_with_the_processes_of_this_machine_only(tmp_path, accelerator, monkeypatch):
    asked = []
    monkeypatch.setattr(
        saving, "available_memory", lambda _, processes: asked.append(processes) or DeviceMemory("the CPU", 10, 10)
    )
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(type(accelerator), "num_processes", 16)
    model, optimizer = tiny(accelerator)
    one_step(model, optimizer)
    saver = saver_of(accelerator, tmp_path)
    save(saver, model, optimizer, update=1)
    one_step(model, optimizer)
    saver.finish()
    assert asked == [2]


def test_training_does_not_wait_for_a_checkpoint_that_has_failed(tmp_path, accelerator, monkeypatch):
    monkeypatch.setattr(saving, "available_memory", lambda *_: DeviceMemory("the CPU", 10, 10))
    model, optimizer = tiny(accelerator)
    (tmp_path / "in the way").write_text("no folder")
    saver = saver_of(accelerator, tmp_path / "in the way")
    save(saver, model, optimizer, update=1)
    one_step(model, optimizer)
    with pytest.raises(UserError, match="Not a directory"):
        saver.finish()


def test_full_disk_leaves_the_checkpoint_before_and_training_goes_on(tmp_path, accelerator, monkeypatch, capsys):
    model, optimizer = tiny(accelerator)
    one_step(model, optimizer)
    saver = saver_of(accelerator, tmp_path, keep=1)
    save(saver, model, optimizer, update=1)
    saver.finish()

    def full(_, folder):
        (folder / "model.safetensors").write_bytes(b"the beginning")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "write", full)
        save(saver, model, optimizer, update=2)
        saver.wait()
        assert [path.name for path in tmp_path.iterdir()] == ["update-000001"]
        assert find_fault(tmp_path / "update-000001") is None
        said = capsys.readouterr().out
        assert "checkpoint of update 2 could not be saved" in said
        assert "No space left on device" in said
        with pytest.raises(UserError, match="make room, and the same command goes on"):
            saver.finish()
    save(saver, model, optimizer, update=3)
    saver.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["update-000003"]


def test_disk_that_does_not_keep_what_it_is_given_is_found_out(tmp_path, accelerator, monkeypatch):
    write = Snapshot.write

    def forgetful(self, folder):
        digests = write(self, folder)
        with open(folder / "optimizer.safetensors", "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"?")
        return digests

    monkeypatch.setattr(Snapshot, "write", forgetful)
    model, optimizer = tiny(accelerator)
    saver = saver_of(accelerator, tmp_path)
    save(saver, model, optimizer, update=1)
    with pytest.raises(UserError, match=r"optimizer.safetensors does not hold what was written to it"):
        saver.finish()
    assert not list(tmp_path.iterdir())


def test_log_that_can_not_be_written_comes_before_a_checkpoint(tmp_path, accelerator):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    model, optimizer = tiny(accelerator)
    saver = saver_of(accelerator, tmp_path)
    saver.save(model, optimizer, full)
    with pytest.raises(UserError, match="No space left"):
        saver.finish()
    assert not list(tmp_path.iterdir())


def test_saving_an_update_again_replaces_it_and_sweeps_what_was_left(tmp_path, accelerator):
    model, optimizer = tiny(accelerator)
    left = tmp_path / ".update-000003.partial"
    left.mkdir()
    (left / "left.txt").write_text("x")
    saver = saver_of(accelerator, tmp_path)
    save(saver, model, optimizer, update=3, best_update=1)
    save(saver, model, optimizer, update=3, best_update=2)
    saver.finish()
    saved = tmp_path / "update-000003"
    assert list(tmp_path.iterdir()) == [saved]
    assert not (saved / "left.txt").exists()
    assert json.loads((saved / "progress.json").read_text())["best_update"] == 2
    assert find_fault(saved) is None


def test_error_that_is_no_disk_s_is_not_swallowed(tmp_path, accelerator, monkeypatch):
    def broken(*_):
        raise KeyError("a defect")

    monkeypatch.setattr(Snapshot, "write", broken)
    model, optimizer = tiny(accelerator)
    saver = saver_of(accelerator, tmp_path)
    save(saver, model, optimizer, update=1)
    with pytest.raises(KeyError, match="a defect"):
        saver.wait()


_PEAK = """
import resource, sys
from pathlib import Path
import torch
from accelerate import Accelerator
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.console import Console
from accel_cls.checkpoints.saving import Saver
accelerator = Accelerator(cpu=True)
model = torch.nn.Linear(10_000, 4_000)
model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), fused=True))
model(torch.ones(1, 10_000)).sum().backward()
optimizer.step()
optimizer.zero_grad()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
saver = Saver(accelerator, Path(sys.argv[1]), 1, Console(), Progress(update=1))
saver.save(model, optimizer)
saver.finish()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in kB on Linux")
def test_a_checkpoint_is_written_and_verified_without_its_size_in_memory(tmp_path):
    command = [sys.executable, "-c", _PEAK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000  # kB; the checkpoint has 480 MB
