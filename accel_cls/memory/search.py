"""Find the largest micro-batch that fits: tried on every process, and agreed on by all."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from accel_cls.batching.batches import Batches
from accel_cls.errors import UserError
from accel_cls.memory.activations import activation_bytes, extrapolate
from accel_cls.memory.available import DeviceMemory
from accel_cls.memory.errors import is_out_of_memory
from accel_cls.memory.estimate import should_fit
from accel_cls.memory.forecast import TrainingMemory, format_bytes, training_memory
from accel_cls.memory.remembered import cache_file, remember, remembered_tokens, search_key
from accel_cls.memory.setup import ParallelSetup
from accel_cls.memory.sizes import MicroBatchSizes, largest_that_fits
from accel_cls.memory.trial import Trial

# What needs no more than this part of a CPU's free memory is not tried: a pass of 5,376 tokens through a BERT of 12
# layers takes two cores 10 to 30 s, and would prove nothing, since Linux refuses nobody so little.
_AMPLE = 0.5
_PATIENCE = 5  # seconds


@dataclass(frozen=True)
class Search:
    """All that the search works with."""

    accelerator: Accelerator
    setup: ParallelSetup
    available: DeviceMemory  # before anything was tried
    sizes: MicroBatchSizes
    model: PreTrainedModel  # not prepared: a pass through it is no collective operation
    outline: Callable[[], PreTrainedModel]  # makes the same on the meta device
    batches: Batches  # the training examples
    copies: int = 0  # of the trained weights, to average them

    @classmethod
    def of(
        cls,
        accelerator: Accelerator,
        sizes: MicroBatchSizes,
        model: PreTrainedModel,
        outline: Callable[[], PreTrainedModel],
        batches: Batches,
        copies: int = 0,
    ) -> Search:
        """A search with this process's hardware."""
        setup = ParallelSetup.of(accelerator)
        return cls(accelerator, setup, setup.available(), sizes, model, outline, batches, copies)

    @property
    def key(self) -> str:
        """What the result is remembered under."""
        return search_key(self.setup, self.available, self.sizes, self.model, self.copies)

    @property
    def trial(self) -> Trial:
        """What tries a size on this process."""
        return Trial(self.accelerator, self.setup, self.sizes.widest, self.model, self.batches, self.copies)


def find_micro_batch_tokens(search: Search, notes: list[str]) -> int:
    """The largest micro-batch, in tokens, that fits on every process: remembered, or found now.

    Called by all processes; gives all of them the same number. Notes say what was found and how.

    Raises:
        UserError: where not even the smallest fits.
    """
    began = time.monotonic()
    accelerator = search.accelerator
    candidates = search.sizes.candidates(search.setup.processes)
    remembered = torch.zeros(1, dtype=torch.int64, device=accelerator.device)
    if accelerator.is_main_process:
        remembered += remembered_tokens(search.key, notes) or 0
    tokens = int(accelerator.reduce(remembered, "sum").item())
    if tokens in candidates:
        how = f"remembered in {cache_file()}" if accelerator.is_main_process else ""
    else:
        tried: list[int] = []
        check = functools.cache(lambda: _check(search, tried))  # made when it is first called: it may fail, too
        failures: dict[int, int] = {}  # on how many processes a size did not fit

        def fits_everywhere(size: int) -> bool:
            failures[size] = _count_failures(accelerator, lambda: check()(size))
            return failures[size] == 0

        index = largest_that_fits(candidates, fits_everywhere)
        if index is None:
            raise _nothing_fits(search, failures[candidates[0]])
        tokens = candidates[index]
        many = f"{len(tried)} size{'s' if len(tried) > 1 else ''} in {time.monotonic() - began:.1f} s"
        untried = "by arithmetic now" if search.available.free is not None else "taken now"
        how = f"tried now: {many}" if tried else untried
        if accelerator.is_main_process:
            remember(search.key, tokens, how, search.available.device_name, notes)
    notes.append(_describe(search, tokens, candidates, how))
    return tokens


