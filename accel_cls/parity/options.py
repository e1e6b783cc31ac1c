"""What `accel-cls parity` is asked to compare: its options, parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accel_cls.errors import UserError

PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}  # as users say it: as accelerate says it


@dataclass(frozen=True)
class ParityOptions:
    """What to compare. The first of each list is the reference run's."""

    processes: Sequence[int] = (1,)
    hardware: Sequence[str] = ()  # profiles, by name or path
    precisions: Sequence[str] = ()  # of PRECISIONS; a single one goes for all
    micro_batches: Sequence[int] = ()  # multiples of train.micro_batch_tokens
    resume: bool = False
    updates: int = 200


def parse_options(
    processes: str, hardware: str, precision: str, micro_batches: str, resume: bool, updates: int
) -> ParityOptions:
    """Parse the command line's options.

    Raises:
        UserError: for an option that is not such a list.
    """
    names = parse_names("--precision", precision)
    for name in names:
        if name not in PRECISIONS:
            raise UserError(f"--precision: found {name!r}; expected a list of {', '.join(PRECISIONS)}")
    if resume and updates < 2:
        raise UserError("--resume: found --updates 1; expected 2 or more, to stop half-way")
    alone = not (hardware or len(names) > 1 or micro_batches or resume)
    return ParityOptions(
        processes=parse_numbers("--processes", processes or ("1,2" if alone else "1")),
        hardware=parse_names("--hardware", hardware),
        precisions=names,
        micro_batches=parse_numbers("--micro-batches", micro_batches),
        resume=resume,
        updates=updates,
    )


def parse_numbers(option: str, text: str) -> list[int]:
    """Parse an option's list of whole numbers, such as 1,2. Raises UserError where it is none."""
    parts = parse_names(option, text)
    if not all(part.isdecimal() and int(part) for part in parts):
        raise UserError(f"{option}: found {text!r}; expected whole numbers, 1 or more, such as 1,2")
    return [int(part) for part in parts]


def parse_names(option: str, text: str) -> list[str]:
    """Parse an option's list; each item once, since a training that is compared with itself proves nothing."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    twice = [part for part in parts if parts.count(part) > 1]
    if twice:
        raise UserError(f"{option}: {twice[0]} stands twice in {text!r}; expected each once")
    return parts
