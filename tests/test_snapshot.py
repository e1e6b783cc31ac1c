"""Snapshots of tensors: the files that they write, and what is copied where training does not wait."""

import hashlib
import threading
import time

import torch
from safetensors.torch import load_file, save_file
from snapshots import held, same

from accel_cls.checkpoints import snapshot
from accel_cls.checkpoints.snapshot import Snapshot
from accel_cls.checkpoints.tensors import tensor_places


def test_files_are_what_safetensors_writes(tmp_path):
    tensors = {
        "weights": torch.rand(5, 7),
        "transposed": torch.rand(5, 7).T,
        "step": torch.tensor(3.0),
        "none": torch.empty(0, 4),
        "half": torch.rand(3).half(),
        "bf16": torch.rand(3).bfloat16(),
        "double": torch.rand(3).double(),
        "counts": torch.arange(5),
        "small": torch.arange(3, dtype=torch.int32),
        "bytes": torch.arange(3, dtype=torch.uint8),
        "mask": torch.tensor([True, False]),
        "有空格 的名字": torch.ones(1),
    }
    digests = Snapshot({"a": tensors, "b": {}}).write(tmp_path)
    assert same(load_file(tmp_path / "a"), tensors)
    assert load_file(tmp_path / "b") == {}
    assert digests == {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in "ab"}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "c", {"format": "pt"})
    ours, theirs = (tensor_places(tmp_path / name)[0] for name in "ac")
    assert {name: (facts["dtype"], facts["shape"]) for name, facts in ours.items()} == {
        name: (facts["dtype"], facts["shape"]) for name, facts in theirs.items()
    }


def test_only_what_is_not_written_is_copied(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "_PIECE", 8)
    copied = []
    monkeypatch.setattr(snapshot, "_copy", lambda piece: copied.append(len(piece)) or piece.clone())
    may_read = held(monkeypatch, after=4)
    taken = Snapshot({"file": {"a": torch.rand(20)}})
    writer = threading.Thread(target=taken.write, args=(tmp_path,))
    writer.start()
    deadline = time.monotonic() + 10
    while sum(piece is not None for piece in taken._pieces) > 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    taken.let_change(room=None)
    assert copied == [8] * 6
    may_read.set()
    writer.join()
    assert taken._pieces == [None] * 10


def test_pieces_make_up_their_tensors(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "_PIECE", 8)
    tensors = {"a": torch.rand(7, 3), "b": torch.rand(4).double(), "c": torch.rand(3).bfloat16()}
    copied = Snapshot({"file": tensors})
    copied.let_change(room=None)
    then = {name: tensor.clone() for name, tensor in tensors.items()}
    for tensor in tensors.values():
        tensor.zero_()
    copied.write(tmp_path)
    assert same(load_file(tmp_path / "file"), then)
