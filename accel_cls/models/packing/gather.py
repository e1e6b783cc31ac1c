"""Rows of a tensor gathered and scattered, with gradients that are read or copied, never added up.

`FAST` is that, by backward passes of its own; `PLAIN` is the same by torch's indexing, whose gradients autograd finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class RowKernels:
    """How rows, along the first axis, are gathered and scattered."""

    # (source, index, inverse, real): source[index], given the inverse index; from row `real` on (None: nowhere) the
    # source gets no gradient.
    permute: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int | None], torch.Tensor]
    # (source, index): source[index], of rows that are all different.
    gather: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    # (source, index, rows): so many rows: row k of the source at index[k], all different; zeros elsewhere.
    scatter: Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]


class _Permute(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, source: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor, real: int | None
    ) -> torch.Tensor:
        ctx.save_for_backward(inverse)
        ctx.real = real
        return source.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (inverse,) = ctx.saved_tensors
        gradient = gradient.index_select(0, inverse)
        if ctx.real is not None:
            gradient[ctx.real :] = 0
        return gradient, None, None, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(index)
        ctx.rows = len(source)
        return source.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (index,) = ctx.saved_tensors
        return scatter_rows(gradient, index, ctx.rows), None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, index: torch.Tensor, rows: int) -> torch.Tensor:
        ctx.save_for_backward(index)
        return scatter_rows(source, index, rows)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (index,) = ctx.saved_tensors
        return gradient.index_select(0, index), None, None


def scatter_rows(source: torch.Tensor, index: torch.Tensor, rows: int) -> torch.Tensor:
    """So many rows: row k of `source` at `index[k]`, all different, and zeros; autograd finds its gradient."""
    return source.new_zeros(rows, *source.shape[1:]).index_copy_(0, index, source)


def _permute_plain(source: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor, real: int | None) -> torch.Tensor:
    if real is not None:  # padding reads rows from here on, and its gradient belongs to no token
        source = torch.cat([source[:real], source[real:].detach()])
    return source.index_select(0, index)


FAST = RowKernels(permute=_Permute.apply, gather=_Gather.apply, scatter=_Scatter.apply)
PLAIN = RowKernels(
    permute=_permute_plain, gather=lambda source, index: source.index_select(0, index), scatter=scatter_rows
)
