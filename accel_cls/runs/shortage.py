"""What a run that ran out of memory leaves for its next start."""

from __future__ import annotations

import json
from dataclasses import dataclass

from accel_cls.runs.folder import RunFolder


@dataclass(frozen=True)
class Shortage:
    """That a run ended for want of memory: what its next start has to know."""

    where: str  # "in update 38", "in the evaluation after update 76"
    tokens: int  # train.micro_batch_tokens
    smaller: int | None  # the next smaller size; None for none


def read_shortage(folder: RunFolder) -> Shortage | None:
    """The note that a run left which ran out of memory; None where it did not, or the note can't be read."""
    try:
        return Shortage(**json.loads(folder.shortage.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
