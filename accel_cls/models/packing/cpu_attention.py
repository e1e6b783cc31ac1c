"""Attention with dropout on packed texts, for CPUs: forward and backward pass by hand.

Left to autograd, each group's queries, keys, values and results are copied into the order that matrix products need,
there and back, and a group's gradient is put into zeros for all groups. Here one index takes each head's rows there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from accel_cls.devices.cpu.dropout import apply_mask, keep_mask
from accel_cls.models.packing.gather import scatter_rows
from accel_cls.models.packing.row import Attending, Packing, positions_of


def attention_with_dropout(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, how: Attending
) -> torch.Tensor:
    """Softmax of scaled products of queries and keys within each text, dropped out, times the values.

    Args:
        query, key, value: [T, heads, size].
        how: with a rate of dropout between 0 and 1, both exclusive; tokens that are no query get zeros.

    Returns:
        [T, heads, size].
    """
    query, key = query.to(value.dtype), key.to(value.dtype)
    return _Attention.apply(query, key, value, how)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, how: Attending) -> torch.Tensor:
        packing, first_only, scaling, dropout = how.packing, how.first_only, how.scaling, how.dropout
        heads, size = query.shape[1:]
        shapes = _Shapes(packing, heads, first_only)
        row_of_slot, slot_of_row, first = _by_head(packing, heads)
        queried = first if first_only else row_of_slot
        q = query.reshape(-1, size).index_select(0, queried).mul_(scaling)
        k, v = (x.reshape(-1, size).index_select(0, row_of_slot) for x in (key, value))
        scores = q.new_empty(shapes.scores)
        weights = torch.empty_like(scores)
        biases = _biases(packing, how.window, first_only, scores.dtype)
        parts = zip(shapes.queries(q), shapes.keys(k), shapes.of(scores), shapes.of(weights), biases, strict=True)
        for q_, k_, scores_, weights_, bias in parts:
            torch.bmm(q_, k_.transpose(1, 2), out=scores_)
            if bias is not None:
                scores_.view(-1, heads, *scores_.shape[1:]).add_(bias)
            torch.softmax(scores_, -1, out=weights_)
        kept = keep_mask(weights.shape, dropout, weights.dtype)
        dropped = apply_mask(weights, kept, dropout)
        output = torch.empty_like(q)
        for dropped_, v_, output_ in zip(shapes.of(dropped), shapes.keys(v), shapes.queries(output), strict=True):
            torch.bmm(dropped_, v_, out=output_)
        ctx.save_for_backward(q, k, v, weights, kept, dropped, slot_of_row, queried)
        ctx.shapes, ctx.scaling, ctx.dropout, ctx.first_only = shapes, scaling, dropout, first_only
        ctx.real = packing.real * heads
        return _to_rows(output, slot_of_row, queried, first_only).view(-1, heads, size)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, weights, kept, dropped, slot_of_row, queried = ctx.saved_tensors
        shapes: _Shapes = ctx.shapes
        shape = gradient.shape
        of_output = gradient.reshape(-1, shape[-1]).index_select(0, queried)
        of_dropped, of_q, of_k, of_v = (torch.empty_like(x) for x in (dropped, q, k, v))
        parts = zip(
            shapes.queries(of_output), shapes.keys(v), shapes.of(dropped), shapes.of(of_dropped), shapes.keys(of_v),
            strict=True,
        )  # fmt: skip
        for of_output_, v_, dropped_, of_dropped_, of_v_ in parts:
            torch.bmm(of_output_, v_.transpose(1, 2), out=of_dropped_)
            torch.bmm(dropped_.transpose(1, 2), of_output_, out=of_v_)
        of_weights = apply_mask(of_dropped, kept, ctx.dropout)
        of_scores = of_dropped  # its memory: nothing needs it any more
        for part in zip(shapes.of(of_weights), shapes.of(weights), shapes.of(of_scores), strict=True):
            torch._softmax_backward_data(part[0], part[1], -1, weights.dtype, grad_input=part[2])
        for of_scores_, k_, of_q_ in zip(shapes.of(of_scores), shapes.keys(k), shapes.queries(of_q), strict=True):
            torch.bmm(of_scores_, k_, out=of_q_)
        for of_scores_, q_, of_k_ in zip(shapes.of(of_scores), shapes.queries(q), shapes.keys(of_k), strict=True):
            torch.bmm(of_scores_.transpose(1, 2), q_, out=of_k_)
        of_q.mul_(ctx.scaling)
        of_query = _to_rows(of_q, slot_of_row, queried, ctx.first_only)
        of_key, of_value = (x.index_select(0, slot_of_row) for x in (of_k, of_v))
        for rows in (of_query, of_key, of_value):
            rows[ctx.real :] = 0  # fillers: their index points to anything
        return *(rows.view(shape) for rows in (of_query, of_key, of_value)), None


class _Shapes:
    """How what belongs to all groups, one after the other, is cut into each group's matrices, one a text and head."""

    def __init__(self, packing: Packing, heads: int, first_only: bool):
        groups = packing.grouping.groups
        count = [group.rows * heads for group in groups]
        keys = [group.width for group in groups]
        queries = [1] * len(keys) if first_only else keys
        self._queries = list(zip(count, queries, strict=True))
        self._keys = list(zip(count, keys, strict=True))
        self._scores = list(zip(count, queries, keys, strict=True))
        self.scores = sum(math.prod(shape) for shape in self._scores)

    def queries(self, rows: torch.Tensor) -> Iterator[torch.Tensor]:
        """Of a row for each query, [..., size]: [texts × heads, queries, size] of each group."""
        return _cut(rows, self._queries)

    def keys(self, rows: torch.Tensor) -> Iterator[torch.Tensor]:
        """Of a row for each key, [..., size]: [texts × heads, keys, size] of each group."""
        return _cut(rows, self._keys)

    def of(self, scores: torch.Tensor) -> Iterator[torch.Tensor]:
        """Of one number for each query and key: [texts × heads, queries, keys] of each group."""
        return _cut(scores, self._scores)


