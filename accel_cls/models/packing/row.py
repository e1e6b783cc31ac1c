"""Where the texts of a packed row lie, and how attention groups them."""

from __future__ import annotations

from dataclasses import dataclass, field
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
class Packing:
    """Where the texts lie in a row of T tokens, and in attention's groups, which have S slots in all."""

    first: torch.Tensor  # int64 [texts]: each text's first token
    lengths: torch.Tensor  # int64 [texts]
    token_of_slot: torch.Tensor  # int64 [S]: a filler for padding
    slot_of_token: torch.Tensor  # int64 [T]: any for a filler
    tokens: int  # T
    real: int  # of these, before the fillers
    groups: tuple[Group, ...]
    cache: dict[Any, Any] = field(default_factory=dict)  # what follows from it, worked out once for all layers


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
    groups = group_widths(lengths)
    widths = np.repeat([width for _, width in groups], [rows for rows, _ in groups])
    starts, slots = np.cumsum(lengths) - lengths, np.cumsum(widths) - widths
    positions = np.zeros(tokens, np.int64)
    positions[:real] = np.arange(real) - np.repeat(starts, lengths)
    slot_of_token = np.zeros(tokens, np.int64)
    slot_of_token[:real] = np.repeat(slots, lengths) + positions[:real]
    # Nothing reads a filler, so no gradient reaches it: padding may take its values from there.
    token_of_slot = np.full(int(widths.sum()), tokens - 1, np.int64)
    token_of_slot[slot_of_token[:real]] = np.arange(real)
    masks, row = [], 0
    for rows, width in groups:
        mask = np.arange(width) < lengths[row : row + rows, None]
        masks.append(Group(rows, width, None if mask.all() else move(mask[:, None, None, :], device)))
        row += rows
    packing = Packing(
        first=move(starts.astype(np.int64), device),
        lengths=move(lengths.astype(np.int64), device),
        token_of_slot=move(token_of_slot, device),
        slot_of_token=move(slot_of_token, device),
        tokens=tokens,
        real=real,
        groups=tuple(masks),
    )
    return packing, move(positions[None], device)


def move(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array as a tensor on the device."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":  # pinned memory lets the copy run beside the computation
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
