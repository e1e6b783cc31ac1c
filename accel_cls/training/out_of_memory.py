"""Running out of memory in training: explained to the user, and noted for the next start."""

from __future__ import annotations

from dataclasses import asdict

from accelerate import Accelerator

from accel_cls.atomic import write_json
from accel_cls.batching.layout import share
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.errors import UserError
from accel_cls.memory.errors import is_out_of_memory
from accel_cls.memory.forecast import format_bytes
from accel_cls.memory.remembered import remember
from accel_cls.memory.setup import ParallelSetup
from accel_cls.memory.sizes import MicroBatchSizes
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.out_of_memory import OutOfMemory
from accel_cls.training.training import Training


def explain_out_of_memory(
    t: Training, progress: Progress, sizes: MicroBatchSizes, key: str | None, error: RuntimeError | MemoryError
) -> UserError | None:
    """What to tell the user of an error in training; None where it is not that memory has run out.

    Where it has, leaves a note in the run folder, and under `key` in the cache, so that the next start takes smaller
    micro-batches. Called by the process that it happened to.

    Args:
        t: whose model is in training mode where it was in an update, not in an evaluation.
        progress: its counters.
        sizes: of micro-batches.
        key: what was found for this run is remembered under; None where train.micro_batch_tokens is not auto.
        error: what was raised.
    """
    if not is_out_of_memory(error):
        return None
    plan, is_training = t.plan, t.model.training
    tokens, setup = plan.layout.tokens, ParallelSetup.of(t.accelerator)
    is_update = is_training and progress.update < plan.updates
    if is_update:
        where = f"in update {progress.update + 1}"
    else:  # in training mode after the last update: while its checkpoint is written
        where = "after the last update" if is_training else f"in the evaluation after update {progress.update}"
    # No micro-batch of an update has more than a process's share of it, whatever the recipe allows.
    most = min(tokens, sizes.candidates(setup.processes)[-1]) if is_training else tokens
    note = OutOfMemory(where, tokens, sizes.next_smaller(most))
    there = setup.available()
    device = there.device_name
    if there.total is not None and there.free is not None:
        device += f", {format_bytes(there.total)}, of which {format_bytes(there.free)} are free now that it failed"
    message = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    batch = f"; {_largest_micro_batch(plan, progress.update, t.accelerator)}" if is_update else ""
    faults: list[str] = []
    if note.smaller is not None and key is not None:
        remember(key, note.smaller, f"after running out of memory {where} with {tokens}", there.device_name, faults)
    is_noted = _write_note(t.artifacts.folder, note, faults)
    lines = [
        f"out of memory {where} of {plan.updates:,}{batch}.",
        f"  device  {device}",
        f"  error   {message}",
        *(f"  note    {fault}" for fault in faults),
        _advice(note, setup.ways_to_need_less(t.recipe.data.max_length), is_noted, is_auto=key is not None),
    ]
    return UserError("\n".join(lines))


def _largest_micro_batch(plan: Plan, update: int, accelerator: Accelerator) -> str:
    """The largest micro-batch of an update on this process, in words."""
    processes = accelerator.num_processes
    own = share(plan.micro_batches(update, processes), accelerator.process_index, processes)
    largest = max((part for _, part in own), key=lambda part: part.tokens)
    size = f"{'' if largest.packed else f'{largest.tokens // largest.width} × '}{largest.width}"
    return f"the largest micro-batch of it here: {size} tokens"


def _write_note(folder: RunFolder, note: OutOfMemory, faults: list[str]) -> bool:
    """Leave the note for the next start; whether it is there. A line in `faults` says why it is not."""
    try:
        write_json(folder.out_of_memory, asdict(note))
    except OSError as error:
        if folder.out_of_memory.is_file():  # another process was faster
            return True
        faults.append(f"the next start can't be told of it: {error}")  # the folder is on another machine, a full disk
        return False
    return True


def _advice(note: OutOfMemory, ways_to_need_less: str, is_noted: bool, is_auto: bool) -> str:
    now = f"train.micro_batch_tokens is {note.tokens:,}"
    if note.smaller is None:
        return f"{now}: no smaller micro-batch is possible. Try {ways_to_need_less}"
    if is_auto and is_noted:
        return f"{now}; the same command goes on from the newest checkpoint with {note.smaller:,}"
    smaller = f"train.micro_batch_tokens={note.smaller}"
    if is_noted:
        both = f"{smaller}, or train.micro_batch_tokens=auto"
        return f"{now}. With {both}, the same command goes on from the newest checkpoint"
    return f"{now}. Start over with {smaller} --fresh"
