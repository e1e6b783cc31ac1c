"""Before torch is imported: no network, and no garbage collection while libraries are, or among them."""

import os
import subprocess
import sys

_SCRIPT = """
import atexit, gc
from accel_cls.startup import no_garbage_collection

class Looked:
    def __init__(self): self.me = self
    def __del__(self): print("collected")

def runs(): return sum(generation["collections"] for generation in gc.get_stats())

atexit.register(lambda: print("at exit", gc.get_freeze_count() > 100_000))  # runs after what was registered later
before = runs()
with no_garbage_collection():
    kept = [[i] for i in range(100_000)]
    print("runs", runs() - before)
print("frozen", gc.get_freeze_count() >= 100_000, "enabled", gc.isenabled())
later = [[i] for i in range(1_000)]
Looked()
gc.collect()
try:
    with no_garbage_collection():
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


_OFFLINE = """
import os, sys
from accel_cls.startup import heavy_imports, stay_offline

assert "torch" not in sys.modules
for names_hub in (True, False):
    os.environ.pop("HF_HUB_OFFLINE", None)
    with heavy_imports(names_hub) as notes:
        print(os.environ.get("HF_HUB_OFFLINE"), notes)
os.environ["HF_HUB_OFFLINE"] = "0"
stay_offline(names_hub=False)
print(os.environ["HF_HUB_OFFLINE"], "is the user's")
"""


def test_only_a_hub_id_opens_the_network():
    env = {**os.environ, "GOMP_SPINCOUNT": "1000"}
    done = subprocess.run([sys.executable, "-c", _OFFLINE], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.splitlines() == ["None []", "1 []", "0 is the user's"]
