"""Rows of a tensor gathered and scattered, with gradients that are read or copied, never added up.

`FAST` is that, by backward passes of its own; `PLAIN` is the same by torch's indexing, whose gradients autograd finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from accel_cls.models.packing.row import Packing


@dataclass(frozen=True)
class RowKernels:
    """How rows, along the first axis, are gathered and scattered."""

    # (source, index, inverse, real): source[index], given the inverse index; from row `real` on (None: nowhere) the
    # source gets no gradient.
    permute: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int | None], torch.Tensor]
    # (source, index, inverse): source[index], of rows that are all different; `inverse` as `scatter_rows` takes it.
    gather: Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
    # (source, index, inverse, rows): see `scatter_rows`.
    scatter: Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None, int], torch.Tensor]


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
    def forward(ctx: Any, source: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(index, inverse)
        ctx.rows = len(source)
        return source.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        index, inverse = ctx.saved_tensors
        return scatter_rows(gradient, index, inverse, ctx.rows), None, None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, source: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor | None, rows: int
    ) -> torch.Tensor:
        ctx.save_for_backward(index)
        return scatter_rows(source, index, inverse, rows)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (index,) = ctx.saved_tensors
        return gradient.index_select(0, index), None, None, None


def scatter_rows(source: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor | None, rows: int) -> torch.Tensor:
    """So many rows: row k of `source` at `index[k]`, all different, and zeros; autograd finds its gradient.

    Args:
        inverse: int64 [rows], which row of the source each one is, and len(source) for zeros: then rows are read
            where they would be written; None where there is none.
    """
    if inverse is None:
        return source.new_zeros(rows, *source.shape[1:]).index_copy_(0, index, source)
    return torch.cat([source, source.new_zeros(1, *source.shape[1:])]).index_select(0, inverse)


def take_first(kernels: RowKernels, values: torch.Tensor, packing: Packing) -> torch.Tensor:
    """Each text's first token's row, [texts, ...], of [T, ...]."""
    return kernels.gather(values, packing.first, packing.text_of_first)


def put_first(kernels: RowKernels, values: torch.Tensor, packing: Packing) -> torch.Tensor:
    """Rows [texts, ...] where each text begins, and zeros elsewhere, [T, ...]."""
    return kernels.scatter(values, packing.first, packing.text_of_first, packing.tokens)


def _permute_plain(source: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor, real: int | None) -> torch.Tensor:
    if real is not None:  # padding reads rows from here on, and its gradient belongs to no token
        source = torch.cat([source[:real], source[real:].detach()])
    return source.index_select(0, index)


FAST = RowKernels(permute=_Permute.apply, gather=_Gather.apply, scatter=_Scatter.apply)
PLAIN = RowKernels(
    permute=_permute_plain,
    gather=lambda source, index, _: source.index_select(0, index),
    scatter=lambda source, index, _, rows: scatter_rows(source, index, None, rows),
)
