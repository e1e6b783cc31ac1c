"""A pass of static shape beside a padded one, and as a graph: `python -m … cuda RESULT.json`.

Both are held to the padded pass in float64: what bf16 rounds off is the measure of what the other way may differ by.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification

from accel_cls.batching.batches import Batch, Batches
from accel_cls.batching.layout import Layout
from accel_cls.batching.static_batches import static_arrays, static_batch
from accel_cls.batching.static_shapes import StaticShape
from accel_cls.devices.cuda.graphs import Recorder
from accel_cls.devices.cuda.static_tensors import StaticTensors
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.packing import make_packable
from accel_cls.tokenization.encoded import Encoded

# Heads of 64, as those of most encoders; on a CPU, where the steps themselves are tried, small ones.
_SIZES = {
    "cuda": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512},
    "cpu": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64},
}
_SHARED = {"vocab_size": 500, "max_position_embeddings": 512, "pad_token_id": 1, "num_labels": 3}
_MODERN = {"local_attention": 32, "global_attn_every_n_layers": 3, "cls_token_id": 2, "sep_token_id": 3}
MODELS: dict[str, dict[str, Any]] = {"bert": {}, "roberta": {}, "modernbert": _MODERN}
_SHAPE = StaticShape(tokens=1024, texts=20, longest=200)
_TIMES = 2.0  # what the padded pass in bf16 is off
_RATE = 0.1


def main() -> None:
    """Write what was found: what, value and verdict of each."""
    kind, result = sys.argv[1:]
    device = torch.device(kind)
    found = [one for family in MODELS for one in (_accuracy(family, device), _replay(family, device))]
    Path(result).write_text(json.dumps(found), encoding="utf-8")


def _model(family: str, rate: float, device: torch.device) -> tuple[torch.nn.Module, int]:
    torch.manual_seed(3)
    config = AutoConfig.for_model(family, **_SHARED, **_SIZES[device.type], **MODELS[family], initializer_range=0.1)
    for name, value in config.to_dict().items():
        if "dropout" in name and isinstance(value, float):
            setattr(config, name, rate)
    model = AutoModelForSequenceClassification.from_config(config).to(device).train()
    return model, make_packable(model)


def _batches(first_position: int, device: torch.device) -> Batches:
    draw = np.random.default_rng(4)
    lengths = np.concatenate([[200, 150], draw.integers(3, 60, 14)])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    encoded = Encoded(draw.integers(4, 500, offsets[-1]).astype(np.int32), None, offsets, 0)
    return Batches(encoded, draw.integers(0, 3, 16), Padding(1), device, None, first_position=first_position)


def _static(batches: Batches, examples: np.ndarray, device: torch.device) -> tuple[StaticTensors, Callable[[], Batch]]:
    part = Layout(1024, 200, packed=True).lay_out(examples, batches.encoded.lengths)
    arrays = static_arrays(batches, part, _SHAPE)
    static = StaticTensors(arrays, device)
    static.fill(arrays)
    return static, lambda: static_batch(static.tensors, _SHAPE)


def _learn(model: torch.nn.Module, batch: Batch, bf16: bool) -> torch.Tensor:
    """Losses and all gradients in a row."""
    for parameter in model.parameters():
        parameter.grad = None
    device = batch.mask.device.type
    with torch.autocast(device, torch.bfloat16) if bf16 else nullcontext():
        logits = model(**batch.inputs).logits
    losses = cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), batch.labels, reduction="none")
    losses = losses * batch.mask
    losses.sum().backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat([losses.detach().to(gradients[0].dtype), *gradients])


def _accuracy(family: str, device: torch.device) -> dict[str, Any]:
    """How far all ways are off in bf16."""
    model, first = _model(family, 0.0, device)
    batches = _batches(first, device)
    order = np.argsort(-batches.encoded.lengths, kind="stable")
    padded = Layout(16 * 200, 200).lay_out(order, batches.encoded.lengths)
    packed = Layout(1024, 200, packed=True).lay_out(order, batches.encoded.lengths)  # with fillers behind the texts
    _, static = _static(batches, order, device)
    count = len(order)
    exact = _learn(model.double(), batches.make(padded), bf16=False)
    model.float()
    usual = _learn(model, batches.make(padded), bf16=True).double()
    filled = _learn(model, static(), bf16=True).double()
    filled = torch.cat([filled[:count], filled[_SHAPE.texts :]])  # without the texts of padding
    any_shape = _learn(model, batches.make(packed), bf16=True).double()
    most, *off = (((one - exact).norm() / exact.norm()).item() for one in (usual, filled, any_shape))
    value = f"off by {off[0]:.1e}, packed in any shape by {off[1]:.1e}, padded by {most:.1e}"
    is_near = all(one <= _TIMES * most for one in off)  # false for nan, too
    return {"what": f"bf16, {family}: losses and gradients", "value": value, "ok": is_near}


def _replay(family: str, device: torch.device) -> dict[str, Any]:
    """Whether a graph with dropout gives the bits of its function, of other texts than it was recorded with, too."""
    model, first = _model(family, _RATE, device)
    batches = _batches(first, device)
    order = np.argsort(-batches.encoded.lengths, kind="stable")
    static, batch = _static(batches, order, device)
    recorder = Recorder(device, captures=device.type == "cuda")

    def function() -> torch.Tensor:
        return _learn(model, batch(), bf16=True)

    call = recorder.record(function, function)
    if recorder.failure is not None:
        return {"what": f"{family}: as a graph", "value": recorder.failure, "ok": False}
    same, draws = [], []
    for seed, examples in ((1, order), (1, order[2:]), (2, order[2:])):
        part = Layout(1024, 200, packed=True).lay_out(examples, batches.encoded.lengths)
        static.fill(static_arrays(batches, part, _SHAPE))
        answers = []
        for one in (function, call):
            torch.manual_seed(seed)
            answers.append(one().clone())
        same.append(torch.equal(*answers))
        draws.append(answers[1])
    differ = not torch.equal(draws[0], draws[1]) and not torch.equal(draws[1], draws[2])
    value = f"{sum(same)} of {len(same)} with the same bits; other texts and seeds {'differ' if differ else 'DO NOT'}"
    return {"what": f"{family}, dropout: as a graph, and called", "value": value, "ok": all(same) and differ}


if __name__ == "__main__":
    main()
