"""Which micro-batches come into question for `train.micro_batch_tokens: auto`, and which fit by arithmetic."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import Accelerator

from accel_cls.batching.layout import padded_width, width_step
from accel_cls.memory.forecast import SHARDED, activations, in_bytes, size_of_weights
from accel_cls.memory.remembered import recall
from accel_cls.memory.room import Room, room_of
from accel_cls.profiles import Profile
from accel_cls.recipe import Recipe

# What the arithmetic may use of what is free. The rest is for what it does not know: the allocator's gaps, other
# programs; with a divided model also what its library keeps.
USABLE, _USABLE_WHEN_SHARDED = 0.8, 0.7
# What a backward pass has of its own, as a share of the activations. Measured on a CPU with a BERT of 12 layers and
# rows of 336 tokens: 0.22 to 0.24 in fp32, less in bf16.
_BACKWARD = 0.25
# Where a device does not tell its memory: what a recipe has that says nothing.
_UNKNOWN = 4096
# Of a model's configuration, what has nothing to do with memory, or depends on how it was loaded.
_IRRELEVANT = ("id2label", "label2id", "_name_or_path", "transformers_version", "dtype", "architectures")


@dataclass(frozen=True)
class Place:
    """What of the hardware decides how much fits."""

    device: torch.device
    distributed_type: str  # FSDP, DEEPSPEED, XLA; "" where each process has the whole model
    processes: int
    sharers: int  # processes on this machine
    precision: str  # accelerate's word: no, fp16, bf16, fp8

    @classmethod
    def of(cls, accelerator: Accelerator) -> Place:
        """The place of this process."""
        sharers = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        kind = _kind(accelerator.distributed_type.value)
        return cls(accelerator.device, kind, accelerator.num_processes, sharers, accelerator.mixed_precision)

    @classmethod
    def expected(cls, profile: Profile | None, processes: int) -> Place:
        """Where a profile would put a process on this machine; what is here without one."""
        found = torch.accelerator.current_accelerator(check_available=True)
        device = torch.device("cpu") if found is None or (profile is not None and profile.use_cpu) else found
        if profile is None:
            return cls(device, "", processes, processes, "no")
        sharers = max(1, processes // profile.machines)
        return cls(device, _kind(profile.distributed_type), processes, sharers, profile.mixed_precision)

    @property
    def can_try(self) -> bool:
        """Whether a pass of the model by itself, before it is divided or compiled, is like one in training."""
        return not self.distributed_type

    @property
    def room(self) -> Room:
        """The memory that is there now."""
        return room_of(self.device, self.sharers)


def _kind(distributed_type: str) -> str:
    return distributed_type if distributed_type in (*SHARDED, "XLA") else ""


@dataclass(frozen=True)
class Sizes:
    """The sizes that micro-batches may have, in padded tokens."""

    widest: int  # tokens of the widest row of the training examples
    longest: int  # data.max_length: validation texts, and later ones, may be that long
    rows: int  # examples of an update
    pieces: int = 1  # into which it is cut at least

    @classmethod
    def of(cls, recipe: Recipe, lengths: np.ndarray, few_shapes: bool = False) -> Sizes:
        """The sizes for a recipe whose training examples have these lengths; with `few_shapes` on XLA."""
        longest, train = recipe.data.max_length, recipe.train
        widest = padded_width(int(lengths.max()), longest, width_step(longest, few_shapes))
        return cls(widest, longest, min(train.batch_size, len(lengths)), train.min_micro_batches)

    def smallest_first(self, processes: int = 1) -> list[int]:
        """The sizes worth a look: rows × the widest width, from one row to a process's share of an update.

        A larger micro-batch is of no use. Steps by a half or a third keep the search short.
        """
        most = -(-self.rows // max(processes, self.pieces))
        steps = {step << k for k in range(most.bit_length()) for step in (1, 3)}
        rows = {most, *(step for step in steps if step < most)}
        return sorted({max(self.longest, count * self.widest) for count in rows})

    def below(self, tokens: int) -> int | None:
        """The next smaller size; None for none."""
        return max((size for size in self.smallest_first() if size < tokens), default=None)

    def shape(self, tokens: int) -> tuple[int, int]:
        """(rows, width) of the micro-batch of that size that needs the most memory: its rows are the widest."""
        return min(self.rows, tokens // self.widest), self.widest


@dataclass(frozen=True)
class Need:
    """The memory that a process needs, in bytes."""

    weights: int  # what of the model is there all the time
    lasting: int  # gradients, AdamW, and what the way of working together adds
    row: int | None  # activations of the first row; None: not known
    further_row: int  # and of each one more: rows do not touch each other, so this is exact

    def of(self, rows: int) -> int:
        """For a micro-batch of so many rows."""
        assert self.row is not None
        kept = self.row + (rows - 1) * self.further_row
        return self.weights + self.lasting + kept + int(_BACKWARD * kept)

    def __str__(self) -> str:
        kept = "" if self.row is None else f" + activations of one row {in_bytes(self.row)}"
        return f"weights {in_bytes(self.weights)} + gradients, AdamW and buffers {in_bytes(self.lasting)}{kept}"


def need_of(place: Place, outline: transformers.PreTrainedModel, width: int) -> Need:
    """What training a model needs at a place, for rows of this width; `outline` is on the meta device.

    Activations count in fp32: with mixed precision they are less, so this is an upper bound.
    """
    weights = size_of_weights(outline)
    # Autocast keeps a copy of the weights in 16 bits from the forward to the backward pass.
    lasting = weights // 2 if place.precision != "no" else 0
    if place.distributed_type == "FSDP":
        # Two layers are whole at a time, the one in work and the next one, and the former's gradient.
        largest = _size_of_largest_part(outline)
        weights, lasting = weights // place.processes, lasting + 3 * weights // place.processes + 3 * largest
    elif place.distributed_type == "DEEPSPEED":
        lasting += 3 * weights // place.processes + weights  # its buckets hold gradients before they are divided
    else:
        lasting += 3 * weights + (weights if place.processes > 1 else 0)  # DDP's buckets, in full
    row, two = (activations(outline, rows, width) for rows in (1, 2))
    return Need(weights, lasting, row, 0 if row is None or two is None else two - row)


def _size_of_largest_part(outline: transformers.PreTrainedModel) -> int:
    """Bytes of the largest part that FSDP makes whole at once: a layer, or the embeddings."""
    layers = [child for m in outline.modules() if isinstance(m, torch.nn.ModuleList) for child in m]
    return max(map(size_of_weights, [*layers, outline.get_input_embeddings()]))


def fits_by_arithmetic(place: Place, room: Room, need: Need, sizes: Sizes, tokens: int) -> bool:
    """Whether a size should fit; where the device does not tell its memory, whether it is a usual one."""
    if room.free is None or need.row is None:
        return tokens <= max(_UNKNOWN, sizes.longest)
    usable = _USABLE_WHEN_SHARDED if place.distributed_type else USABLE
    return need.of(sizes.shape(tokens)[0]) <= usable * room.free


def key_of(place: Place, room: Room, sizes: Sizes, model: transformers.PreTrainedModel) -> str:
    """All that decides which micro-batch fits, as a short text to remember the answer under."""
    config = {key: value for key, value in model.config.to_dict().items() if key not in _IRRELEVANT}
    facts: list[Any] = [
        [room.name, room.total, place.distributed_type, place.processes, place.sharers, place.precision],
        [type(model).__name__, model.config._attn_implementation, model.config.num_labels, config],
        [torch.__version__, transformers.__version__],
        asdict(sizes),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def with_tokens(recipe: Recipe, tokens: int) -> Recipe:
    """A recipe with the number that `auto` stands for."""
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"micro_batch_tokens": tokens})})


def foresee(
    recipe: Recipe, lengths: np.ndarray, outline: transformers.PreTrainedModel, place: Place
) -> tuple[int, str]:
    """What `auto` will be, as far as that can be told without trying: the tokens, and where they are from."""
    sizes, room, notes = Sizes.of(recipe, lengths), place.room, list[str]()
    candidates = sizes.smallest_first(place.processes)
    remembered = recall(key_of(place, room, sizes, outline), notes)
    if remembered in candidates:
        return remembered, "remembered from an earlier run"
    need = need_of(place, outline, sizes.widest)
    fitting = [size for size in candidates if fits_by_arithmetic(place, room, need, sizes, size)]
    known = room.free is not None and need.row is not None
    where = f"by arithmetic for {room.name} of this machine" if known else "a guess: memory can't be reckoned here"
    return max(fitting, default=candidates[0]), f"{where}; the run finds out where it trains"
