"""Save checkpoints while training goes on: copied in memory at once, written and verified by a thread."""

from __future__ import annotations

import copy
import functools
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors import SafetensorError
from safetensors.torch import save_file

from accel_cls.checkpoint import (
    SCALER,
    Progress,
    checkpoint_path,
    layout_of,
    prune_checkpoints,
    put_in_place,
    seal,
)
from accel_cls.console import Console
from accel_cls.errors import UserError
from accel_cls.fitting.arithmetic import USABLE
from accel_cls.fitting.room import room_of
from accel_cls.fitting.shortage import is_out_of_memory
from accel_cls.hardware.prepare import has_whole_weights
from accel_cls.run_folder import flush_path, write_json
from accel_cls.state import Tensors, model_tensors, optimizer_tensors, tensor_places

_PIECE = 2**24  # bytes of a file that are compared at a time


class Saver:
    """Saves the checkpoints of a run. What it does is done by all processes: sharded weights need all."""

    def __init__(self, accelerator: Accelerator, folder: Path, keep: int, console: Console, progress: Progress):
        self._accelerator = accelerator
        self._folder = folder
        self._keep = keep
        self._console = console
        self.progress = progress  # of the training: what is saved, and what counts the saves
        self._copies: dict[str, Tensors] = {}  # their memory serves one save after the other
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None
        self._is_prepared = False
        self.update = progress.update  # of the newest checkpoint, those included that are being saved
        self.fault: str | None = None  # why the last save failed
        self.seconds_of_last = 0.0
        self._last = time.monotonic()

    def minutes_since_last(self) -> float:
        """Minutes since a checkpoint was last begun, or since the run began."""
        return (time.monotonic() - self._last) / 60

    def prepare(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """After a first update, let the thread find memory for copies before the first save has to wait for it.

        In a virtual machine new memory took 1.5 s a GB, a copy into memory that was there 0.06.
        """
        if not self._is_prepared and has_whole_weights(self._accelerator) and self._accelerator.is_main_process:
            self._pending = self._thread.submit(self._make_room, self._tensors(model, optimizer))
        self._is_prepared = True

    def save(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, flush: Callable[[], None] = lambda: None
    ) -> None:
        """Save a checkpoint; where weights are whole, it is on the disk some time after this returns.

        Args:
            flush: writes what has to be on the disk before the checkpoint is.
        """
        stalls = time.monotonic()
        self.wait()
        began = self._last = time.monotonic()
        self.update = self.progress.update
        try:
            flush()
        except OSError as error:
            self._fail(self.update, error)
        else:
            self._begin(model, optimizer, began)
        self.progress.stall_seconds += time.monotonic() - stalls

    def wait(self) -> None:
        """Until what is being saved is saved. Raises what is no matter of disks in the thread."""
        pending, self._pending = self._pending, None
        if pending is not None:
            wait([pending])
            pending.result()

    def finish(self) -> None:
        """Wait for the last checkpoint, before the run ends.

        Raises:
            UserError: where it could not be saved.
        """
        self.wait()
        if self.fault is not None:
            raise UserError(
                f"{self.fault}. Those before it are whole: make room, and the same command goes on from there"
            )

    def _begin(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, began: float) -> None:
        """Copy what is to be saved and let the thread write it; where that can't be, write it here."""
        progress = replace(copy.deepcopy(self.progress), saves=self.progress.saves + 1)
        if not has_whole_weights(self._accelerator):
            self._write(progress, self._save_state, began)
        elif self._accelerator.is_main_process:
            tensors = self._tensors(model, optimizer)
            scaler = self._accelerator.scaler
            scale = None if scaler is None else scaler.state_dict()
            if self._copy(tensors):
                fill = functools.partial(_write_tensors, self._copies, scale)
                self._pending = self._thread.submit(self._write, progress, fill, began)
            else:
                self._write(progress, functools.partial(_write_tensors, tensors, scale), began)

    def _tensors(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensors]:
        """What is to be saved, by file."""
        inner = self._accelerator.unwrap_model(model)
        return {
            "model.safetensors": model_tensors(inner),
            "optimizer.safetensors": optimizer_tensors(inner, optimizer),
        }

    def _write(self, progress: Progress, fill: Callable[[Path], None], began: float) -> None:
        """Write a checkpoint beside, verify it, put it in place, and only then delete older ones."""
        beside = self._folder / f".{checkpoint_path(self._folder, progress.update).name}.partial"
        is_main = self._accelerator.is_main_process
        try:
            if is_main:
                shutil.rmtree(beside, ignore_errors=True)
                beside.mkdir(parents=True)
            fill(beside)
            if is_main:
                write_json(beside / "progress.json", asdict(progress))
                seal(beside, progress.update, layout_of(self._accelerator))
                put_in_place(beside)
                prune_checkpoints(self._folder, self._keep, progress.best_update)
        except (OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
            shutil.rmtree(beside, ignore_errors=True)
            self._fail(progress.update, error)
        else:
            self.fault = None
            self.progress.saves += 1
        self.seconds_of_last = time.monotonic() - began
        self.progress.save_seconds += self.seconds_of_last

    def _fail(self, update: int, error: Exception) -> None:
        self.fault = f"the checkpoint of update {update:,} could not be saved ({error})"
        if not has_whole_weights(self._accelerator):  # the others are in a collective operation by now
            raise UserError(f"{self.fault}. Those before it are whole") from error
        self._console.note(f"{self.fault}; training goes on, and the checkpoints before it are whole")

    def _copy(self, tensors: dict[str, Tensors]) -> bool:
        """Copy what is to be saved into memory of its own; False where there is too little of it."""
        if _names(self._copies) != _names(tensors):
            self._make_room(tensors)
        if not self._copies:
            return False
        for file, named in tensors.items():
            for name, tensor in named.items():
                self._copies[file][name].copy_(tensor)
        return True

    def _make_room(self, tensors: dict[str, Tensors]) -> None:
        """Take memory for copies, and touch it, so that the system has to find it now."""
        self._copies = {}
        size = sum(t.numel() * t.element_size() for named in tensors.values() for t in named.values())
        room = room_of(torch.device("cpu"), self._accelerator.num_processes).free
        # On a CPU larger micro-batches may come yet: train.micro_batch_tokens: auto counts on all but this part.
        part = 1 - USABLE if self._accelerator.device.type == "cpu" else 0.5
        if room is not None and size > part * room:
            return
        try:
            copies = {
                file: {name: _room_for(tensor) for name, tensor in named.items()} for file, named in tensors.items()
            }
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return
        self._copies = copies

    def _save_state(self, beside: Path) -> None:
        """What accelerate writes of sharded weights, or on XLA: by all processes together."""
        accelerator = self._accelerator
        accelerator.wait_for_everyone()
        # On XLA load_state can't read what save_state writes as safetensors (accelerate 1.15).
        accelerator.save_state(str(beside), safe_serialization=accelerator.distributed_type != DistributedType.XLA)
        accelerator.wait_for_everyone()
        # Random numbers follow from their position: a saved generator state would only tie the checkpoint to the
        # number of processes. Where the disk is not shared, each machine has its own.
        (beside / f"random_states_{accelerator.process_index}.pkl").unlink(missing_ok=True)
        accelerator.wait_for_everyone()
        if not accelerator.is_main_process:
            for folder in (beside, beside.parent, beside.parent.parent):
                with suppress(OSError):  # empty on a disk of this machine's own only
                    folder.rmdir()


def _names(files: dict[str, Tensors]) -> list[tuple[str, str]]:
    return [(file, name) for file, named in files.items() for name in named]


def _room_for(tensor: torch.Tensor) -> torch.Tensor:
    """Memory on the CPU that the system has really given; a GPU copies into pinned memory at the bus's full rate."""
    room = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.device.type == "cuda")
    room.reshape(-1).view(torch.uint8).numpy().fill(0)  # by numpy, which is content with this thread
    return room


def _write_tensors(files: dict[str, Tensors], scale: dict[str, Any] | None, beside: Path) -> None:
    """Write tensors and the scaler's state, and compare what the disk then holds with them, bit for bit.

    Raises:
        OSError, SafetensorError: where they can't be written, or are not what was written.
    """
    for file, tensors in files.items():
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, beside / file)
        flush_path(beside / file)
        different = _first_difference(beside / file, tensors)
        if different is not None:
            raise OSError(f"{beside / file}: {different} is not what was written; this disk can't be trusted")
    if scale is not None:
        (beside / SCALER).write_text(json.dumps(scale), encoding="utf-8")


def _first_difference(path: Path, tensors: Tensors) -> str | None:
    """The first tensor that a file does not hold bit for bit.

    Read piece by piece: a file that is mapped instead counts as this process's memory, 0.9 GB with a BERT-base's
    optimizer.
    """
    places, begin = tensor_places(path)
    piece = np.empty(_PIECE, np.uint8)
    with open(path, "rb") as file:
        for name, tensor in tensors.items():
            # As bytes, since a NaN equals nothing.
            content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            file.seek(begin + places[name]["data_offsets"][0])
            for start in range(0, len(content), _PIECE):
                expected = content[start : start + _PIECE]
                found = piece[: len(expected)]
                if file.readinto(found.data) != len(found) or not np.array_equal(found, expected):
                    return name
    return None
