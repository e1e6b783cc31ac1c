"""Find the largest micro-batch that fits: tried out on every process, and agreed on by all."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import MicroBatch
from accel_cls.errors import UserError
from accel_cls.memory.arithmetic import Need, Place, Sizes, fits_by_arithmetic, key_of, need_of
from accel_cls.memory.errors import is_out_of_memory
from accel_cls.memory.forecast import in_bytes, kept_by_autograd, size_of_weights
from accel_cls.memory.remembered import cache_file, recall, remember
from accel_cls.memory.room import Room

# What needs no more than this part of a CPU's free memory is not tried: a pass of 5,376 tokens through a BERT of 12
# layers takes two cores 10 to 30 s, and would prove nothing, since Linux refuses nobody so little.
_AMPLE = 0.5
_PATIENCE = 5  # seconds
_RESERVE = 0.05  # of a device's memory, for the allocator's gaps and what libraries take later


@dataclass(frozen=True)
class Search:
    """All that the search works with."""

    accelerator: Accelerator
    place: Place
    room: Room  # as it was before anything was tried
    sizes: Sizes
    model: PreTrainedModel  # not prepared: a pass through it is no collective operation
    outline: Callable[[], PreTrainedModel]  # makes the same on the meta device
    batches: Batches  # the training examples

    @classmethod
    def of(
        cls,
        accelerator: Accelerator,
        sizes: Sizes,
        model: PreTrainedModel,
        outline: Callable[[], PreTrainedModel],
        batches: Batches,
    ) -> Search:
        """A search with this process's hardware."""
        place = Place.of(accelerator)
        return cls(accelerator, place, place.room, sizes, model, outline, batches)

    @property
    def key(self) -> str:
        """What the result is remembered under."""
        return key_of(self.place, self.room, self.sizes, self.model)


def find_fitting(search: Search, notes: list[str]) -> int:
    """The largest micro-batch, in tokens, that fits on every process: remembered, or found now.

    Called by all processes; gives all of them the same number. Notes say what was found and how.

    Raises:
        UserError: where not even the smallest fits.
    """
    began = time.monotonic()
    accelerator, place = search.accelerator, search.place
    candidates = search.sizes.smallest_first(place.processes)
    known = torch.zeros(1, dtype=torch.int64, device=accelerator.device)
    if accelerator.is_main_process:
        known += recall(search.key, notes) or 0
    tokens = int(accelerator.reduce(known, "sum").item())
    if tokens in candidates:
        how = f"remembered in {cache_file()}" if accelerator.is_main_process else ""
    else:
        ran: list[int] = []
        check = functools.cache(lambda: _check(search, ran))  # made within the agreement: it may fail, too
        failures: dict[int, int] = {}  # on how many processes a size that was tried did not fit

        def fits_everywhere(size: int) -> bool:
            failures[size] = _failures(accelerator, lambda: check()(size))
            return failures[size] == 0

        index = largest(candidates, fits_everywhere)
        if index is None:
            raise _too_large(search, failures[candidates[0]])
        tokens = candidates[index]
        many = f"{len(ran)} size{'s' if len(ran) > 1 else ''} in {time.monotonic() - began:.1f} s"
        how = f"tried now: {many}" if ran else "by arithmetic now" if search.room.free is not None else "taken now"
        if accelerator.is_main_process:
            remember(search.key, tokens, how, search.room.name, notes)
    notes.append(_told(search, tokens, candidates, how))
    return tokens


