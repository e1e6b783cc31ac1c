"""train.kernels: what is computed by own kernels and modules is what torch's own compute."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from conftest import train
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout
from accel_cls.devices.prepare import has_whole_weights, prepare
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.packing import make_packable
from accel_cls.tokenization.encoded import Encoded

_SMALL = {"vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_labels": 3}
_MORE = {
    "bert": {"intermediate_size": 48, "max_position_embeddings": 80},
    "modernbert": {"intermediate_size": 48, "local_attention": 16, "global_attn_every_n_layers": 2, "pad_token_id": 0},
}
_DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout", "mlp_dropout")


@pytest.fixture
def accelerator():
    yield Accelerator(cpu=True)
    AcceleratorState._reset_state(reset_partial_state=True)


def _model(family: str, dropout: float, dtype: torch.dtype, spread: float = 0.4) -> torch.nn.Module:
    more = _MORE[family] | {"initializer_range": spread}
    if family == "modernbert":
        more |= {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    config = AutoConfig.for_model(family, **_SMALL, **more)
    for key in _DROPOUT:
        if hasattr(config, key):
            setattr(config, key, dropout)
    torch.manual_seed(5)
    return AutoModelForSequenceClassification.from_config(config).to(dtype).train()


def _losses(model: torch.nn.Module, first: int) -> torch.Tensor:
    """The losses of ten texts, packed; their gradients are added to the model's."""
    draw = np.random.default_rng(3)
    offsets = np.concatenate([[0], np.cumsum([70, 3, 16, 15, 17, 44, 2, 1, 33, 20])])
    encoded = Encoded(draw.integers(4, 90, offsets[-1]).astype(np.int32), None, offsets, 0)
    batches = Batches(encoded, draw.integers(0, 3, 10), Padding(0), torch.device("cpu"), None, first_position=first)
    (micro_batch,) = Layout(320, 80, packed=True).to_micro_batches(np.arange(10), encoded.lengths)
    batch = batches.make(micro_batch)
    losses = cross_entropy(model(**batch.inputs).logits, batch.labels, reduction="none")
    losses.sum().backward()
    return losses.detach()


@pytest.mark.parametrize("family", _MORE)
@pytest.mark.parametrize(
    ("precision", "dtype"), [("no", torch.float64), ("no", torch.float32), ("bf16", torch.float32)], ids=str
)
def test_both_have_the_same_losses_and_gradients(family: str, precision: str, dtype: torch.dtype) -> None:
    tolerance = {"no": {torch.float64: 1e-10, torch.float32: 1e-4}[dtype], "bf16": 0.1}[precision]
    found = {}
    for kernels in ("fast", "plain"):
        accelerator = Accelerator(cpu=True, mixed_precision=precision)
        try:
            model = _model(family, 0.0, dtype)
            first = make_packable(model, kernels)
            optimizer = torch.optim.AdamW(model.parameters())
            prepared, _ = prepare(accelerator, model, optimizer, 1.0, kernels)
            losses = _losses(prepared, first)
            found[kernels] = losses, {name: p.grad for name, p in model.named_parameters()}
            kinds = {type(module).__name__ for module in model.modules()}
            assert ("Bf16Linear" in kinds) == ("Linear" not in kinds) == (kernels == "fast")
        finally:
            AcceleratorState._reset_state(reset_partial_state=True)
    (fast, fast_gradients), (plain, plain_gradients) = found["fast"], found["plain"]
    assert torch.allclose(fast, plain, rtol=tolerance, atol=tolerance)
    scale = max(float(gradient.abs().max()) for gradient in plain_gradients.values())
    for name, gradient in plain_gradients.items():
        assert (gradient - fast_gradients[name]).abs().max() < tolerance * scale, name


@pytest.mark.parametrize("kernels", ["fast", "plain"])
@pytest.mark.parametrize("family", _MORE)
def test_both_train_with_dropout(accelerator: Accelerator, family: str, kernels: str) -> None:
    model = _model(family, 0.1, torch.float32, spread=0.05)
    first = make_packable(model, kernels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    prepared, optimizer = prepare(accelerator, model, optimizer, 1.0, kernels)
    torch.manual_seed(6)
    losses = []
    for _ in range(40):
        losses.append(float(_losses(prepared, first).mean()))
        optimizer.step()
        optimizer.zero_grad()
    assert np.mean(losses[-3:]) < losses[0] / 2


def test_plain_kernels_leave_the_draws_to_torch(accelerator: Accelerator) -> None:
    """Those of a model that nothing was done to, whose rows hold one text each."""
    model = _model("bert", 0.1, torch.float32)
    untouched = copy.deepcopy(model)
    prepared, _ = prepare(accelerator, model, torch.optim.AdamW(model.parameters()), 1.0, "plain")
    ids = torch.randint(4, 90, (3, 20))
    logits = []
    for one in (prepared, untouched):
        torch.manual_seed(7)
        logits.append(one(input_ids=ids).logits)
    assert torch.equal(*logits)


def test_command_line(work: Path) -> None:
    scores = {}
    for kernels in ("fast", "plain"):
        done = train(work, f"train.kernels={kernels}", f"output={kernels}", "model.dropout=0", "train.max_updates=6")
        assert done.returncode == 0, done.stderr
        lines = (work / kernels / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        scores[kernels] = [row["loss"] for row in map(json.loads, lines) if "loss" in row]
    assert len(scores["fast"]) >= 6
    assert scores["fast"] == pytest.approx(scores["plain"], rel=1e-3)
    dropped = []
    for kernels in ("fast", "plain"):
        done = train(work, f"train.kernels={kernels}", f"output={kernels}-dropout", "train.max_updates=2")
        assert done.returncode == 0, done.stderr
        dropped.append((work / f"{kernels}-dropout" / "metrics.jsonl").read_text(encoding="utf-8"))
    assert dropped[0].split('"loss": ')[1][:8] != dropped[1].split('"loss": ')[1][:8]  # other draws
    refused = train(work, "train.kernels=quick")
    assert refused.returncode == 2
    assert "train.kernels" in refused.stderr


@pytest.mark.parametrize("kind", list(DistributedType), ids=str)
def test_weights_are_whole_wherever_nothing_divides_them(kind: DistributedType) -> None:
    class Described:
        distributed_type = kind

    divided = {"FSDP", "DEEPSPEED", "MEGATRON_LM", "XLA"}
    assert has_whole_weights(Described()) == (kind.value not in divided)
