"""Where the texts of a packed row lie, and how attention groups them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

# Widths of attention's groups are multiples of this.
_WIDTH_STEP = 16
# What one more group costs, in attention scores of one head. A constant, not a measurement of the machine at hand:
# which random number falls on which score must not depend on the hardware.
_GROUP_SCORES = 16384


@dataclass(frozen=True)
class Group:
    """Texts that attend at once: [rows, width], each row one text, padded."""

    rows: int
    width: int
    mask: torch.Tensor | None  # bool [rows, 1, 1, width], False at padding; None where there is none

    def attention_mask(self, window: int | None, first_only: bool, device: torch.device) -> torch.Tensor | None:
        """Which keys a query may attend to: bool, broadcastable to [rows, heads, width, width]; None for all.

        Args:
            window: how far, exclusive, a token attends to both sides; None for no limit.
            first_only: whether there is one query a text, its first token's.
        """
        if window is None or window >= self.width:
            return self.mask
        positions = torch.arange(self.width, device=device)
        queries = positions[:1] if first_only else positions
        near = (queries[:, None] - positions).abs() < window
        return near[None, None] if self.mask is None else self.mask & near


@dataclass(frozen=True)
class Grouping:
    """The groups in which the texts of a row attend, which have S slots in all."""

    groups: tuple[Group, ...]
    token_of_slot: torch.Tensor  # int64 [S]: a filler for padding
    slot_of_token: torch.Tensor  # int64 [T]: any for a filler
    cache: dict[Any, Any] = field(default_factory=dict)  # what follows from it, worked out once for all layers


@dataclass(frozen=True)
class Packing:
    """Where the texts lie in a row of T tokens, one after the other, with fillers after the last one."""

    first: torch.Tensor  # int64 [texts]: each text's first token
    lengths: torch.Tensor  # int64 [texts]
    tokens: int  # T
    real: int  # of these, before the fillers
    longest: int  # tokens of the longest text that there may be
    # The lengths on the host, falling; None where the tensors are filled anew before each pass, and only their shape
    # is known: then there are no fillers, and attention finds the texts by `offsets`.
    on_host: np.ndarray | None = None

    @cached_property
    def grouping(self) -> Grouping:
        """How attention groups the texts. Made where it is asked for: not all attention does."""
        assert self.on_host is not None, "groups have shapes that follow from the lengths"
        return _group(self.on_host, self.tokens, self.first.device)

    @cached_property
    def offsets(self) -> torch.Tensor:
        """Where each text begins, and the last one ends; fillers are one text more. Int32 [texts + 1 or 2]."""
        ends = [self.first.new_full((1,), end) for end in ([] if self.is_full else [self.real]) + [self.tokens]]
        return torch.cat([self.first, *ends]).int()

    @property
    def is_full(self) -> bool:
        """Whether there are no fillers."""
        return self.real == self.tokens

    @cached_property
    def text_of_first(self) -> torch.Tensor | None:
        """Which text begins with a token, and the number of texts where none does, int64 [T]; None on a CPU.

        By it, rows are put where texts begin by reading instead of writing: of index_copy_ torch's deterministic
        algorithm on a CUDA device sorts the indices, in ten kernels.
        """
        if self.first.device.type == "cpu":
            return None
        places = torch.arange(self.tokens, device=self.first.device)
        text = torch.searchsorted(self.first, places, right=True) - 1
        return text.masked_fill(self.first[text] != places, len(self.first))


@dataclass(frozen=True)
class Attending:
    """How the texts of a row attend, each within itself."""

    packing: Packing
    first_only: bool  # whether the only query of each text is its first token's; the others get zeros, or anything
    window: int | None  # how far, exclusive, a token attends to both sides; None for no limit
    scaling: float  # of the products
    dropout: float  # the rate at which attention weights are dropped, 0 outside training


def group_widths(lengths: np.ndarray) -> list[tuple[int, int]]:
    """Attention's groups, as (rows, width), for lengths that fall.

    Of all ways to cut the texts into groups it is the one with the fewest scores, each group priced at
    _GROUP_SCORES (dynamic programming over the distinct widths).
    """
    widths, counts = np.unique(-(-lengths // _WIDTH_STEP) * _WIDTH_STEP, return_counts=True)
    widths, counts = widths[::-1].tolist(), counts[::-1].tolist()
    best: list[tuple[float, int]] = [(0.0, 0)] * (len(widths) + 1)  # cost from this width on, end of its group
    for i in range(len(widths) - 1, -1, -1):
        rows, options = 0, []
        for j in range(i, len(widths)):
            rows += counts[j]
            options.append((rows * widths[i] ** 2 + _GROUP_SCORES + best[j + 1][0], j + 1))
        best[i] = min(options)
    groups, i = [], 0
    while i < len(widths):
        end = best[i][1]
        groups.append((sum(counts[i:end]), widths[i]))
        i = end
    return groups


def _group(lengths: np.ndarray, tokens: int, device: torch.device) -> Grouping:
    real, widths_of_groups = int(lengths.sum()), group_widths(lengths)
    widths = np.repeat([width for _, width in widths_of_groups], [rows for rows, _ in widths_of_groups])
    slots = np.cumsum(widths) - widths
    slot_of_token = np.zeros(tokens, np.int64)
    slot_of_token[:real] = np.repeat(slots, lengths) + positions_of(lengths)
    # Nothing reads a filler, so no gradient reaches it: padding may take its values from there.
    token_of_slot = np.full(int(widths.sum()), tokens - 1, np.int64)
    token_of_slot[slot_of_token[:real]] = np.arange(real)
    groups, row = [], 0
    for rows, width in widths_of_groups:
        mask = np.arange(width) < lengths[row : row + rows, None]
        groups.append(Group(rows, width, None if mask.all() else move(mask[:, None, None, :], device)))
        row += rows
    return Grouping(tuple(groups), move(token_of_slot, device), move(slot_of_token, device))


def positions_of(lengths: np.ndarray) -> np.ndarray:
    """Each token's position in its text, int64, of texts that lie one after the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def pack(lengths: np.ndarray, tokens: int, device: torch.device) -> tuple[Packing, torch.Tensor]:
    """Lay texts out in a row.

    Args:
        lengths: int, tokens of each text, falling.
        tokens: T, at least one more than all lengths together.
        device: where the tensors go.

    Returns:
        The packing, and each token's position in its text, int64 [1, T], 0 for fillers.
    """
    real = int(lengths.sum())
    positions = np.zeros((1, tokens), np.int64)
    positions[0, :real] = positions_of(lengths)
    packing = Packing(
        first=move((np.cumsum(lengths) - lengths).astype(np.int64), device),
        lengths=move(lengths.astype(np.int64), device),
        tokens=tokens,
        real=real,
        longest=int(lengths.max()),
        on_host=lengths,
    )
    return packing, move(positions, device)


def move(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array as a tensor on the device."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":  # pinned memory lets the copy run beside the computation
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
