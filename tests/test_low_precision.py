"""Linear layers' weights cast in one go: the bits are those of autocast, which casts each by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_recipe, write_reviews
from packed_texts import FAMILY_CASES, batches_of_texts, small_model
from run_results import metrics, numbers, weights_of
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForMaskedLM

from accel_cls.batching.layout import Layout
from accel_cls.devices.low_precision import LowPrecisionWeights
from accel_cls.models.packing import make_packable
from tools import warm


def _passes(model: torch.nn.Module, first: int, call: Callable[..., Any], done: Callable[[], None]) -> list[Any]:
    """Losses of two passes with dropout, whose gradients add up; and these, by weight."""
    batches = batches_of_texts(first)
    part = Layout(1024, 128, packed=True).lay_out(range(9), batches.encoded.lengths)
    found: list[Any] = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        batch = batches.make(part)
        with torch.autocast("cpu", torch.bfloat16):
            logits = call(**batch.inputs).logits
        losses = cross_entropy(logits.float(), batch.labels, reduction="none")
        losses.sum().backward()
        done()
        found.append(losses.detach())
    return [*found, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}]


@pytest.mark.parametrize(("family", "more"), FAMILY_CASES)
def test_losses_and_gradients_have_the_bits_of_autocast(family: str, more: dict[str, object]) -> None:
    model = small_model(family, more, dropout=0.1).float().train()
    first = make_packable(model)
    next(p for name, p in model.named_parameters() if name.endswith("weight") and p.ndim == 2).requires_grad_(False)
    usual = _passes(model, first, model, lambda: None)
    model.zero_grad()
    low = LowPrecisionWeights(model, torch.bfloat16)
    dtypes = set[torch.dtype]()

    def call(**inputs: Any) -> Any:
        handle = next(m for m in model.modules() if type(m) is torch.nn.Linear).register_forward_pre_hook(
            lambda module, _: dtypes.add(module.weight.dtype)
        )
        answer = low.cast()(**inputs)
        handle.remove()
        return answer

    found = _passes(model, first, call, low.hand_over_gradients)
    assert dtypes == {torch.bfloat16}
    for ours, theirs in zip(found[:2], usual[:2], strict=True):
        assert torch.equal(ours, theirs)
    assert found[2].keys() == usual[2].keys()
    for name, gradient in usual[2].items():
        assert torch.equal(found[2][name], gradient), name
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_weights_that_change_are_cast_anew() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(3, 2))
    low = LowPrecisionWeights(layer, torch.bfloat16)
    inputs = torch.ones(1, 3, dtype=torch.bfloat16)
    before = low.cast()(inputs)
    with torch.no_grad():
        layer[0].bias += 1
    assert torch.equal(low.cast()(inputs).detach(), layer.bfloat16()(inputs))
    assert not torch.equal(before, layer(inputs))


def test_a_weight_that_is_an_embedding_too_stays_as_it_is() -> None:
    config = AutoConfig.for_model("bert", vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    model = AutoModelForMaskedLM.from_config(config)
    table = model.get_input_embeddings().weight
    assert model.get_output_embeddings().weight is table
    seen = []
    hook = model.get_input_embeddings().register_forward_pre_hook(lambda module, _: seen.append(module.weight))
    with torch.autocast("cpu", torch.bfloat16):
        LowPrecisionWeights(model, torch.bfloat16).cast()(input_ids=torch.tensor([[1, 2, 3]]))
    hook.remove()
    assert seen[0] is table


@pytest.mark.parametrize("tokens", [256, 4096], ids=["several micro-batches", "one micro-batch"])
def test_a_training_has_the_bits_of_autocast(tmp_path: Path, tokens: int) -> None:
    write_reviews(tmp_path / "reviews.csv")
    write_recipe(tmp_path)
    shared = ["recipe.yaml", "train.cuda_graphs=true", f"train.micro_batch_tokens={tokens}", "train.batch_size=31"]
    env = {"ACCELERATE_MIXED_PRECISION": "bf16"}
    for run in ("together", "each"):
        done = warm.run("tests.low_precision_training", [run, *shared, f"output={run}"], tmp_path, None, env)
        assert done.returncode == 0, done.stderr
    together, each = ([*map(numbers, metrics(tmp_path / run))] for run in ("together", "each"))
    assert together == each
    weights = [weights_of(tmp_path / run / "model" / "model.safetensors") for run in ("together", "each")]
    assert weights[0] == weights[1]
