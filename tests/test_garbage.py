"""Garbage collection: not while libraries are imported, not among them, and as always after that."""

import subprocess
import sys

_SCRIPT = """
import atexit, gc
from accel_cls.startup import nothing_collected

class Looked:
    def __init__(self): self.me = self
    def __del__(self): print("collected")

def runs(): return sum(generation["collections"] for generation in gc.get_stats())

atexit.register(lambda: print("at exit", gc.get_freeze_count() > 100_000))  # runs after what was registered later
before = runs()
with nothing_collected():
    kept = [[i] for i in range(100_000)]
    print("runs", runs() - before)
print("frozen", gc.get_freeze_count() >= 100_000, "enabled", gc.isenabled())
later = [[i] for i in range(1_000)]
Looked()
gc.collect()
try:
    with nothing_collected():
        raise KeyError
except KeyError:
    print("enabled", gc.isenabled())
"""


def test_nothing_is_collected_in_the_block_and_everything_after_it():
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == [
        "runs 0",
        "frozen True enabled True",
        "collected",
        "enabled True",
        "at exit True",
        "",
    ]
