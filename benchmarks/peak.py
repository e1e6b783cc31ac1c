"""How fast this machine multiplies matrices, and how long AdamW takes for a model's weights.

    python -m benchmarks.peak MODEL_FOLDER PRECISION DEVICE RESULT

Writes {"flop_per_second", "products", "optimizer_seconds"} as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

# Rows x hidden, by the two matrices of a feed-forward layer; a GPU needs more rows to be busy.
_ROWS = {"cpu": (512, 2048), "cuda": (8192, 32768)}
_HIDDEN = {"cpu": (768, 1024), "cuda": (1024, 4096)}
_SECONDS = {"cpu": 0.5, "cuda": 0.3}  # for each product: the best of as many as fit


def best_seconds(work: Callable[[], object], seconds: float, device: str) -> float:
    """The shortest time that `work` took within so many seconds, after two runs to warm up."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times[2:])


def products(precision: str, device: str) -> dict[str, float]:
    """FLOP/s of the three products of a layer in each shape: forward, gradient of the input, of the weights."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    found = {}
    for hidden in _HIDDEN[device]:
        for rows in _ROWS[device]:
            x = torch.randn(rows, hidden, device=device).to(dtype)
            dy = torch.randn(rows, 4 * hidden, device=device).to(dtype)
            weight = torch.randn(4 * hidden, hidden, device=device).to(dtype)
            works = {
                "forward": lambda x=x, w=weight: torch.nn.functional.linear(x, w),
                "dx": lambda dy=dy, w=weight: dy @ w,
                "dW": lambda dy=dy, x=x: dy.t() @ x,
            }
            for name, work in works.items():
                took = best_seconds(work, _SECONDS[device], device)
                found[f"{name} {rows}x{hidden}x{4 * hidden}"] = 2 * rows * hidden * 4 * hidden / took
    return found


def optimizer_seconds(model: str, device: str) -> float:
    """Seconds of one fused AdamW step over a model's weights, in fp32; the best of several."""
    with torch.device("meta"):
        outline = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(model)).float()
    weights = [torch.zeros(p.shape, device=device).requires_grad_() for p in outline.parameters()]
    for weight in weights:
        weight.grad = torch.full_like(weight, 1e-3)
    optimizer = torch.optim.AdamW(weights, lr=2e-5, weight_decay=0.01, fused=True)
    return best_seconds(optimizer.step, 2.0, device)


def main() -> None:
    """Measure and write."""
    model, precision, device, result = sys.argv[1:]
    found = products(precision, device)
    answer = {
        "flop_per_second": max(found.values()),
        "products": found,
        "optimizer_seconds": optimizer_seconds(model, device),
    }
    Path(result).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
