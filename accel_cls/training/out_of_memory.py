"""Running out of memory in training: explained to the user, and noted for the next start."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from accel_cls.atomic import write_json
from accel_cls.batching.layout import share
from accel_cls.errors import UserError
from accel_cls.memory.arithmetic import Place, Sizes
from accel_cls.memory.errors import is_out_of_memory
from accel_cls.memory.forecast import in_bytes
from accel_cls.memory.remembered import remember
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.shortage import Shortage

if TYPE_CHECKING:
    from accel_cls.checkpoints.checkpoint import Progress
    from accel_cls.training.loop import Training


def explain_shortage(
    error: RuntimeError | MemoryError, t: Training, progress: Progress, sizes: Sizes, key: str | None
) -> UserError | None:
    """What to tell the user of an error in training; None where it is not that memory has run out.

    Where it has, leaves a note in the run folder, and under `key` (of a recipe that says auto) in the
    cache, so that the next start takes smaller micro-batches. Called by the process that it happened to.
    """
    if not is_out_of_memory(error):
        return None
    tokens, processes = t.plan.layout.tokens, t.accelerator.num_processes
    in_training = t.model.training
    where = f"in update {progress.update + 1}" if in_training else f"in the evaluation after update {progress.update}"
    shortage = Shortage(where, tokens, sizes.below(min(tokens, sizes.rows * sizes.widest)))
    room = Place.of(t.accelerator).room
    facts = room.name
    if room.total is not None and room.free is not None:
        facts += f", {in_bytes(room.total)}, of which {in_bytes(room.free)} are free now that it failed"
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    batch = ""
    if in_training:
        mine = share(t.plan.micro_batches(progress.update, processes), t.accelerator.process_index, processes)
        largest = max((part for _, part in mine), key=lambda part: part.tokens)
        size = f"{'' if largest.packed else f'{len(largest.examples)} × '}{largest.width}"
        batch = f"; the largest micro-batch of it here: {size} tokens"
    if shortage.smaller is not None and key is not None:
        remember(key, shortage.smaller, f"after running out of memory {where} with {tokens}", room.name, [])
    return UserError(
        f"out of memory {where} of {t.plan.updates:,}{batch}.\n  device  {facts}\n  error   {said}\n"
        + _advice(t, shortage, is_noted=_note(t.artifacts.folder, shortage), is_auto=key is not None)
    )


def _note(folder: RunFolder, shortage: Shortage) -> bool:
    """Leave the note; whether it is there."""
    try:
        write_json(folder.shortage, asdict(shortage))
    except OSError:  # another process was faster, or the folder is on another machine
        return folder.shortage.is_file()
    return True


def _advice(t: Training, shortage: Shortage, is_noted: bool, is_auto: bool) -> str:
    now = f"train.micro_batch_tokens is {shortage.tokens:,}"
    if shortage.smaller is None:
        longest = t.recipe.data.max_length
        return (
            f"{now}: no smaller micro-batch is possible. Try a smaller data.max_length (now {longest}), a smaller "
            "model, a hardware profile with mixed_precision: bf16, or one that divides the model (hardware=fsdp)"
        )
    if is_auto and is_noted:
        return f"{now}; the same command goes on from the newest checkpoint with {shortage.smaller:,}"
    smaller = f"train.micro_batch_tokens={shortage.smaller}"
    if is_noted:
        both = f"{smaller}, or train.micro_batch_tokens=auto"
        return f"{now}. With {both}, the same command goes on from the newest checkpoint"
    return f"{now}. Start over with {smaller} --fresh"
