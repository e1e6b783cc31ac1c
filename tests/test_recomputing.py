"""Gradient checkpointing: the same gradients, dropout's draws included, for less memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import train
from memory_setups import TINY, on_meta
from packed_texts import batches_of_texts, logits_and_gradients
from run_results import metrics, numbers, weights_of
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig

from accel_cls.batching.layout import Layout
from accel_cls.memory.activations import activation_bytes
from accel_cls.memory.forecast import training_memory
from accel_cls.memory.setup import ParallelSetup
from accel_cls.models.packing import make_packable
from accel_cls.models.recomputing import recompute_layers

SMALL = TINY | {"vocab_size": 90, "num_hidden_layers": 3, "max_position_embeddings": 160, "pad_token_id": 1}


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
@pytest.mark.parametrize("packed", [True, False])
def test_gradients_are_the_same(family: str, packed: bool) -> None:
    more = {"global_attn_every_n_layers": 2, "local_attention": 8} if family == "modernbert" else {}
    config = AutoConfig.for_model(family, **SMALL | more, num_labels=3, initializer_range=0.4)
    torch.manual_seed(5)
    model = AutoModelForSequenceClassification.from_config(config).double().train()
    first = make_packable(model) if packed else 0
    lengths = batches_of_texts(0).encoded.lengths
    parts = Layout(160, 160, packed=packed).to_micro_batches(np.arange(9), lengths)
    torch.manual_seed(7)
    logits, gradients = logits_and_gradients(model, batches_of_texts(first), parts)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    recompute_layers(model, "train.gradient_checkpointing")
    inner = next(m for m in model.base_model.modules() if isinstance(m, torch.nn.Linear))
    inner.register_forward_hook(count)
    torch.manual_seed(7)
    logits_again, gradients_again = logits_and_gradients(model, batches_of_texts(first), parts)
    assert calls > len(parts), "nothing was computed again"
    assert torch.equal(logits, logits_again)
    for name, gradient in gradients.items():
        assert torch.equal(gradient, gradients_again[name]), name


@pytest.mark.parametrize("packing", ["true", "false"])
def test_run_is_the_same(work: Path, packing: str) -> None:
    overrides = (f"train.packing={packing}", "model.scratch.layers=2")
    assert train(work, *overrides, "output=kept").returncode == 0
    done = train(work, *overrides, "train.gradient_checkpointing=true", "output=again")
    assert done.returncode == 0, done.stderr
    one, other = (weights_of(work / run / "model" / "model.safetensors") for run in ("kept", "again"))
    assert one == other
    assert [numbers(line) for line in metrics(work / "kept")] == [numbers(line) for line in metrics(work / "again")]


def test_memory_is_that_of_the_inputs_and_of_one_layer() -> None:
    outlines = [on_meta(BertConfig(**TINY | {"num_hidden_layers": layers})) for layers in (2, 10)]
    whole = [activation_bytes(outline, 4, 32) for outline in outlines]
    for outline in outlines:
        recompute_layers(outline, "train.gradient_checkpointing")
    some = [activation_bytes(outline, 4, 32) for outline in outlines]
    assert None not in (*whole, *some)
    assert some[1] - some[0] == pytest.approx(8 * 4 * 32 * 16 * 4, rel=0.01), "of a layer more, what goes into it"
    a_layer = (whole[1] - whole[0]) / 8
    assert whole[0] - some[0] == pytest.approx(a_layer, rel=0.2), "of two layers, one is kept less"


def test_memory_counts_what_is_trained_and_averaged() -> None:
    model = on_meta(BertConfig(**TINY))
    setup = ParallelSetup(torch.device("cpu"), "DDP", 2, 2, "no")
    all_trained = training_memory(model, setup, (4, 32), 1000)
    model.bert.embeddings.requires_grad_(False)
    frozen = 4 * sum(p.numel() for p in model.bert.embeddings.parameters())
    memory = training_memory(model, setup, (4, 32), 1000, copies=3)
    assert memory.weights == all_trained.weights
    assert all_trained.gradients - memory.gradients == frozen
    assert all_trained.optimizer - memory.optimizer == 2 * frozen
    assert all_trained.communication - memory.communication == frozen
    assert memory.averages == 3 * memory.gradients
    assert memory.total is not None
    assert all_trained.total is not None
    assert memory.total - all_trained.total == memory.averages - 4 * frozen
    assert "averaged weights" in str(memory)
