"""Snapshots that are held up while they are written, and whether tensors are the same."""

import itertools
import threading

import torch

from accel_cls.checkpoints.snapshot import Snapshot


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def held(monkeypatch, after=0):
    """Stops whoever writes a snapshot after so many pieces; returns what lets it go on."""
    may_read = threading.Event()
    read, count = Snapshot._read, itertools.count()
    monkeypatch.setattr(Snapshot, "_read", lambda *a: (next(count) < after or may_read.wait(30), read(*a))[1])
    return may_read
