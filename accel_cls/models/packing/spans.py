"""Attention within each text of a packed row, by where the texts begin: one kernel for all of them, whatever they are.

Groups of texts (`attention.py`) are several kernels each, of shapes that follow from the lengths: good where a kernel
costs little beside its work, as on a CPU, and where it is in fp32. On a CUDA device FlashAttention takes the row as it
is, and no shape depends on the lengths, which lets a pass be captured as a graph.
"""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from accel_cls.devices.cuda.flash import Spans, flash_attention, why_not_flash
from accel_cls.models.packing.gather import FAST, put_first, take_first
from accel_cls.models.packing.row import Attending, Packing


def attends_by_spans(value: torch.Tensor, packing: Packing) -> bool:
    """Whether it is done so for these values, [T, heads, size]; it has to be where groups can't be made."""
    return packing.on_host is None or why_not_flash(value.device, value.dtype, value.shape[-1]) is None


def attention_by_spans(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, how: Attending) -> torch.Tensor:
    """Attention within each text: [T, heads, size] each, and so is what it returns."""
    packing, offsets, window = how.packing, how.packing.offsets, how.window
    query, key = query.to(value.dtype), key.to(value.dtype)
    # Fillers may be more than the longest text has tokens.
    longest = max(packing.longest, packing.tokens - packing.real)
    if window is not None and window >= longest:
        window = None
    attend = _dense if why_not_flash(value.device, value.dtype, value.shape[-1]) else flash_attention
    # With a window FlashAttention takes a text's only query for its last token; then all tokens ask.
    if not how.first_only or window is not None:
        spans = Spans(offsets, offsets, longest, longest)
        return attend(query, key, value, spans, how.scaling, how.dropout, window)
    queries = take_first(FAST, query, packing)
    if not packing.is_full:
        # Fillers ask, too, though nothing reads the answer: else the gradients of their keys and values are not
        # written, and what lies in that memory reaches the weights.
        queries = torch.cat([queries, query[packing.real : packing.real + 1].detach()])
    one_each = torch.arange(len(offsets), dtype=torch.int32, device=query.device)
    spans = Spans(one_each, offsets, 1, longest)
    output = attend(queries, key, value, spans, how.scaling, how.dropout, None)
    return put_first(FAST, output[: len(packing.first)], packing)


def _dense(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    spans: Spans,
    scaling: float,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """As `flash_attention`, by the products of all queries and keys: for any device and dtype, and few tokens."""
    places = [torch.arange(len(x), device=x.device) for x in (query, key)]
    texts = [
        torch.searchsorted(offsets, place, right=True)
        for offsets, place in zip((spans.query_offsets, spans.key_offsets), places, strict=True)
    ]
    allowed = texts[0][:, None] == texts[1]
    if window is not None:
        allowed &= (places[0][:, None] - places[1]).abs() < window
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (query, key, value))
    output = scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=dropout, scale=scaling)
    return output.squeeze(0).transpose(0, 1)
