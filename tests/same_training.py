"""A training of one process against that of two, and against itself after a stop."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import train, train_by
from run_results import interrupt, metrics, numbers, weights_of


def assert_two_processes_train_as_one(folder: Path, *overrides: str, rel: float = 1e-4) -> str:
    """By the recipe in `folder`, one process writes `one` and two write `two`, with like records.

    Returns what the one process printed.
    """
    one = train(folder, *overrides, "output=one")
    two = train_by(2, folder, *overrides, "output=two")
    assert one.returncode == 0, one.stderr
    assert two.returncode == 0, two.stderr
    for left, right in zip(metrics(folder / "one"), metrics(folder / "two"), strict=True):
        assert numbers(left) == pytest.approx(numbers(right), rel=rel)
    return one.stdout


def assert_goes_on_exactly(run: Path, *overrides: str, update: int) -> None:
    """The finished `run`, as if killed after its checkpoint at `update`, ends again with the same records and bits."""
    model = run / "model" / "model.safetensors"
    records, weights = metrics(run), weights_of(model)
    interrupt(run, update)
    again = train(run.parent, *overrides, f"output={run.name}")
    assert f"continues an unfinished run from update {update}," in again.stdout, again.stdout + again.stderr
    assert [*map(numbers, metrics(run))] == [*map(numbers, records)]
    assert weights_of(model) == weights
