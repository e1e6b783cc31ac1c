"""Running out of memory in training: it is recognized, explained, and the next start cuts finer."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import write_recipe

from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.errors import UserError
from accel_cls.memory import errors
from accel_cls.memory.available import DeviceMemory
from accel_cls.memory.errors import is_out_of_memory
from accel_cls.memory.remembered import remembered_tokens
from accel_cls.memory.sizes import MicroBatchSizes
from accel_cls.recipe import load_recipe
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.out_of_memory import OutOfMemory, read_out_of_memory
from accel_cls.training.out_of_memory import explain_out_of_memory

# Recognizing it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), True),
        (RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Attempting to allocate 1.2G"), True),
        (MemoryError(), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("out of memory."), False),
    ],
)
def test_out_of_memory_is_recognized(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory


@pytest.mark.parametrize(("free", "is_memory"), [(10 * 2**20, True), (2**30, False)])
def test_kernel_that_can_not_be_made_is_for_want_of_memory_where_little_is_free(monkeypatch, free, is_memory) -> None:
    monkeypatch.setattr(errors, "available_memory", lambda *_: DeviceMemory("the CPU", 2**34, free))
    assert is_out_of_memory(RuntimeError("could not create a primitive")) is is_memory


# Telling the user, and the next start -----------------------------------------------------------------


@pytest.fixture
def explain(tmp_path: Path, monkeypatch):
    """Run out of memory in a training of 64 texts of 32 tokens, 32 an update, and tell what the user is told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "run").mkdir()

    def explained(
        tokens: int,
        processes: int = 1,
        precision: str = "no",
        strategy: str = "NO",
        is_training: bool = True,
        update: int = 1,
        key: str | None = None,
    ) -> str:
        write_recipe(tmp_path)
        recipe = load_recipe(tmp_path / "recipe.yaml", [f"train.micro_batch_tokens={tokens}"])
        accelerator = SimpleNamespace(
            device=torch.device("cpu"),
            distributed_type=SimpleNamespace(value=strategy),
            num_processes=processes,
            process_index=0,
            mixed_precision=precision,
        )
        lengths = np.full(64, 32)
        t = SimpleNamespace(
            recipe=recipe,
            plan=Plan.of(recipe, lengths),
            accelerator=accelerator,
            artifacts=SimpleNamespace(folder=RunFolder(tmp_path / "run")),
            model=SimpleNamespace(training=is_training),
        )
        error, progress = torch.OutOfMemoryError("CUDA out of memory."), Progress(update=update)
        told = explain_out_of_memory(t, progress, MicroBatchSizes.of(recipe, lengths), key, error)
        assert isinstance(told, UserError)
        return str(told)

    return explained


def noted(tmp_path: Path) -> OutOfMemory | None:
    return read_out_of_memory(RunFolder(tmp_path / "run"))


def test_after_running_out_of_memory_the_next_start_cuts_finer(explain, tmp_path: Path) -> None:
    told = explain(tokens=512)
    assert "out of memory in update 2 of 4; the largest micro-batch of it here: 16 × 32 tokens" in told
    assert "With train.micro_batch_tokens=384, or train.micro_batch_tokens=auto, the same command goes on" in told
    assert noted(tmp_path) == OutOfMemory("in update 2", 512, 384)
    assert "the same command goes on from the newest checkpoint with 384" in explain(tokens=512, key="k")
    assert remembered_tokens("k", []) == 384


def test_a_smaller_size_is_smaller_than_what_a_process_had(explain, tmp_path: Path) -> None:
    # Of an update of 32 × 32 = 1,024 tokens each of 4 processes has 256, whatever the recipe allows.
    assert "the largest micro-batch of it here: 8 × 32 tokens" in explain(tokens=4096, processes=4)
    assert noted(tmp_path) == OutOfMemory("in update 2", 4096, 192)
    explain(tokens=4096, processes=4, is_training=False)  # where a micro-batch may have them all
    assert noted(tmp_path) == OutOfMemory("in the evaluation after update 1", 4096, 1024)


def test_after_the_last_update_there_is_no_next_one(explain) -> None:
    told = explain(tokens=512, update=4)
    assert "out of memory after the last update of 4.\n" in told


def test_what_keeps_the_next_start_from_knowing_is_told(explain, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "note    what fits can't be remembered for the next run: " in explain(tokens=512, key="k")
    assert noted(tmp_path) is not None
    shutil.rmtree(tmp_path / "run")
    told = explain(tokens=512)
    assert "note    the next start can't be told of it: [Errno 2] No such file or directory" in told
    assert told.endswith("Start over with train.micro_batch_tokens=384 --fresh")


def test_only_what_is_not_there_yet_is_advised(explain) -> None:
    plain = explain(tokens=32)
    assert "no smaller micro-batch is possible. Try a smaller data.max_length (now 32), a smaller model" in plain
    assert "mixed_precision: bf16" in plain
    assert "hardware=fsdp" in plain
    assert "bf16" not in explain(tokens=32, precision="bf16")
    assert "hardware=fsdp" not in explain(tokens=32, processes=2, strategy="FSDP")


def test_other_errors_are_not_explained() -> None:
    error = RuntimeError("mat1 and mat2")
    assert explain_out_of_memory(SimpleNamespace(), Progress(), SimpleNamespace(), None, error) is None


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"[]", b'{"tokens": 1}', b'{"where": "in update 1", "tokens": "x", "smaller": null}']
)
def test_damaged_note_is_told(tmp_path: Path, content: bytes) -> None:
    folder = RunFolder(tmp_path)
    assert read_out_of_memory(folder) is None
    folder.out_of_memory.write_bytes(content)
    with pytest.raises(UserError, match=r"out_of_memory\.json is damaged .* Delete it"):
        read_out_of_memory(folder)