def _count_failures(accelerator: Accelerator, check: Callable[[], bool]) -> int:
    """On how many processes a check says no. One collective operation, outside of all that can fail.

    Where the check of a process raises an error, it still takes part, so that nobody waits for it: then that
    process raises it, and the others end, too.
    """
    counts = torch.zeros(2, dtype=torch.int64, device=accelerator.device)  # made while there is memory for it
    error: Exception | None = None
    fits = False
    try:
        fits = check()
    except Exception as caught:
        error = None if is_out_of_memory(caught) else caught
    counts += torch.tensor([int(not fits), int(error is not None)], device=counts.device)
    failures, errors = accelerator.reduce(counts, "sum").tolist()
    if error is not None:
        raise error
    if errors:
        time.sleep(_PATIENCE)  # the launcher ends all when the first one fails: that one's message shall be out
        raise UserError(
            f"train.micro_batch_tokens: auto: {errors} of {accelerator.num_processes} processes failed while trying "
            "what fits, for another reason than memory; their own messages say why"
        )
    return int(failures)


def _check(search: Search, tried: list[int]) -> Callable[[int], bool]:
    """Whether a size fits on this process, as a function of it, which adds to `tried` what it really tried."""
    setup, available = search.setup, search.available
    is_cpu = setup.device.type == "cpu"
    # Linux lends a process more memory than there is, and ends it when it uses it: on a CPU, only what the forecast
    # allows is tried. Sharded models are not tried at all.
    needed = needed_memory(search) if is_cpu or not setup.has_plain_model else None

    def check(tokens: int) -> bool:
        if needed is not None:
            memory, there = needed(tokens), available
            if is_cpu and there.free is not None:  # the weights that count as needed are there already
                there = replace(there, free=there.free + memory.weights)
            if not should_fit(setup, there, memory, search.sizes):
                return False
            is_ample = there.free is not None and memory.total is not None and memory.total <= _AMPLE * there.free
            if is_ample or not setup.has_plain_model:
                return True
        tried.append(tokens)
        return search.trial.fits(search.sizes.worst_shape(tokens)[0], search.available)

    return check


def needed_memory(search: Search) -> Callable[[int], TrainingMemory]:
    """What micro-batches of a size need, as a function of it; measured where the meta device can't tell."""
    outline = search.outline()
    saved_bytes = functools.cache(search.trial.saved_bytes)

    def needed(tokens: int) -> TrainingMemory:
        rows, width = search.sizes.worst_shape(tokens)
        activations = activation_bytes(outline, rows, width)
        if activations is None:
            activations = extrapolate(saved_bytes, rows)
        return training_memory(outline, search.setup, (rows, width), activations, search.copies)

    return needed


def _describe(search: Search, tokens: int, candidates: list[int], how: str) -> str:
    device = search.available.device_name
    if search.available.free is None:
        why = f"a usual size, since {device} does not tell its memory"
    elif tokens < candidates[-1]:
        why = f"the most that fits on {device}"
    elif search.setup.processes == 1:
        why = "a whole update at once; more is of no use"
    else:
        why = "a process's whole share of an update at once; more is of no use"
    return (
        f"train.micro_batch_tokens: auto → {tokens:,}, {why} ({how}). Dropout's draws follow from the number: "
        f"for the same draws elsewhere, set train.micro_batch_tokens={tokens}"
    )


def _nothing_fits(search: Search, failures: int) -> UserError:
    setup, available, sizes = search.setup, search.available, search.sizes
    shape = sizes.worst_shape(sizes.candidates()[0])
    outline = search.outline()
    # Not measured where the meta device can't tell: there is no memory for it.
    needed = training_memory(outline, setup, shape, activation_bytes(outline, *shape), search.copies)
    there = available.device_name
    if available.free is not None and available.total is not None:
        there += (
            f" has {format_bytes(available.free)} free for this process, of {format_bytes(available.total)} in all"
        )
    on = f" on {failures} of {setup.processes} processes" if setup.processes > 1 else ""
    return UserError(
        f"train.micro_batch_tokens: auto: not even the smallest micro-batch fits, {shape[0]} × {shape[1]} tokens{on}: "
        f"{there}; needed are {needed}.\n"
        f"Try {setup.ways_to_need_less(sizes.max_length)}"
    )
