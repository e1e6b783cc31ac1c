"""Checkpoints: weights, optimizer and counters, saved whole, verified before they are used."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors.torch import load_file

from accel_cls.atomic import flush_folder, replace_folder, write_json
from accel_cls.checkpoints.tensors import load_model_tensors, load_optimizer_tensors
from accel_cls.devices.prepare import has_whole_weights
from accel_cls.errors import UserError

SCALER = "scaler.json"  # what fp16's gradient scaler has found
AVERAGE = "average.safetensors"  # weights that are averaged over updates
_MANIFEST = "manifest.json"
_OLD = ".old"  # ends the name of a checkpoint whose place another one of the same update takes


@dataclass
class Progress:
    """The counters of a training: all of its state that is not weights or optimizer."""

    update: int = 0  # updates finished
    evaluated: int = 0  # the last of them after which one was evaluated; -1 where the start is to be, and is not yet
    seconds: float = 0.0  # spent in the loop so far, over all its resumptions
    best_score: float | None = None
    best_update: int = 0
    gain_score: float | None = None  # the last one that was better than such a one by evaluate.min_gain
    evaluations_since_best: int = 0  # since that one
    window: list[float] = field(default_factory=list)  # losses of the updates that no line of the log has yet
    window_end: list[float | None] = field(default_factory=list)  # rate, and gradient's norm, of the last of them
    skipped: int = 0  # updates left out, since their loss or gradient was no finite number
    scaler_skips: int = 0  # updates that the fp16 scaler left out, to try again with a smaller scale
    skips_in_a_row: int = 0  # of both kinds, up to now
    saves: int = 0  # checkpoints written, those deleted since included
    save_seconds: float = 0.0  # from beginning each to its place on the disk; in a checkpoint, up to the one before
    stall_seconds: float = 0.0  # of these, in which training stood still

    @property
    def steps(self) -> int:
        """Updates that have changed the weights: by these goes the learning rate."""
        return self.update - self.skipped - self.scaler_skips


def seal(folder: Path, update: int, layout: str, digests: Mapping[str, str]) -> None:
    """Have a checkpoint's files on the disk, and write their manifest from what is read there.

    Args:
        digests: by file, the SHA-256 that it has to have, where that is known.

    Raises:
        OSError: where a file has another.
    """
    flush_folder(folder)
    files = {str(path.relative_to(folder)): _facts(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    for name, digest in digests.items():
        if files[name]["sha256"] != digest:
            raise OSError(f"{folder / name} does not hold what was written to it; this disk can't be trusted")
    write_json(folder / _MANIFEST, {"update": update, "layout": layout, "files": files})


def put_in_place(beside: Path) -> None:
    """Give a sealed checkpoint its name. One of the same update stays, under another name, until that is done."""
    final = beside.with_name(beside.name.removeprefix(".").removesuffix(".partial"))
    replace_folder(beside, final, final.with_name(f"{final.name}{_OLD}"))


def load_checkpoint(
    accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Path
) -> Progress:
    """Restore weights and optimizer into what the accelerator has prepared; returns the counters.

    Raises:
        UserError: where the checkpoint was saved by another way of dividing the weights.
    """
    saved = json.loads((checkpoint / _MANIFEST).read_text(encoding="utf-8"))["layout"]
    here = layout_of(accelerator)
    if saved != here:
        raise UserError(
            f"{checkpoint}: saved with {saved}, but this run has {here}. Continue on hardware of the first kind, or "
            "start over with --fresh"
        )
    if has_whole_weights(accelerator):
        inner = accelerator.unwrap_model(model)
        load_model_tensors(inner, load_file(checkpoint / "model.safetensors"))
        load_optimizer_tensors(inner, optimizer, load_file(checkpoint / "optimizer.safetensors"))
        if accelerator.scaler is not None and (checkpoint / SCALER).is_file():
            accelerator.scaler.load_state_dict(json.loads((checkpoint / SCALER).read_text(encoding="utf-8")))
    else:
        accelerator.load_state(str(checkpoint))
    return Progress(**json.loads((checkpoint / "progress.json").read_text(encoding="utf-8")))


def load_average(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The averaged weights that a checkpoint holds, by name; none where a training averages nothing."""
    path = checkpoint / AVERAGE
    return load_file(path) if path.is_file() else {}


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


def layout_of(accelerator: Accelerator) -> str:
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
    return int(checkpoint.name.removeprefix("update-").removesuffix(_OLD))


def list_checkpoints(folder: Path) -> list[Path]:
    """All checkpoints, the newest first; half-written ones have other names."""
    names = {path: path.name.removeprefix("update-").removesuffix(_OLD) for path in folder.glob("update-*")}
    found = [path for path, name in names.items() if name.isdecimal()]
    return sorted(found, key=lambda path: (update_of(path), not path.name.endswith(_OLD)), reverse=True)


def newest_checkpoint(folder: Path, notes: list[str]) -> Path | None:
    """The newest checkpoint that verifies; a note says why any newer one was skipped."""
    for checkpoint in list_checkpoints(folder):
        fault = find_fault(checkpoint)
        if fault is None:
            return checkpoint
        notes.append(f"skipped the checkpoint {checkpoint.name}: {fault}")
    return None


def with_own_name(checkpoint: Path | None) -> Path | None:
    """A checkpoint under its own name, also where it had just given that up to one that did not come to be."""
    if checkpoint is None or not checkpoint.name.endswith(_OLD):
        return checkpoint
    final = checkpoint.with_name(checkpoint.name.removesuffix(_OLD))
    shutil.rmtree(final, ignore_errors=True)  # it does not verify
    return checkpoint.rename(final)


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