def _cut(values: torch.Tensor, shapes: Sequence[tuple[int, ...]]) -> Iterator[torch.Tensor]:
    parts = values.split([math.prod(shape) for shape in shapes])
    return (part.view(*shape, *values.shape[1:]) for part, shape in zip(parts, shapes, strict=True))


def _to_rows(values: torch.Tensor, slot_of_row: torch.Tensor, queried: torch.Tensor, first_only: bool) -> torch.Tensor:
    """A row for each token and head, of one for each query."""
    return scatter_rows(values, queried, None, len(slot_of_row)) if first_only else values.index_select(0, slot_of_row)


def _by_head(packing: Packing, heads: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where each head's row of a token, [T × heads], lies in the order of text, head, token within the text.

    Returns:
        The row of each slot, int64 [S × heads]; the slot of each row, int64 [T × heads]; the rows of the texts' first
        tokens, int64 [texts × heads].
    """
    cache = packing.grouping.cache
    if heads not in cache:
        lengths, head, groups = packing.lengths.numpy(), np.arange(heads), packing.grouping.groups
        widths = np.repeat([group.width for group in groups], [group.rows for group in groups])
        starts = (np.cumsum(widths) - widths) * heads
        slot_of_row = np.zeros((packing.tokens, heads), np.int64)
        slot_of_row[: packing.real] = (np.repeat(starts, lengths) + positions_of(lengths))[:, None]
        slot_of_row[: packing.real] += np.repeat(widths, lengths)[:, None] * head
        row_of_slot = np.full(widths.sum() * heads, packing.tokens * heads - 1)  # a filler's, which nothing reads
        row_of_slot[slot_of_row[: packing.real].ravel()] = np.arange(packing.real * heads)
        arrays = row_of_slot, slot_of_row.ravel(), (packing.first.numpy()[:, None] * heads + head).ravel()
        cache[heads] = tuple(torch.from_numpy(array) for array in arrays)
    return cache[heads]


def _biases(packing: Packing, window: int | None, first_only: bool, dtype: torch.dtype) -> list[torch.Tensor | None]:
    """What each group adds to its scores: [texts or 1, 1, queries or 1, keys]; None for nothing.

    Not -inf: what stands for padding's own queries may see nothing within its window, and must not become NaN.
    """
    cache, key = packing.grouping.cache, (window, first_only, dtype)
    if key not in cache:
        allowed = [group.attention_mask(window, first_only, torch.device("cpu")) for group in packing.grouping.groups]
        least = torch.finfo(dtype).min
        cache[key] = [
            None if a is None else torch.zeros(a.shape, dtype=dtype).masked_fill_(~a, least) for a in allowed
        ]
    return cache[key]
