"""What the main process alone can know, such as what lies on its disk, told to all processes of a run."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import torch
from accelerate import Accelerator

from accel_cls.errors import ToldElsewhere, UserError


def decided_by_main(accelerator: Accelerator, count: int, decide: Callable[[], Sequence[int]]) -> list[int]:
    """So many whole numbers that the main process decides on, on every process. Called by all of them.

    Raises:
        UserError: as `decide` does, on the main process; on the others ToldElsewhere.
    """
    # A few numbers are all that has to be told, and a sum is what every backend can do. The first says whether
    # the main process has failed.
    numbers = torch.zeros(1 + count, dtype=torch.int64, device=accelerator.device)
    error: UserError | None = None
    if accelerator.is_main_process:
        try:
            numbers[1:] = torch.tensor([*decide()], dtype=torch.int64)
        except UserError as caught:
            error = caught
            numbers[0] = 1
    failed, *told = map(int, accelerator.reduce(numbers, "sum").tolist())
    if failed:
        raise error or ToldElsewhere("the main process refused to go on")
    return told


def float_bits(number: float) -> int:
    """A number as a whole number of 64 bits, which a sum over processes keeps as it is; 0 is 0."""
    return int(struct.unpack("<q", struct.pack("<d", number))[0])


def float_of_bits(bits: int) -> float:
    """The number again."""
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])
