"""Checkpoints written while training goes on: what they hold, and what happens when they can't be written."""

import dataclasses
import errno
import json
import subprocess
import sys
import threading
import time

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from accel_cls import saving
from accel_cls.checkpoint import Progress, find_fault, load_checkpoint
from accel_cls.console import Console
from accel_cls.errors import UserError
from accel_cls.fitting.room import Room
from accel_cls.saving import Saver


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


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def saver_of(accelerator, folder, keep=9, progress=None):
    return Saver(accelerator, folder, keep, Console(speaks=True), progress or Progress())


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


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, accelerator, monkeypatch):
    """What is written is what was there when it was asked for."""
    may_write = threading.Event()
    write = saving._write_tensors
    monkeypatch.setattr(saving, "_write_tensors", lambda *a: (may_write.wait(30), write(*a)))
    model, optimizer = tiny(accelerator)
    one_step(model, optimizer)
    then = weights(model)
    progress = Progress(update=1)
    saver = saver_of(accelerator, tmp_path, progress=progress)
    saver.save(model, optimizer)
    one_step(model, optimizer)
    progress.update = 2
    assert not (tmp_path / "update-000001").exists()
    may_write.set()
    saver.finish()
    assert not same(weights(model), then)
    assert load_checkpoint(accelerator, model, optimizer, tmp_path / "update-000001").update == 1
    assert same(weights(model), then)


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
    write = saving._write_tensors
    monkeypatch.setattr(saving, "_write_tensors", lambda *a: (time.sleep(0.2), write(*a)))
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
    monkeypatch.setattr(saving, "_write_tensors", lambda *_: (_ for _ in ()).throw(OSError("full")))
    save(saver, model, optimizer, update=3)
    saver.wait()
    assert saver.progress.saves == 5


def test_where_memory_is_short_training_waits(tmp_path, accelerator, monkeypatch):
    monkeypatch.setattr(saving, "room_of", lambda *_: Room("the CPU", 10, 10))
    model, optimizer = tiny(accelerator)
    one_step(model, optimizer)
    saver = saver_of(accelerator, tmp_path)
    save(saver, model, optimizer, update=1)
    assert find_fault(tmp_path / "update-000001") is None


def test_full_disk_leaves_the_checkpoint_before_and_training_goes_on(tmp_path, accelerator, monkeypatch, capsys):
    model, optimizer = tiny(accelerator)
    one_step(model, optimizer)
    saver = saver_of(accelerator, tmp_path, keep=1)
    save(saver, model, optimizer, update=1)
    saver.finish()

    def full(tensors, path):
        path.write_bytes(b"the beginning")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(saving, "save_file", full)
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
    write = saving.save_file
    monkeypatch.setattr(saving, "save_file", lambda tensors, path: write({k: v + 1 for k, v in tensors.items()}, path))
    model, optimizer = tiny(accelerator)
    saver = saver_of(accelerator, tmp_path)
    save(saver, model, optimizer, update=1)
    with pytest.raises(UserError, match="is not what was written"):
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

    monkeypatch.setattr(saving, "_write_tensors", broken)
    model, optimizer = tiny(accelerator)
    saver = saver_of(accelerator, tmp_path)
    save(saver, model, optimizer, update=1)
    with pytest.raises(KeyError, match="a defect"):
        saver.wait()


_PEAK = """
import resource, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from accel_cls.saving import _first_difference
path, tensors = Path(sys.argv[1]), {"a": torch.ones(3), "b": torch.rand(100_000_000)}
save_file(tensors, path)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert _first_difference(path, tensors) is None
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
tensors["b"][-1] += 1
assert _first_difference(path, tensors) == "b"
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in kB on Linux")
def test_a_checkpoint_is_read_back_without_its_size_in_memory(tmp_path):
    command = [sys.executable, "-c", _PEAK, str(tmp_path / "file.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000  # kB; the file has 400 MB
