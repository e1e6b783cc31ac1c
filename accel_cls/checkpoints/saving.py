"""Save checkpoints while training goes on: written and verified by a thread."""

from __future__ import annotations

import copy
import functools
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors import SafetensorError

from accel_cls.atomic import write_json
from accel_cls.checkpoints.checkpoint import (
    AVERAGE,
    SCALER,
    Progress,
    checkpoint_path,
    layout_of,
    prune_checkpoints,
    put_in_place,
    seal,
)
from accel_cls.checkpoints.snapshot import Snapshot
from accel_cls.checkpoints.tensors import Tensors, model_tensors, optimizer_tensors
from accel_cls.console import Console
from accel_cls.devices.prepare import has_whole_weights, inner_optimizer
from accel_cls.errors import UserError
from accel_cls.memory.available import USABLE_FRACTION, available_memory, local_process_count


class Saver:
    """Saves the checkpoints of a run. What it does is done by all processes: sharded weights need all."""

    def __init__(
        self,
        accelerator: Accelerator,
        folder: Path,
        keep: int,
        console: Console,
        progress: Progress,
        average: Callable[[], Tensors] = dict,
    ):
        """For a training.

        Args:
            folder: of its checkpoints.
            keep: how many of them stay, the best one's besides.
            progress: what is saved, and what counts the saves.
            average: the averaged weights, by name, where there are some.
        """
        self._accelerator = accelerator
        self._folder = folder
        self._keep = keep
        self._console = console
        self.progress = progress
        self._average = average
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None
        self._snapshot: Snapshot | None = None  # of tensors that the optimizer's next step will change
        self._watched: torch.optim.Optimizer | None = None  # whose steps wait for that
        self.update = progress.update  # of the newest checkpoint, those included that are being saved
        self.fault: str | None = None  # why the last save failed
        self.seconds_of_last = 0.0
        self._last = time.monotonic()

    def minutes_since_last(self) -> float:
        """Minutes since a checkpoint was last begun, or since the run began."""
        return (time.monotonic() - self._last) / 60

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
        """Let the thread write what is to be saved; where weights are not whole, write it here."""
        progress = replace(copy.deepcopy(self.progress), saves=self.progress.saves + 1)
        if not has_whole_weights(self._accelerator):
            self._write(progress, self._save_state, began)
        elif self._accelerator.is_main_process:
            snapshot = Snapshot(self._tensors(model, optimizer))
            scaler = self._accelerator.scaler
            scale = None if scaler is None else scaler.state_dict()
            self._pending = self._thread.submit(self._write_snapshot, progress, snapshot, scale, began)
            if self._accelerator.device.type == "cpu":
                self._snapshot = snapshot
                self._watch(inner_optimizer(optimizer))
            else:  # the thread would wait for the device behind all that training gives it to do
                snapshot.let_change(self._room(0.5))

    def _watch(self, optimizer: torch.optim.Optimizer) -> None:
        """Have each of the optimizer's steps wait until what it changes may change."""
        if optimizer is not self._watched:
            optimizer.register_step_pre_hook(lambda *_: self._before_step())
            self._watched = optimizer

    def _before_step(self) -> None:
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            began = time.monotonic()
            # Larger micro-batches may come yet: train.micro_batch_tokens: auto counts on all but this part.
            snapshot.let_change(self._room(1 - USABLE_FRACTION))
            self.progress.stall_seconds += time.monotonic() - began

    def _room(self, part: float) -> int | None:
        """Bytes that copies may take, of what is free."""
        free = available_memory(torch.device("cpu"), local_process_count()).free
        return None if free is None else int(part * free)

    def _tensors(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensors]:
        """What is to be saved, by file. All of it changes in the optimizer's step only."""
        inner = self._accelerator.unwrap_model(model)
        weights = model_tensors(inner)
        for name, buffer in inner.named_buffers():  # but these, which may change in a forward pass
            if name in weights:
                weights[name] = buffer.clone()
        files = {"model.safetensors": weights, "optimizer.safetensors": optimizer_tensors(inner, optimizer)}
        averaged = self._average()
        return files | {AVERAGE: averaged} if averaged else files

    def _write_snapshot(
        self, progress: Progress, snapshot: Snapshot, scale: dict[str, Any] | None, began: float
    ) -> None:
        with closing(snapshot):  # whatever happens, the optimizer's step waits no longer
            self._write(progress, functools.partial(_write_state, snapshot, scale), began)

    def _write(self, progress: Progress, fill: Callable[[Path], dict[str, str]], began: float) -> None:
        """Write a checkpoint beside, verify it, put it in place, and only then delete older ones."""
        beside = self._folder / f".{checkpoint_path(self._folder, progress.update).name}.partial"
        is_main = self._accelerator.is_main_process
        try:
            if is_main:
                shutil.rmtree(beside, ignore_errors=True)
                beside.mkdir(parents=True)
            digests = fill(beside)
            if is_main:
                write_json(beside / "progress.json", asdict(progress))
                seal(beside, progress.update, layout_of(self._accelerator), digests)
                put_in_place(beside)
                prune_checkpoints(self._folder, self._keep, progress.best_update)
        except (OSError, SafetensorError) as error:  # safetensors, by accelerate, has its own error for a full disk
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

    def _save_state(self, beside: Path) -> dict[str, str]:
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
        return {}


def _write_state(snapshot: Snapshot, scale: dict[str, Any] | None, beside: Path) -> dict[str, str]:
    """Write tensors and the scaler's state; returns the SHA-256 of what the disk should hold, by file."""
    digests = snapshot.write(beside)
    if scale is not None:
        (beside / SCALER).write_text(json.dumps(scale), encoding="utf-8")
    return digests
