"""Checkpoints: weights, optimizer and counters, saved whole, verified before they are used."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType

from accel_cls.errors import UserError
from accel_cls.run_folder import flush_folder, write_json

_MANIFEST = "manifest.json"


@dataclass
class Progress:
    """The counters of a training: all of its state that is not weights or optimizer."""

    update: int = 0  # updates finished
    seconds: float = 0.0  # spent in the loop so far, over all its resumptions
    best_score: float | None = None
    best_update: int = 0
    evaluations_since_best: int = 0
    skipped: int = 0  # updates left out, since their loss or gradient was no finite number
    scaler_skips: int = 0  # updates that the fp16 scaler left out, to try again with a smaller scale
    skips_in_a_row: int = 0  # of both kinds, up to now

    @property
    def steps(self) -> int:
        """Updates that have changed the weights: by these goes the learning rate."""
        return self.update - self.skipped - self.scaler_skips


def save_checkpoint(accelerator: Accelerator, folder: Path, progress: Progress) -> Path:
    """Save a checkpoint as `folder/update-NNNNNN`. Called by all processes, since sharded weights need all."""
    final = checkpoint_path(folder, progress.update)
    beside = folder / f".{final.name}.partial"
    if accelerator.is_main_process:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
    accelerator.wait_for_everyone()
    # On XLA load_state can't read what save_state writes as safetensors (accelerate 1.15).
    is_xla = accelerator.distributed_type == DistributedType.XLA
    accelerator.save_state(str(beside), safe_serialization=not is_xla)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        # Random numbers follow from their position: a saved generator state would only tie the
        # checkpoint to the number of processes.
        for path in beside.glob("random_states_*.pkl"):
            path.unlink()
        write_json(beside / "progress.json", asdict(progress))
        files = {str(path.relative_to(beside)): _facts(path) for path in sorted(beside.rglob("*")) if path.is_file()}
        manifest = {"update": progress.update, "layout": _layout(accelerator), "files": files}
        write_json(beside / _MANIFEST, manifest)
        flush_folder(beside)
        if final.exists():  # saved before the run was interrupted, and now again after it went on
            shutil.rmtree(final)
        beside.rename(final)
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        _leave_no_trace(beside, accelerator.process_index)
    return final


def _leave_no_trace(beside: Path, process: int) -> None:
    """Where the disk is not shared, drop what save_state has left on this process's own: its generator state.

    Only this file and empty folders: a network disk may still show the folder that has just been renamed.
    """
    (beside / f"random_states_{process}.pkl").unlink(missing_ok=True)
    for folder in (beside, beside.parent, beside.parent.parent):
        with suppress(OSError):
            folder.rmdir()


def load_checkpoint(accelerator: Accelerator, checkpoint: Path) -> Progress:
    """Restore weights and optimizer into what the accelerator has prepared; returns the counters.

    Raises:
        UserError: where the checkpoint was saved by another way of dividing the weights.
    """
    saved = json.loads((checkpoint / _MANIFEST).read_text(encoding="utf-8"))["layout"]
    if saved != _layout(accelerator):
        raise UserError(
            f"{checkpoint}: saved with {saved}, but this run has {_layout(accelerator)}. Continue on hardware of the "
            "first kind, or start over with --fresh"
        )
    accelerator.load_state(str(checkpoint))
    return Progress(**json.loads((checkpoint / "progress.json").read_text(encoding="utf-8")))


def manifest_digest(checkpoint: Path | None) -> str:
    """Tells whether all processes see the same checkpoint.

    Raises:
        UserError: where this process sees none.
    """
    if checkpoint is None:
        return "none"
    try:
        return hashlib.sha256((checkpoint / _MANIFEST).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise UserError(
            f"there is no checkpoint {checkpoint} ({error.strerror}), from which process 0 continues this run. To "
            "continue a run on several machines, `output` has to be on a disk that all of them share; --fresh starts "
            "over"
        ) from error


def _layout(accelerator: Accelerator) -> str:
    """How a checkpoint's files divide the weights; the number of processes matters to DeepSpeed alone."""
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        return f"DeepSpeed on {accelerator.num_processes} processes"
    if accelerator.distributed_type == DistributedType.FSDP:
        return "FSDP"
    return "XLA" if accelerator.distributed_type == DistributedType.XLA else "whole weights"


def checkpoint_path(folder: Path, update: int) -> Path:
    """Where the checkpoint taken after so many updates lies."""
    return folder / f"update-{update:06d}"


def update_of(checkpoint: Path) -> int:
    """How many updates were finished when a checkpoint was taken."""
    return int(checkpoint.name.removeprefix("update-"))


def list_checkpoints(folder: Path) -> list[Path]:
    """All checkpoints, the newest first; half-written ones have other names."""
    found = [path for path in folder.glob("update-*") if path.name.removeprefix("update-").isdecimal()]
    return sorted(found, key=update_of, reverse=True)


def newest_checkpoint(folder: Path, notes: list[str]) -> Path | None:
    """The newest checkpoint that verifies; a note says why any newer one was skipped."""
    for checkpoint in list_checkpoints(folder):
        fault = find_fault(checkpoint)
        if fault is None:
            return checkpoint
        notes.append(f"skipped the checkpoint {checkpoint.name}: {fault}")
    return None


def find_fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint's files by its manifest; None where nothing is."""
    try:
        files = json.loads((checkpoint / _MANIFEST).read_text(encoding="utf-8"))["files"]
        expected = {str(name): (int(facts["bytes"]), str(facts["sha256"])) for name, facts in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its manifest can't be read ({type(error).__name__}: {error})"
    for name, (size, digest) in expected.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes instead of {size}"
        if _facts(path)["sha256"] != digest:
            return f"{name} has another checksum than when it was written"
    return None


def prune_checkpoints(folder: Path, keep: int, best_update: int) -> None:
    """Delete all checkpoints but the newest `keep` and the best one's."""
    for checkpoint in list_checkpoints(folder)[keep:]:
        if update_of(checkpoint) != best_update:
            shutil.rmtree(checkpoint)


def _facts(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
