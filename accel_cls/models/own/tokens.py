"""Which tokens belong to which text, in padded rows and in a packed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from accel_cls.models.packing.gather import FAST
from accel_cls.models.packing.row import Packing


@dataclass(frozen=True)
class Slots:
    """A row for each text, in which its tokens lie one after the other."""

    token: torch.Tensor  # int64 [texts, width]: which lies in a slot, of all tokens flat; any where none does
    taken: torch.Tensor  # bool [texts, width]: whether one does
    of_token: torch.Tensor  # int64 [tokens]: in which slot, of all slots flat, a token lies


class Grouped(Protocol):
    """What lies one after the other, `real` in all, in groups: the tokens of texts, or their windows."""

    @property
    def first(self) -> torch.Tensor:
        """Where each group begins, int64 [groups]."""

    @property
    def lengths(self) -> torch.Tensor:
        """How many each has, int64 [groups]."""

    @property
    def real(self) -> int:
        """How many there are in all."""


class Sums(Protocol):
    """Sums and maxima over each text's tokens, of [*tokens, n], and back."""

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """[texts, n]."""

    def max(self, values: torch.Tensor) -> torch.Tensor:
        """[texts, n]."""

    def first(self, values: torch.Tensor) -> torch.Tensor:
        """Each text's first token's, [texts, n]."""

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """Each text's value, [texts, n], at each of its tokens."""


class Tokens(Sums, Protocol):
    """What heads ask of the tokens of texts besides."""

    def count(self, flags: torch.Tensor) -> torch.Tensor:
        """How many tokens of its text, itself not included, are flagged before each, int64 [*tokens]."""

    def slots(self) -> Slots:
        """Where the tokens lie in a row for each text."""


class PaddedTokens:
    """Of rows that are a text each: tokens are [texts, tokens].

    Args:
        real: bool [texts, tokens], False at padding.
    """

    def __init__(self, real: torch.Tensor):
        self._real = real

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        return values.sum(1)

    def max(self, values: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        return values.amax(1)

    def first(self, values: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        # Padding on the left is before it.
        return values[torch.arange(len(values), device=values.device), self._real.int().argmax(1)]

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        return values.unsqueeze(1)

    def count(self, flags: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        return flags.long().cumsum(1) - flags.long()

    def slots(self) -> Slots:
        """See `Tokens`."""
        every = torch.arange(self._real.numel(), device=self._real.device)
        return Slots(every.view(self._real.shape), self._real, every)


class GroupedSums:
    """Of what lies one after the other: values are [T, n]."""

    def __init__(self, groups: Grouped):
        self._groups = groups

    def _reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        # Not index_add, which on a GPU adds in any order.
        return torch.segment_reduce(values, how, lengths=self._groups.lengths, unsafe=True)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        return self._reduce(values, "sum")

    def max(self, values: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        return self._reduce(values, "max")

    def first(self, values: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        return values[self._groups.first]

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        return values.repeat_interleave(self._groups.lengths, dim=0, output_size=self._groups.real)


class PackedTokens(GroupedSums):
    """Of a row that is all texts, one after the other: tokens are [T]."""

    def __init__(self, packing: Packing):
        super().__init__(packing)
        self._packing = packing

    def count(self, flags: torch.Tensor) -> torch.Tensor:
        """See `Tokens`."""
        before = flags.long().cumsum(0) - flags.long()
        return before - self.spread(before[self._packing.first])

    def slots(self) -> Slots:
        """See `Tokens`."""
        packing, device = self._packing, self._packing.first.device
        width = packing.longest  # known without asking the device
        places = torch.arange(width, device=device)
        token = (packing.first[:, None] + places).clamp_max(packing.real - 1)
        starts = width * torch.arange(len(packing.first), device=device) - packing.first
        of_token = torch.arange(packing.real, device=device) + self.spread(starts)
        return Slots(token, places < packing.lengths[:, None], of_token)


@dataclass(frozen=True)
class Rows:
    """The chosen tokens of each text at the left of a row: what lies beside a text in a batch does not reach it."""

    states: torch.Tensor  # [texts, width, hidden], zeros after a text's last token
    mask: torch.Tensor  # bool [texts, width], False after it

    @property
    def lengths(self) -> torch.Tensor:
        """Tokens of each text, int64 [texts]; 1 where none is chosen: one of zeros stands for them."""
        return self.mask.sum(1).clamp_min(1)

    @classmethod
    def of(cls, hidden: torch.Tensor, chosen: torch.Tensor, tokens: Tokens) -> Rows:
        """Of states [*tokens, hidden] those that are chosen, bool [*tokens]."""
        slots = tokens.slots()
        is_chosen = slots.taken & chosen.flatten()[slots.token]
        order = (~is_chosen).int().argsort(dim=1, stable=True)
        back = order.argsort(dim=1).add_(_row_starts(order))  # where each slot is now, of all flat
        index, inverse = slots.token.gather(1, order), back.flatten()[slots.of_token]
        states = FAST.permute(hidden.flatten(0, -2), index.flatten(), inverse, None).view(*order.shape, -1)
        places = torch.arange(order.shape[1], device=order.device)
        mask = places < is_chosen.sum(1, keepdim=True)
        return cls(states.masked_fill(~mask.unsqueeze(-1), 0), mask)

    def flip(self, states: torch.Tensor) -> torch.Tensor:
        """States [texts, width, n] with each text's in reverse order, still at the left."""
        places, length = torch.arange(states.shape[1], device=states.device), self.lengths[:, None]
        index = torch.where(places < length, length - 1 - places, places).add_(_row_starts(self.mask)).flatten()
        return FAST.permute(states.flatten(0, 1), index, index, None).view(states.shape)

    def last(self, states: torch.Tensor) -> torch.Tensor:
        """The state, of [texts, width, n], of each text's last token, [texts, n]."""
        return FAST.gather(states.flatten(0, 1), _row_starts(self.mask)[:, 0] + self.lengths - 1, None)


def _row_starts(rows: torch.Tensor) -> torch.Tensor:
    """The first slot of each row, of all flat, int64 [texts, 1]."""
    texts, width = rows.shape
    return width * torch.arange(texts, device=rows.device).unsqueeze(1)
