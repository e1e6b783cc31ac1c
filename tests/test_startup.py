"""Before torch is imported: no network, and no garbage collection while libraries are, or among them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

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
from accel_cls.hub import go_offline_unless, why_offline
from accel_cls.startup import heavy_imports

assert "torch" not in sys.modules
for names_hub in (True, False):
    os.environ.pop("HF_HUB_OFFLINE", None)
    os.environ["HF_ENDPOINT"] = "http://127.0.0.1:" + sys.argv[1]
    with heavy_imports(names_hub) as notes:
        print(os.environ.get("HF_HUB_OFFLINE"), notes, why_offline())
os.environ["HF_HUB_OFFLINE"] = "0"
go_offline_unless(names_hub=False)
print(os.environ["HF_HUB_OFFLINE"], "is the user's")
"""


def test_only_a_hub_id_opens_the_network():
    env = {**os.environ, "GOMP_SPINCOUNT": "1000"}
    env |= {"no_proxy": "127.0.0.1"}
    with socket.create_server(("127.0.0.1", 0)) as hub:
        port = str(hub.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-c", _OFFLINE, port], capture_output=True, text=True, check=True, env=env
        )
    assert done.stdout.splitlines() == ["None [] ", "1 [] ", "0 is the user's"]
    # Nobody listens there any more.
    done = subprocess.run([sys.executable, "-c", _OFFLINE, port], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.splitlines()[0] == "1 [] 127.0.0.1 does not answer"


def test_hub_id_without_a_network_is_told_at_once(tmp_path: Path) -> None:
    """The hub's own client would try for 54 s, and print a dozen lines about it."""
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"words {i},{'ab'[i % 2]}\n" for i in range(20)))
    (tmp_path / "r.yaml").write_text("name: a\noutput: o\ndata: {train: a.csv}\nmodel: {name: org/model}\n")
    env = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"}
    del env["HF_HUB_OFFLINE"]
    done = subprocess.run(
        [sys.executable, "-m", "accel_cls", "plan", "r.yaml"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "model.name: the tokenizer of the hub id (no such folder exists) 'org/model' can't be loaded: 127.0.0.1 does "
        "not answer, and it is not in the cache of this machine. See to that, or give a folder with the model\n"
    )
