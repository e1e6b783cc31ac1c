"""What a run that ran out of memory leaves for its next start."""

from __future__ import annotations

import json
from dataclasses import dataclass

from accel_cls.errors import UserError
from accel_cls.runs.folder import RunFolder


@dataclass(frozen=True)
class OutOfMemory:
    """How a run ran out of memory: what its next start has to know."""

    where: str  # "in update 38", "in the evaluation after update 76"
    tokens: int  # train.micro_batch_tokens
    smaller: int | None  # the next smaller size; None for none


def read_out_of_memory(folder: RunFolder) -> OutOfMemory | None:
    """The note that a run left which ran out of memory; None where it did not.

    Raises:
        UserError: where the note is damaged.
    """
    path = folder.out_of_memory
    try:
        note = OutOfMemory(**json.loads(path.read_text(encoding="utf-8")))
        if type(note.tokens) is not int or not isinstance(note.smaller, int | None) or not isinstance(note.where, str):
            raise TypeError(f"found {note}")
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:  # no UTF-8, no JSON, or not what was written
        raise UserError(
            f"{path} is damaged ({error}); expected where memory ran out, tokens and a smaller number. Delete it, and "
            "the run goes on with train.micro_batch_tokens as it is"
        ) from error
    return note
