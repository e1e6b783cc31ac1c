"""The learning rate as a function of the update."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accel_cls.errors import UserError


def check_warmup(warmup: float | int, epochs: int, updates_per_epoch: int) -> None:
    """Raise UserError where a warm-up that is given in updates is longer than the run."""
    updates = epochs * updates_per_epoch
    if isinstance(warmup, int) and warmup and warmup >= updates:
        raise UserError(
            f"train.warmup: found {warmup} updates; expected less than the {updates:,} of the "
            f"run ({epochs} epochs × {updates_per_epoch:,}): the rate would never reach its height"
        )


@dataclass(frozen=True)
class Schedule:
    """A rise to the highest rate, as a line, and what comes after it."""

    kind: str  # train.schedule
    highest: float
    warmup: float | int  # a part of the updates, or their number
    updates: int  # over which it is laid out
    decay: float  # of kind wsd: the last part of the updates, in which the rate falls
    power: float  # of kind polynomial

    @property
    def warmup_updates(self) -> int:
        """Updates over which the rate rises; of a fraction, at least one update is left after them."""
        if isinstance(self.warmup, float):
            return min(self._fraction_of_updates, self.updates - 1)
        return self.warmup

    @property
    def decay_updates(self) -> int:
        """Updates over which the rate falls, of kind wsd: one or more, and those at most that are left."""
        return min(math.ceil(self.decay * self.updates), self.updates - self.warmup_updates)

    @property
    def _fraction_of_updates(self) -> int:
        """A fractional warm-up in updates, rounded up: 0.9 of 3 updates are all 3."""
        return math.ceil(self.warmup * self.updates)

    def rate(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        if update < self.warmup_updates:
            # (update + 1): an update at rate 0 would be a forward and backward pass for nothing.
            return self.highest * (update + 1) / (self.warmup_updates + 1)
        past = (update - self.warmup_updates) / max(1, self.updates - self.warmup_updates)
        if self.kind == "constant":
            return self.highest
        if self.kind == "linear":
            return self.highest * (1 - past)
        if self.kind == "cosine":
            return self.highest * 0.5 * (1 + math.cos(math.pi * past))
        if self.kind == "polynomial":
            return self.highest * (1 - past) ** self.power
        if self.kind == "inverse_sqrt":  # the warm-up's line meets the curve at its first update (Vaswani et al. 2017)
            return self.highest * math.sqrt((self.warmup_updates + 1) / (update + 1))
        assert self.kind == "wsd", self.kind  # warm-up, stable, decay (Hu et al. 2024)
        return self.highest * min(1.0, (self.updates - update) / self.decay_updates)

    def describe(self, made: int) -> str:
        """How the rate goes, and where a warm-up is not what the recipe says.

        Args:
            made: updates that the run makes of it.
        """
        many, highest = _count(self.warmup_updates), f"{self.highest:g}"
        text = f"rises to {highest} over {many}" if self.warmup_updates else f"starts at {highest}"
        text += f", then {self._describe_fall()}"
        if isinstance(self.warmup, float) and self.warmup_updates < self._fraction_of_updates:
            if self.updates == 1:
                return f"{text}; no warm-up in a schedule of one update"
            text += f"; {self.warmup:g} of {self.updates:,} would be all of them: one stays"
        if made <= self.warmup_updates:
            text += f"; stopped before at {self.rate(made - 1):g}"
        return text

    def _describe_fall(self) -> str:
        return {
            "constant": "stays",
            "linear": "falls to 0",
            "cosine": "falls to 0 as a cosine",
            "polynomial": f"falls to 0 with the power {self.power:g}",
            "inverse_sqrt": f"falls as 1 / √update, to {self.rate(self.updates - 1):.2g}",
            "wsd": f"stays, and falls to 0 over the last {_count(self.decay_updates)}",
        }[self.kind]


def _count(updates: int) -> str:
    return f"{updates:,} update{'s' if updates > 1 else ''}"
