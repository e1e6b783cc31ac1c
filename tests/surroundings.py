"""What the tests' processes find in their environment; imported before any library that reads it."""

from __future__ import annotations

import os
import sys
import tempfile

# Read when torch is imported: beside other programs, threads that spin as usual took 31 s of CPU for 3 s of work.
assert "torch" not in sys.modules, "something imported torch before the tests' environment was set"
os.environ["GOMP_SPINCOUNT"] = "1000"

# No test touches the user's caches or obeys the user's accelerate config, none reaches for a network, and no
# launcher's leftovers leak in.
PLACE = tempfile.mkdtemp(prefix="accel_cls_tests_")  # conftest takes it away in the end
os.environ["HF_HOME"] = os.path.join(PLACE, "hub")
os.environ["XDG_CACHE_HOME"] = os.path.join(PLACE, "cache")  # tokens; micro-batches that fit
os.environ["HF_HUB_OFFLINE"] = "1"
for _name in [name for name in os.environ if name.startswith(("ACCELERATE_", "FSDP_", "ACCEL_CLS_CACHE"))]:
    del os.environ[_name]
for _name in ("OMP_NUM_THREADS", "WORLD_SIZE", "RANK", "LOCAL_RANK"):
    os.environ.pop(_name, None)
