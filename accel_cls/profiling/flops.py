"""How much arithmetic a model needs, and how fast this device is at it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import linear
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification

from accel_cls.models.packing import make_packable, pack

_SECONDS = 0.3  # for each precision whose speed is measured


def training_flops(config: Any, lengths: np.ndarray, packed: bool = False, work: int = 3) -> float | None:
    """FLOPs of the forward and backward passes of texts of these lengths, without padding.

    A backward pass takes twice a forward pass: 6 for each weight of a matrix and token, and attention. Counted on
    the meta device for one text of three widths, through which the one parabola goes that fits every length. None
    for the few families (DeBERTa) whose forward pass looks at values.

    Args:
        packed: whether the texts are packed, which leaves out what nothing reads of the last layer.
        work: forward passes that a text costs in all, see the recipe's section `loss`.
    """
    with torch.device("meta"):
        on_meta = AutoModelForSequenceClassification.from_config(config).eval()
    if packed:
        make_packable(on_meta)
    widths = [16, 32, 48]  # steps of attention's groups: no padding there
    try:
        counted = [_packed_flops(on_meta, width) if packed else _forward_flops(on_meta, 0, width) for width in widths]
    except RuntimeError as error:
        if "meta" not in str(error).lower():
            raise
        return None
    parabola = np.polyfit(widths, counted, 2)
    return work * float(np.polyval(parabola, lengths.astype(np.float64)).sum())


def _packed_flops(on_meta: torch.nn.Module, width: int) -> int:
    # A row ends with at least one filler: what the second one adds, the first has added, too.
    one, two = (_forward_flops(on_meta, width, width + fillers) for fillers in (1, 2))
    return 2 * one - two


def _forward_flops(on_meta: torch.nn.Module, text: int, width: int) -> int:
    """FLOPs for a row of so many tokens; with a packed text of the first of them, if `text` is not 0."""
    row = torch.zeros(1, width, dtype=torch.int64, device="meta")
    inputs: dict[str, Any] = {"input_ids": row}
    if text:
        inputs |= {"position_ids": row, "packing": pack(np.array([text]), width, row.device)[0]}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        on_meta(**inputs)
    return counter.get_total_flops()


def peak_flops(device: torch.device) -> dict[str, float]:
    """FLOP/s of the fastest of some products of square matrices, in fp32 and bf16."""
    # Large enough to be bound by arithmetic, small enough for a fifth of a second on an old CPU.
    size = 1024 if device.type == "cpu" else 4096
    return {name: _product_flops(device, size, kind) for name, kind in _PRECISIONS.items()}


_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def _product_flops(device: torch.device, size: int, kind: torch.dtype) -> float:
    a, b = (torch.ones(size, size, dtype=kind, device=device) for _ in range(2))
    torch.mm(a, b)  # the first one finds its kernel
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        _wait_for(device)
        start = time.perf_counter()
        torch.mm(a, b)
        _wait_for(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def matmul_seconds(model: torch.nn.Module, tokens: int) -> dict[str, float]:
    """Seconds that the products of a model's matrices with so many tokens take on this CPU, there and back.

    In bf16 with the casts that autocast makes: with 128 × 512 weights they eat up what a product gains.
    """
    matrices = [m.weight.detach().requires_grad_() for m in model.modules() if isinstance(m, torch.nn.Linear)]
    return {
        name: min(_seconds_of_matmuls(matrices, tokens, kind) for _ in range(3)) for name, kind in _PRECISIONS.items()
    }


def _seconds_of_matmuls(matrices: Sequence[torch.Tensor], tokens: int, kind: torch.dtype) -> float:
    began = time.perf_counter()
    for matrix in matrices:  # each once: in a training, too, it comes from memory
        inputs = torch.ones(tokens, matrix.shape[1], requires_grad=True)
        with torch.autocast("cpu", kind, enabled=kind != torch.float32):
            outputs = linear(inputs, matrix)
        torch.autograd.grad(outputs, [inputs, matrix], torch.ones_like(outputs))
    return time.perf_counter() - began


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