def largest(candidates: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """The index of the largest candidate that fits, of ascending ones; None where none does.

    The largest comes first, since it mostly fits; then halves of what is left: 5 tries at most for 12 candidates.
    """
    if fits(candidates[-1]):
        return len(candidates) - 1
    low, high = -1, len(candidates) - 1  # all up to `low` fit, from `high` on none does
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(candidates[middle]) else (low, middle)
    return None if low < 0 else low


def _failures(accelerator: Accelerator, check: Callable[[], bool]) -> int:
    """On how many processes a check says no. One collective operation, outside of all that can fail.

    Where the check of a process raises an error, it still takes part, so that nobody waits for it: then that
    process raises it, and the others end, too.
    """
    verdict = torch.zeros(2, dtype=torch.int64, device=accelerator.device)  # made while there is memory for it
    error: Exception | None = None
    fits = False
    try:
        fits = check()
    except Exception as caught:
        error = None if is_out_of_memory(caught) else caught
    verdict += torch.tensor([int(not fits), int(error is not None)], device=verdict.device)
    told = accelerator.reduce(verdict, "sum").tolist()
    if error is not None:
        raise error
    if told[1]:
        time.sleep(_PATIENCE)  # the launcher ends all when the first one fails: that one shall have spoken
        raise UserError(
            f"train.micro_batch_tokens: auto: {told[1]} of {accelerator.num_processes} processes failed while trying "
            "what fits, for another reason than memory; their own messages say why"
        )
    return int(told[0])


def _check(search: Search, ran: list[int]) -> Callable[[int], bool]:
    """Whether a size fits on this process, as a function of it, which adds to `ran` what it really tried."""
    place, room, sizes = search.place, search.room, search.sizes
    is_cpu = place.device.type == "cpu"
    need: Need | None = None
    if is_cpu or not place.can_try:
        # Linux lends a process more memory than there is, and ends it when it uses it: on a CPU, only what
        # arithmetic allows is tried. Divided models are not tried at all.
        need = _known(search, need_of(place, search.outline(), sizes.widest))
        if is_cpu and room.free is not None:  # the weights that count as needed are there already
            room = dataclasses.replace(room, free=room.free + need.weights)

    def check(tokens: int) -> bool:
        if need is not None:
            if not fits_by_arithmetic(place, room, need, sizes, tokens):
                return False
            rows, _ = sizes.shape(tokens)
            if not place.can_try or (room.free is not None and need.of(rows) <= _AMPLE * room.free):
                return True
        ran.append(tokens)
        return _runs(search, tokens)

    return check


def _known(search: Search, need: Need) -> Need:
    """The need with its activations, measured where the meta device could not tell: on one row and on two."""
    if need.row is not None:
        return need
    # A model that is not prepared is on the CPU. Its attention may keep more there than on other devices.
    batches = dataclasses.replace(search.batches, device=torch.device("cpu"))
    was_training = search.model.training
    with search.accelerator.autocast():
        row, two = (kept_by_autograd(search.model, batches.make(_widest(search, rows)).inputs) for rows in (1, 2))
    search.model.train(was_training)
    return dataclasses.replace(need, row=row, further_row=two - row)


def _widest(search: Search, rows: int) -> MicroBatch:
    """The widest training example, so many times."""
    longest = int(search.batches.encoded.lengths.argmax())
    return MicroBatch((longest,) * rows, search.sizes.widest)


def _runs(search: Search, tokens: int) -> bool:
    """Whether a forward and a backward pass of this size end without running out of memory on this process.

    As in the midst of a training: gradients are there, and ballast stands for what is not, AdamW's moments and
    DDP's buckets. Afterwards the model is as it was before, but on the device, where training puts it anyway.
    """
    model, place = search.model, search.place
    was_training = model.training
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    ballast = (2 + (place.processes > 1)) * size_of_weights(model)
    if place.device.type != "cpu":  # there, the arithmetic has a reserve
        ballast += int(_RESERVE * (search.room.total or 0))
    try:
        _pass(search, tokens, ballast)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    else:
        return True
    finally:  # the error, its frames and their tensors are gone here
        model.zero_grad(set_to_none=True)
        model.train(was_training)
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
        clear_device_cache(garbage_collection=True)


def _pass(search: Search, tokens: int, ballast: int) -> None:
    device = search.place.device
    model = search.model.to(device)
    model.train()
    held = torch.empty(ballast, dtype=torch.uint8, device=device)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    rows, _ = search.sizes.shape(tokens)
    batch = search.batches.make(_widest(search, rows))
    with search.accelerator.autocast():
        logits = model(**batch.inputs).logits
    cross_entropy(logits.float(), batch.labels).backward()
    if device.type != "cpu":
        torch.accelerator.synchronize()  # what is still in work may yet fail
    del held


def _told(search: Search, tokens: int, candidates: list[int], how: str) -> str:
    if search.room.free is None:
        why = f"a usual size, since {search.room.name} does not tell its memory"
    elif tokens < candidates[-1]:
        why = f"the most that fits on {search.room.name}"
    elif search.place.processes == 1:
        why = "a whole update at once; more is of no use"
    else:
        why = "a process's whole share of an update at once; more is of no use"
    return (
        f"train.micro_batch_tokens: auto → {tokens:,}, {why} ({how}). Dropout's draws follow from the number: "
        f"for the same draws elsewhere, set train.micro_batch_tokens={tokens}"
    )


def _too_large(search: Search, failures: int) -> UserError:
    place, room, sizes = search.place, search.room, search.sizes
    rows, width = sizes.shape(sizes.smallest_first()[0])
    need = need_of(place, search.outline(), width)
    of = f" of {in_bytes(room.total)}" if room.total is not None else ""
    free = f"{room.name} has {in_bytes(room.free)} free{of} for this process" if room.free is not None else room.name
    finer = "" if place.precision != "no" else ", a hardware profile with mixed_precision: bf16"
    divided = "" if place.distributed_type else ", one that divides the model among several devices (hardware=fsdp)"
    on = f" on {failures} of {place.processes} processes" if place.processes > 1 else ""
    return UserError(
        f"train.micro_batch_tokens: auto: not even the smallest micro-batch fits, {rows} × {width} tokens{on}: "
        f"{free}; needed are {need}.\nTry a smaller data.max_length (now {sizes.longest}), a smaller model"
        f"{finer}{divided}"
    )
