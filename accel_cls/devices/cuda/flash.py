"""FlashAttention over texts of any lengths in one row (Dao 2023), as torch has it.

torch (2.13) has a public function for it, `torch.nn.attention.varlen.varlen_attn`, without dropout. The operator
beneath has it, and a backward pass that repeats itself under deterministic algorithms. It is not part of torch's
interface: so it is looked for and tried, and where it is missing, or is another one, attention goes another way.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch

_NAME = "_flash_attention_forward"
# What is passed by position, and by name.
_POSITIONAL = (
    *("query", "key", "value", "cum_seq_q", "cum_seq_k", "max_q", "max_k"),
    *("dropout_p", "is_causal", "return_debug_mask"),
)
_NAMED = {"scale", "window_size_left", "window_size_right"}
_DTYPES = (torch.bfloat16, torch.float16)
_CAPABILITY = (8, 0)  # Ampere and later
_MOST_SIZE, _SIZE_STEP = 256, 8  # of a head
_MOST_OFF = 0.05  # of what is right, in a trial: bf16 has three digits


def has_operator() -> bool:
    """Whether this torch has the operator, with the arguments that are given to it."""
    operator = getattr(torch.ops.aten, _NAME, None)
    if operator is None:
        return False
    arguments = [argument.name for argument in operator.default._schema.arguments]
    return tuple(arguments[: len(_POSITIONAL)]) == _POSITIONAL and set(arguments) >= _NAMED


@functools.cache
def why_not_flash(device: torch.device, dtype: torch.dtype, size: int) -> str | None:
    """Why attention can't be computed so; None where it can.

    Args:
        device: where.
        dtype: of queries, keys and values.
        size: of each head.
    """
    if device.type != "cuda":
        return f"FlashAttention needs a CUDA device, not {device.type}"
    if dtype not in _DTYPES:
        return f"FlashAttention is for bf16 and fp16, not {str(dtype).removeprefix('torch.')}"
    if not has_operator():
        return f"torch {torch.__version__} has no operator {_NAME} as it is used here"
    if not torch.backends.cuda.is_flash_attention_available():
        return f"torch {torch.__version__} was built without FlashAttention"
    if torch.cuda.get_device_capability(device) < _CAPABILITY:
        return f"FlashAttention needs compute capability 8.0, {torch.cuda.get_device_name(device)} has less"
    if size > _MOST_SIZE or size % _SIZE_STEP:
        return f"FlashAttention is for heads of a multiple of {_SIZE_STEP} numbers up to {_MOST_SIZE}, not {size}"
    return fault_in_trial(device, dtype, size)


def fault_in_trial(device: torch.device, dtype: torch.dtype, size: int) -> str | None:
    """What is wrong with its answers and gradients for two short texts; None where they are right."""
    lengths, heads = (5, 12), 2
    shape = sum(lengths), heads, size
    numbers = torch.arange(shape[0] * heads * size, device=device, dtype=torch.float32).reshape(shape).sin()
    query, key, value = inputs = [(numbers * factor).to(dtype).requires_grad_() for factor in (1.0, 0.7, 1.3)]
    offsets = torch.tensor([0, lengths[0], shape[0]], dtype=torch.int32, device=device)
    try:
        spans = Spans(offsets, offsets, max(lengths), max(lengths))
        found = flash_attention(query, key, value, spans, 0.2, 0.0, None)
        gradients = torch.autograd.grad(found.float().square().sum(), inputs)
    except RuntimeError as error:
        return f"FlashAttention failed in a trial: {str(error).strip().splitlines()[0]}"
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    parts = zip(*(tensor.split(lengths) for tensor in exact), strict=True)
    each = [torch.einsum("qhd,khd->hqk", q, k).mul(0.2).softmax(-1).matmul(v.transpose(0, 1)) for q, k, v in parts]
    wanted = torch.cat([one.transpose(0, 1) for one in each])
    right = [wanted.detach(), *torch.autograd.grad(wanted.square().sum(), exact)]
    for answer, truth in zip((found.detach(), *gradients), right, strict=True):
        if not (answer.double() - truth).norm() <= _MOST_OFF * truth.norm():
            return "FlashAttention gave wrong answers in a trial"
    return None


@dataclass(frozen=True)
class Spans:
    """Where each text's queries lie, of Q, and its keys, of K."""

    query_offsets: torch.Tensor  # int32 [texts + 1]: where each text's begin; the last is Q
    key_offsets: torch.Tensor  # likewise, of K
    most_queries: int  # that a text may have
    most_keys: int


def flash_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    spans: Spans,
    scaling: float,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """Attention of each text's queries to its keys.

    Args:
        query: [Q, heads, size] in bf16 or fp16.
        key, value: [K, heads, size], likewise.
        spans: where the texts lie.
        scaling: of the products.
        dropout: the rate at which attention weights are dropped, 0 outside training.
        window: how far, exclusive, a query attends to both sides; None for no limit.

    Returns:
        [Q, heads, size].
    """
    side = None if window is None else window - 1
    where = spans.query_offsets, spans.key_offsets, spans.most_queries, spans.most_keys
    return torch.ops.aten._flash_attention_forward(
        *(query, key, value, *where, dropout, False, False),
        scale=scaling,
        window_size_left=side,
        window_size_right=side,
    )[0]
