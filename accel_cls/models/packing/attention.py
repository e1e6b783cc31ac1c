"""Attention within each text of a packed row."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from accel_cls.models.packing.cpu_attention import attend_with_dropout
from accel_cls.models.packing.gather import put, rearrange, take
from accel_cls.models.packing.row import Packing


def mask_of_padding(*shape: Any, attention_mask: torch.Tensor | None = None, **options: Any) -> torch.Tensor | None:
    """The mask for padded rows; packed texts come without one, and transformers need not make any of T × T."""
    return None if attention_mask is None else sdpa_mask(*shape, attention_mask=attention_mask, **options)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packing: Packing | None = None,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it, within each text of a packed row; of padded rows, as "sdpa" does it.

    Where the module has `first_only`, each text's first token asks, and the others get zeros.

    Args:
        query, key, value: [1, heads, T, size].
        sliding_window: how far, exclusive, a token looks to both sides; None for no limit.

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
    # With dropout torch has no fused attention for CPUs, and its dropout is slow there.
    by_group = attend_with_dropout if 0 < dropout < 1 and query.device.type == "cpu" else _attend
    scaling = scaling or query.shape[-1] ** -0.5
    output = by_group(query, key, value, packing, first_only, sliding_window, scaling, dropout)
    return output.unsqueeze(0), None


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packing: Packing,
    first_only: bool,
    window: int | None,
    scaling: float,
    dropout: float,
) -> torch.Tensor:
    """By torch's fused kernels: [T, heads, size] each, and so is what they return."""
    heads, size = query.shape[1:]
    sizes = [group.rows * group.width for group in packing.groups]
    keys, values = (_to_slots(x, packing).split(sizes) for x in (key, value))
    if first_only:
        queries = take(query, packing.first).split([group.rows for group in packing.groups])
    else:
        queries = _to_slots(query, packing).split(sizes)
    outputs = []
    for group, *parts in zip(packing.groups, queries, keys, values, strict=True):
        q, k, v = (part.view(group.rows, -1, heads, size).transpose(1, 2) for part in parts)
        allowed = group.allowed(window, first_only, query.device)
        output = scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=dropout, scale=scaling)
        outputs.append(output.transpose(1, 2).reshape(-1, heads, size))
    output = torch.cat(outputs)
    if first_only:
        return put(output, packing.first, packing.tokens)
    return rearrange(output, packing.slot_of_token, packing.token_of_slot)


def _to_slots(values: torch.Tensor, packing: Packing) -> torch.Tensor:
    return rearrange(values, packing.token_of_slot, packing.slot_of_token, packing.real)
