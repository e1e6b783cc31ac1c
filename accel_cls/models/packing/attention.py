"""Attention within each text of a packed row."""

from __future__ import annotations

import functools
from typing import Any, Literal

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from accel_cls.models.packing.cpu_attention import attention_with_dropout
from accel_cls.models.packing.gather import FAST, PLAIN, RowKernels, put_first, take_first
from accel_cls.models.packing.row import Attending, Packing
from accel_cls.models.packing.spans import attends_by_spans, attention_by_spans

# "fast": backward passes written by hand, where they are quicker; "plain": torch's own operations and autograd alone.
Kernels = Literal["fast", "plain"]


def register_attention(kernels: Kernels) -> str:
    """Register packed attention and its mask with transformers; returns the name they are registered under."""
    name = {"fast": "packed", "plain": "packed_plain"}[kernels]
    AttentionInterface.register(name, functools.partial(packed_attention, kernels=kernels))
    AttentionMaskInterface.register(name, padding_mask)
    return name


def padding_mask(*shape: Any, attention_mask: torch.Tensor | None = None, **options: Any) -> torch.Tensor | None:
    """The mask for padded rows; packed texts come without one, and transformers need not make any of T × T."""
    return None if attention_mask is None else sdpa_mask(*shape, attention_mask=attention_mask, **options)


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packing: Packing | None = None,
    sliding_window: int | None = None,
    *,
    kernels: Kernels,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it, within each text of a packed row; of padded rows, as "sdpa" does it.

    Where the module has `first_only`, the only query of each text is its first token's; all others get zeros.

    Args:
        module: the model's attention.
        query: [1, heads, T, size].
        key: [1, heads, T, size].
        value: [1, heads, T, size].
        attention_mask: of padded rows.
        dropout: the rate at which attention weights are dropped.
        scaling: of the products; None for 1 / √size.
        packing: where the texts lie; None for padded rows.
        sliding_window: how far, exclusive, a token attends to both sides; None for no limit.
        kernels: what it is done by.

    Returns:
        [1, T, heads, size], and no weights.
    """
    if packing is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
    # Not x[0], whose gradient would be copied into zeros.
    query, key, value = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
    first_only = getattr(module, "first_only", False)
    scaling = scaling or query.shape[-1] ** -0.5
    how = Attending(packing, first_only, sliding_window, scaling, dropout)
    if kernels == "fast" and attends_by_spans(value, packing):
        output = attention_by_spans(query, key, value, how)
    # With dropout torch has no fused attention for CPUs, and its dropout is slow there.
    elif kernels == "fast" and 0 < dropout < 1 and query.device.type == "cpu":
        output = attention_with_dropout(query, key, value, how)
    else:
        output = _sdpa_by_group(query, key, value, how, FAST if kernels == "fast" else PLAIN)
    return output.unsqueeze(0), None


def _sdpa_by_group(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, how: Attending, rows: RowKernels
) -> torch.Tensor:
    """By torch's scaled_dot_product_attention: [T, heads, size] each, and so is what it returns."""
    heads, size = query.shape[1:]
    packing, grouping = how.packing, how.packing.grouping
    sizes = [group.rows * group.width for group in grouping.groups]

    def to_slots(values: torch.Tensor) -> torch.Tensor:
        return rows.permute(values, grouping.token_of_slot, grouping.slot_of_token, packing.real)

    keys, values = (to_slots(x).split(sizes) for x in (key, value))
    if how.first_only:
        queries = take_first(rows, query, packing).split([group.rows for group in grouping.groups])
    else:
        queries = to_slots(query).split(sizes)
    outputs = []
    for group, *parts in zip(grouping.groups, queries, keys, values, strict=True):
        q, k, v = (part.view(group.rows, -1, heads, size).transpose(1, 2) for part in parts)
        allowed = group.attention_mask(how.window, how.first_only, query.device)
        output = scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=how.dropout, scale=how.scaling)
        outputs.append(output.transpose(1, 2).reshape(-1, heads, size))
    output = torch.cat(outputs)
    if how.first_only:
        return put_first(rows, output, packing)
    return rows.permute(output, grouping.slot_of_token, grouping.token_of_slot, None)
