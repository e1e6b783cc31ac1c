"""`accel_cls.train` whose updates may take no more than so many bytes above what the process has; for CPUs, on Linux.

python -m tools.gpu_check.children.limited BYTES RECIPE [key=value ...]

The limit stands from the search for what fits to the end of training. What reads the data before and judges the model
after starts threads, and one that finds no address space for its stack would end the process.
"""

from __future__ import annotations

import dataclasses
import resource
import runpy
import sys

import psutil

from accel_cls.data.corpus import Corpus
from accel_cls.memory.search import Search
from accel_cls.runs.folder import RunFolder
from accel_cls.training import build, run
from accel_cls.training.fit import Fitted, Session


def _limit_updates(more: int) -> None:
    find, finish = build.find_micro_batch_tokens, run.finish

    def find_within_limit(search: Search, notes: list[str]) -> int:
        resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + more, -1))
        return find(dataclasses.replace(search, available=search.setup.available()), notes)

    def finish_without_limit(session: Session, corpus: Corpus, folder: RunFolder, fitted: Fitted) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
        finish(session, corpus, folder, fitted)

    build.find_micro_batch_tokens, run.finish = find_within_limit, finish_without_limit


if __name__ == "__main__":
    _limit_updates(int(sys.argv.pop(1)))
    runpy.run_module("accel_cls.train", run_name="__main__")
