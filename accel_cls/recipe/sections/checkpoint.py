"""The recipe's section `checkpoint`: how a run can be continued."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accel_cls.recipe.section import EVERY, Section, setting


class Checkpoint(Section):
    """How a run can be continued."""

    every: Literal["epoch"] | Annotated[int, Field(ge=1)] = setting(
        "epoch",
        EVERY,
        "when to save a checkpoint; a new best and the end always do",
        "an interval of no updates is none; the end is always saved",
    )
    minutes: float | None = setting(
        None,
        "a number of minutes above 0",
        "save also when so many minutes have passed since the last checkpoint",
        "null turns it off",
        gt=0,
    )
    keep: int = setting(
        2,
        "a whole number, 1 or more",
        "newest checkpoints kept, besides the best",
        "without one, a run can't be continued",
        ge=1,
    )
