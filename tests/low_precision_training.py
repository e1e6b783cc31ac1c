"""`accel_cls.train` in bf16 on a CPU with torch's own linear layers; their weights are cast together, or one by one.

`python -m tests.low_precision_training together|each RECIPE ...`
"""

from __future__ import annotations

import runpy
import sys

from accel_cls.devices import prepare
from accel_cls.training import static_updates

if __name__ == "__main__":
    how = sys.argv.pop(1)
    # On a CPU linear layers are of a class that keeps such copies by itself.
    prepare.use_fast_modules = lambda *_, **__: None
    if how == "each":
        static_updates.StaticUpdates._low_precision = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    runpy.run_module("accel_cls.train", run_name="__main__")
