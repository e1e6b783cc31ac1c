"""Rows of a tensor taken and put elsewhere, with gradients that are read or copied, never added up."""

from __future__ import annotations

from typing import Any

import torch


def rearrange(
    source: torch.Tensor, index: torch.Tensor, inverse: torch.Tensor, real: int | None = None
) -> torch.Tensor:
    """`source[index]` along the first axis, given the inverse index; from row `real` on without a gradient."""
    return _Rearrange.apply(source, index, inverse, real)


def take(source: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """`source[index]` along the first axis, of rows that are all different."""
    return _Take.apply(source, index)


def put(source: torch.Tensor, index: torch.Tensor, rows: int) -> torch.Tensor:
    """So many rows: row k of `source` at `index[k]`, where no other goes, and zeros."""
    return _Put.apply(source, index, rows)


class _Rearrange(torch.autograd.Function):
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


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(index)
        ctx.rows = len(source)
        return source.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (index,) = ctx.saved_tensors
        return among_zeros(gradient, index, ctx.rows), None


class _Put(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, index: torch.Tensor, rows: int) -> torch.Tensor:
        ctx.save_for_backward(index)
        return among_zeros(source, index, rows)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (index,) = ctx.saved_tensors
        return gradient.index_select(0, index), None, None


def among_zeros(source: torch.Tensor, index: torch.Tensor, rows: int) -> torch.Tensor:
    """`put`, as an operation without a gradient."""
    return source.new_zeros(rows, *source.shape[1:]).index_copy_(0, index, source)
