"""`accel_cls.train` that may take no more than so many bytes above what it has when it begins; for CPUs, on Linux.

python -m tools.gpu_check.children.limited BYTES RECIPE [key=value ...]
"""

from __future__ import annotations

import resource
import runpy
import sys
import threading

import psutil

import accel_cls.evaluation.metrics.scores
import accel_cls.training.run  # noqa: F401 (what is imported does not count)

if __name__ == "__main__":
    threading.stack_size(2**20)  # else a thread reserves 8 MB, which once were not there
    more = int(sys.argv.pop(1))
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + more, -1))
    runpy.run_module("accel_cls.train", run_name="__main__")
