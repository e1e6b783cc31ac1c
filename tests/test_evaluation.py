"""Exactly once: every row of the validation data is evaluated once, whatever the number of processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import judge
import numpy as np
import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from conftest import ROOT, command

from accel_cls.batching.layout import Layout, share
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.training.evaluation import _score


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    yield Accelerator(cpu=True)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("size", judge.SIZES)
@pytest.mark.parametrize(("fixed_tokens", "packed"), [(None, False), (judge.TOKENS, False), (None, True)])
def test_one_process_judges_each_row_once_in_order(
    accelerator, size: int, fixed_tokens: int | None, packed: bool
) -> None:
    predictions = judge.judge(accelerator, judge.batches_of(size, fixed_tokens), packed)
    assert predictions.logits.tolist() == judge.expected(size)
    assert predictions.labels.tolist() == [i % judge.CLASSES for i in range(size)]


def test_several_processes_judge_each_row_once_in_order(tmp_path: Path) -> None:
    """Also fewer rows than processes, and shares of which the last micro-batch is empty: all processes get it all."""
    processes = 3
    script = str(ROOT / "tests" / "judge.py")
    done = command("torchrun", "--nproc_per_node", str(processes), script, str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for process in range(processes):
        found = json.loads((tmp_path / f"process-{process}.json").read_text())
        assert found == {f"{size} {packed}": judge.expected(size) for size in judge.SIZES for packed in (False, True)}
    # The sizes are what they are meant to be: some leave a process nothing in the end, some nothing at all.
    empty = []
    for size in judge.SIZES:
        lengths = judge.batches_of(size).encoded.lengths
        parts = Layout(judge.TOKENS, judge.LONGEST).to_micro_batches(np.arange(size), lengths)
        empty.append([not share(parts, process, processes)[-1][1].examples for process in range(processes)])
    assert any(any(row) for row in empty)
    assert any(not any(row) for row in empty)
    assert min(judge.SIZES) < processes


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda parts: [*parts, parts[0]], "61 rows came back for 60 examples"),
        (lambda parts: parts[:-1], "not exactly once"),
        (lambda parts: [*parts[:-1], parts[0]], "not exactly once"),
    ],
)
def test_row_that_is_doubled_or_lost_is_an_error(accelerator, monkeypatch, wrong, told: str) -> None:
    whole = Layout.to_micro_batches

    def one_row_each(*arguments: object, **options: object) -> list:
        parts = whole(*arguments, **options)  # type: ignore[arg-type]
        return wrong([type(part)((i,), part.width) for part in parts for i in part.examples])

    monkeypatch.setattr(Layout, "to_micro_batches", one_row_each)
    with pytest.raises(RuntimeError, match=told):
        judge.judge(accelerator, judge.batches_of(60))


class FakeArtifacts(SimpleNamespace):
    """Scores that a test has decided; what is logged."""

    def score(self, _: object) -> dict[str, float]:
        return self.scores.pop(0)


def test_evaluation_that_is_no_number_is_told_and_never_the_best(accelerator) -> None:
    logged: list[dict] = []
    notes: list[str] = []
    found = [{"loss": value} for value in (np.nan, 0.5, np.nan, -np.inf, 0.4)]
    artifacts = FakeArtifacts(best_by="loss", min_gain=0.0, scores=found, log=logged.append)
    console = SimpleNamespace(evaluation=lambda *_: None, note=notes.append)
    progress, plan, best = Progress(), SimpleNamespace(updates_per_epoch=1), []
    t = SimpleNamespace(accelerator=accelerator, plan=plan, artifacts=artifacts, console=console)
    for _ in range(5):
        progress.update += 1
        best.append(_score(t, None, progress))
    assert best == [False, True, False, False, True]
    assert [record["best"] for record in logged] == best
    assert (progress.best_score, progress.best_update, progress.evaluations_since_best) == (0.4, 5, 0)
    assert [note.partition(",")[0] for note in notes] == ["loss is nan", "loss is nan", "loss is -inf"]


def test_small_gains_are_kept_and_end_patience_until_they_add_up(accelerator) -> None:
    found = [{"accuracy": value} for value in (0.5, 0.504, 0.508, 0.512, 0.511)]
    artifacts = FakeArtifacts(best_by="accuracy", min_gain=0.01, scores=found, log=lambda _: None)
    console = SimpleNamespace(evaluation=lambda *_: None, note=lambda _: None)
    progress, plan, best, waited = Progress(), SimpleNamespace(updates_per_epoch=1), [], []
    t = SimpleNamespace(accelerator=accelerator, plan=plan, artifacts=artifacts, console=console)
    for _ in range(5):
        progress.update += 1
        best.append(_score(t, None, progress))
        waited.append(progress.evaluations_since_best)
    assert best == [True, True, True, True, False]
    assert waited == [0, 1, 2, 0, 1]
    assert (progress.best_score, progress.best_update, progress.gain_score) == (0.512, 4, 0.512)
