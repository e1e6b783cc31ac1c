"""Results as they are kept: a JSON file each, beside it each judged row's true and predicted class."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from accel_cls.atomic import write_json
from benchmarks.quality.jobs import Job

_ANY = "any"  # in place of the seed, where all seeds give the same


@dataclass(frozen=True)
class Result:
    """What a contestant reached with one seed."""

    path: Path  # of the JSON file

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the JSON file says."""
        return json.loads(self.path.read_text(encoding="utf-8"))

    @property
    def machine(self) -> str:
        """The kind of machine that it was measured on."""
        on, beside = self.facts["machine"], f", {self.at_once} at a time" if self.at_once > 1 else ""
        return (
            f"{on['processor']}, {on['cores']} core{'' if on['cores'] == 1 else 's'} "
            f"({', '.join(on['flags']) or 'no AVX2'}), {on['memory_bytes'] / 2**30:.0f} GiB"
            f"{', ' + on['gpu'] if on['gpu'] else ''}{beside}"
        )

    @property
    def precision(self) -> str | None:
        """What it was trained in, where that is known and accel_cls did; older ones say it of the machine."""
        return self.facts.get("precision") or self.facts["machine"].get("precision")

    @property
    def at_once(self) -> int:
        """How many jobs were done at a time: from two on, its seconds are not those of a user."""
        return self.facts["machine"].get("at_once", 1)

    @cached_property
    def are_right(self) -> np.ndarray:
        """Whether each judged row was answered right, bool [rows]."""
        with np.load(self.path.with_suffix(".npz")) as kept:
            return kept["true"] == kept["predicted"]


@dataclass(frozen=True)
class Kept:
    """A folder of results: SET/ENCODER/CONTESTANT-SEED.json."""

    folder: Path

    def has(self, job: Job) -> bool:
        """Whether a job's result is there."""
        return self._path(job, job.contestant.name).is_file()

    def add(self, job: Job, name: str, facts: dict[str, Any], true: np.ndarray, predicted: np.ndarray) -> None:
        """Keep a result; the JSON file, which says that it is there, comes last.

        Args:
            job: that gave it.
            name: of the contestant; a job may have several.
            facts: what the JSON file is to say besides.
            true: class ids of the judged rows, int64.
            predicted: likewise.
        """
        path = self._path(job, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        small = np.min_scalar_type(int(max(true.max(), predicted.max())))
        np.savez_compressed(path.with_suffix(".npz"), true=true.astype(small), predicted=predicted.astype(small))
        which = {"set": job.data.name, "encoder": job.encoder.name, "contestant": name, "seed": job.seed}
        write_json(path, which | facts)

    def results(self) -> Iterator[Result]:
        """All that is there, in the order of their names."""
        return map(Result, sorted(self.folder.glob("*/*/*.json")))

    def _path(self, job: Job, name: str) -> Path:
        seed = _ANY if job.seed is None else job.seed
        return self.folder / job.data.name / job.encoder.name / f"{name}-{seed}.json"
