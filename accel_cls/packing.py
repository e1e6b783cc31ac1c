"""Texts packed into one row, one after the other, without padding between them.

A micro-batch of padded rows computes on padding: 37% of it with reviews of 27 tokens on average. Packed, the texts of
a micro-batch form one row of T tokens, [1, T]. All layers that treat each token by itself (projections, norms,
feed-forward: nearly all the work) see real tokens only. Three things have to know the texts:

- positions begin anew with each text: `position_ids` is passed;
- attention stays within each text: the `packed` attention function, registered with transformers, takes the texts
  apart into small groups of like width, attends within each, and puts them together again;
- the classifier reads one vector a text: a hook on the encoder's output hands on [texts, 1, hidden] in place of
  [1, T, hidden], and the model's own pooler and head read it as ever.

The result is the padded model's up to rounding: tests hold logits and gradients of each family to 1e-10 in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from accel_cls.cpu.dropout import quick_dropout

# Families whose positions are given from outside and whose classifier reads a text's first token (ModernBERT's may
# read the mean), and the part of the base model that puts out the last layer: with a pooler, its encoder; without,
# the base model itself. Each stands in tests/test_packing.py.
_ENDS = {
    "albert": "encoder",
    "bert": "encoder",
    "camembert": "",
    "data2vec-text": "",
    "distilbert": "",
    "electra": "",
    "ernie": "encoder",
    "modernbert": "",
    "roberta": "",
    "xlm-roberta": "",
}
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

    def allowed(self, window: int | None, device: torch.device) -> torch.Tensor | None:
        """Which keys a query may look at: bool, broadcastable to [rows, heads, width, width]; None for all."""
        if window is None or window >= self.width:
            return self.mask
        places = torch.arange(self.width, device=device)
        near = (places[:, None] - places).abs() < window
        return near if self.mask is None else self.mask & near


@dataclass(frozen=True)
class Packing:
    """Where the texts lie in a row of T tokens, and in attention's groups, which have S slots in all."""

    first: torch.Tensor  # int64 [texts]: each text's first token
    lengths: torch.Tensor  # int64 [texts]
    token_of_slot: torch.Tensor  # int64 [S]: a filler for padding
    slot_of_token: torch.Tensor  # int64 [T]: any for a filler
    real: int  # tokens before the fillers
    groups: tuple[Group, ...]

    def to_slots(self, values: torch.Tensor) -> torch.Tensor:
        """[T, ...] of tokens as [S, ...] of slots."""
        return _Rearrange.apply(values, self.token_of_slot, self.slot_of_token, self.real)

    def to_tokens(self, values: torch.Tensor) -> torch.Tensor:
        """[S, ...] of slots as [T, ...] of tokens."""
        return _Rearrange.apply(values, self.slot_of_token, self.token_of_slot, None)


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


def can_pack(config: Any) -> bool:
    """Whether models of this configuration can take packed texts."""
    return config.model_type in _ENDS and getattr(config, "position_embedding_type", None) in (None, "absolute")


def make_packable(model: PreTrainedModel) -> int:
    """Let a classifier take packed texts: `model(input_ids, position_ids=…, packing=…)`. Padded rows work as ever.

    Returns:
        The position id of a text's first token: 0, or past the padding's own in RoBERTa's line.
    """
    AttentionInterface.register("packed", attend)
    AttentionMaskInterface.register("packed", _mask_of_padding)
    model.set_attn_implementation("packed")
    pooling = getattr(model.config, "classifier_pooling", "cls")

    def hand_on_one_vector_a_text(_: Any, __: Any, options: dict[str, Any], output: Any) -> Any:
        packing = options.get("packing")
        if packing is not None:
            output.last_hidden_state = _pool(output.last_hidden_state[0], packing, pooling)[:, None]
        return output

    end = model.base_model.get_submodule(_ENDS[model.config.model_type])
    end.register_forward_hook(hand_on_one_vector_a_text, with_kwargs=True)
    positions = [m for name, m in model.named_modules() if name.endswith("position_embeddings")]
    padding = positions[0].padding_idx if positions else None
    return 0 if padding is None else padding + 1


def _pool(hidden: torch.Tensor, packing: Packing, pooling: str) -> torch.Tensor:
    """One vector a text, [texts, hidden], of [T, hidden]: its first token's, or the mean of its tokens'."""
    if pooling == "cls":
        return hidden.index_select(0, packing.first)
    texts = torch.arange(len(packing.first), device=hidden.device)
    owners = texts.repeat_interleave(packing.lengths, output_size=packing.real)
    sums = hidden.new_zeros(len(texts), hidden.shape[1]).index_add(0, owners, hidden[: packing.real])
    return sums / packing.lengths[:, None]


def _mask_of_padding(*shape: Any, attention_mask: torch.Tensor | None = None, **options: Any) -> torch.Tensor | None:
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
    slots = [packing.to_slots(x[0].transpose(0, 1)) for x in (query, key, value)]
    heads, size = query.shape[1], query.shape[3]
    outputs, start = [], 0
    for group in packing.groups:
        end = start + group.rows * group.width
        q, k, v = (x[start:end].view(group.rows, group.width, heads, size).transpose(1, 2) for x in slots)
        output = _attend_within(q, k, v, group.allowed(sliding_window, query.device), dropout, scaling)
        outputs.append(output.transpose(1, 2).reshape(-1, heads, size))
        start = end
    return packing.to_tokens(torch.cat(outputs))[None], None


def _attend_within(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    allowed: torch.Tensor | None,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    if not dropout or query.device.type != "cpu":
        return scaled_dot_product_attention(query, key, value, attn_mask=allowed, dropout_p=dropout, scale=scaling)
    # With dropout torch has no fused attention for CPUs, and its dropout is slow there.
    scores = torch.matmul(query * (scaling or query.shape[-1] ** -0.5), key.transpose(-1, -2))
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    return torch.matmul(quick_dropout(scores.softmax(-1), dropout), value)


class _Rearrange(torch.autograd.Function):
    """`source[index]` along the first axis, whose gradient is read by the inverse index, not added up."""

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
