"""Whether a micro-batch should fit, by the forecast alone."""

from __future__ import annotations

import numpy as np
from transformers import PreTrainedModel

from accel_cls.memory.activations import activation_bytes
from accel_cls.memory.available import DeviceMemory
from accel_cls.memory.forecast import TrainingMemory, averaged_copies, format_bytes, training_memory
from accel_cls.memory.remembered import remembered_tokens, search_key
from accel_cls.memory.setup import ParallelSetup
from accel_cls.memory.sizes import MicroBatchSizes, largest_that_fits
from accel_cls.recipe import Recipe

# Where memory is not known: what a recipe has that says nothing.
_DEFAULT_TOKENS = 4096


def should_fit(setup: ParallelSetup, available: DeviceMemory, needed: TrainingMemory, sizes: MicroBatchSizes) -> bool:
    """Whether a micro-batch should fit; where one of the two is not known, whether it has a usual size."""
    if available.free is None or needed.total is None:
        rows, width = needed.shape
        return rows * width <= max(_DEFAULT_TOKENS, sizes.max_length)
    return needed.total <= setup.usable_fraction * available.free


def estimate_micro_batch_tokens(
    recipe: Recipe, lengths: np.ndarray, model: PreTrainedModel, setup: ParallelSetup
) -> tuple[int, str]:
    """What `auto` will be, as far as that can be told without trying: the tokens, and where they are from.

    Args:
        recipe: one that says `auto`.
        lengths: tokens of each training example.
        model: on the meta device.
        setup: the hardware that is expected.
    """
    sizes = MicroBatchSizes.of(recipe, lengths, few_shapes=setup.strategy == "XLA")
    available, notes, copies = setup.available(), list[str](), averaged_copies(recipe, setup.device)
    candidates = sizes.candidates(setup.processes)
    remembered = remembered_tokens(search_key(setup, available, sizes, model, copies), notes)
    if remembered in candidates:
        return remembered, "remembered from an earlier run"

    def needed(size: int) -> TrainingMemory:
        shape = sizes.worst_shape(size)
        return training_memory(model, setup, shape, activation_bytes(model, *shape), copies)

    index = largest_that_fits(candidates, lambda size: should_fit(setup, available, needed(size), sizes))
    memory = needed(tokens := candidates[index or 0])
    later = "the run finds out where it trains"
    if available.free is None or memory.total is None:
        return tokens, f"a guess: memory can't be reckoned here; {later}"
    rows, width = memory.shape
    least = "" if index is not None else "the smallest, which does not fit "
    how = f"by arithmetic for {available.device_name} of this machine"
    usable = f"{setup.usable_fraction:.0%} of {format_bytes(available.free)} free"
    most = f"{rows} × {width} tokens need {format_bytes(memory.total)} at most, against {usable}"
    return tokens, f"{least}{how} ({most}); {later}"
