"""What a profile makes of what was measured: costs, kinds of operators, waiting, advice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers import BertConfig

from accel_cls.console import Console
from accel_cls.profiling.advice import advice
from accel_cls.profiling.flops import training_flops
from accel_cls.profiling.measurements import (
    BETWEEN,
    Cut,
    Operator,
    ProcessMeasurements,
    ProfileResult,
    Update,
)
from accel_cls.profiling.operators import OTHER, operator_kind
from accel_cls.profiling.report import show

# Measurements -----------------------------------------------------------------------------------------


def test_flops_are_six_for_each_weight_and_token_and_attention() -> None:
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=4,
    )
    lengths = np.array([3, 10, 64])
    layer = 4 * 32 * 32 + 2 * 32 * 64
    head = 32 * 32 + 32 * 4  # the pooler and the classes, for the first token only
    by_hand = sum(6 * 3 * layer * n + 12 * 3 * 32 * n * n + 6 * head for n in lengths)
    assert training_flops(config, lengths) == pytest.approx(by_hand)
    # Packed: in the last layer keys and values are of all tokens, the rest of each text's first token only.
    once = 2 * 32 * 32 + 2 * 32 * 64
    last = sum(6 * 2 * 32 * 32 * n + 6 * once + 12 * 32 * n for n in lengths)
    packed = sum(6 * 2 * layer * n + 12 * 2 * 32 * n * n + 6 * head for n in lengths) + last
    assert training_flops(config, lengths, packed=True) == pytest.approx(packed)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["aten::mm", "AddmmBackward0", "backward", "update"], "matrix products"),
        (["aten::addmm", "aten::linear", "forward"], "matrix products"),
        (["aten::bmm", "aten::scaled_dot_product_attention", "forward"], "attention"),
        (["aten::bernoulli_", "aten::dropout", "aten::scaled_dot_product_attention"], "dropout"),
        (["aten::_scaled_dot_product_flash_attention_for_cpu_backward", "backward"], "attention"),
        (["aten::native_layer_norm_backward", "backward"], "normalization"),
        (["aten::gelu", "forward"], "activation"),
        (["aten::copy_", "aten::to", "aten::linear", "forward"], "casts and copies"),
        (["aten::_log_softmax", "aten::cross_entropy_loss", "forward"], "loss"),
        (["aten::_softmax", "aten::softmax", "forward"], "attention"),
        (["aten::mul", "aten::_foreach_mul_", "optimizer", "update"], "optimizer"),
        (["aten::mm", "Optimizer.step#AdamW.step", "optimizer"], "optimizer"),
        (["gloo:all_reduce"], "exchange of gradients"),
        (["aten::add", "forward", "update"], OTHER),
        (["forward", "update"], BETWEEN),
        (["update"], BETWEEN),
    ],
)
def test_kinds_of_operators(names: list[str], kind: str) -> None:
    assert operator_kind(names) == kind


def figures(process: int = 0, **changes) -> ProcessMeasurements:
    """Made up: an update of 100 ms, four fifths of it forward and backward passes; 4 micro-batches of 250 tokens."""
    update = Update(
        seconds=0.1,
        parts={"data": 0.005, "forward": 0.03, "backward": 0.05, "waiting": 0.0, "optimizer": 0.01},
        ready=None,
        examples=32,
        real=800,
        padded=1000,
        micro_batches=4,
    )
    made = ProcessMeasurements(
        process=process,
        hardware="1 process on cpu",
        device="cpu",
        precision="fp32",
        updates=[update] * 3,
        passes=[(250, 0.02)] * 12,
        flops=3e9,
        peaks={"fp32": 1e11, "bf16": 4e11},
        products={"fp32": 0.01, "bf16": 0.01},
        memory=10**9,
        traced=3,
        operators=[Operator("aten::mm", "matrix products", 10, 0.06), Operator("forward", BETWEEN, 4, 0.04)],
        trace="trace-0.json.gz",
        tokens=4096,
        cuts=[Cut("train.micro_batch_tokens", 4096, 0.2, 4.0, 1.0), Cut("train.batch_size", 64, 0.19, 7.0, 1.0)],
    )
    changed = {key: changes.pop(key) for key in list(changes) if hasattr(update, key) and key != "updates"}
    return replace(made, updates=[replace(update, **changed)] * 3, **changes)


def test_what_a_micro_batch_costs_is_the_line_through_all() -> None:
    passes = [(tokens, 0.004 + tokens * 5e-5) for tokens in (100, 200, 400, 800, 300)]
    alone, by_token = ProfileResult([figures(passes=[*passes, (150, 1.0)])]).micro_batch_cost  # one was disturbed
    assert alone == pytest.approx(0.004, rel=0.01)
    assert by_token == pytest.approx(5e-5, rel=0.01)
    assert ProfileResult([figures()]).micro_batch_cost == (0, pytest.approx(0.02 / 250)), "all alike: no line"
    falling = [(100, 0.02), (200, 0.01)]
    assert ProfileResult([figures(passes=falling)]).micro_batch_cost == (0, pytest.approx(1e-4))


def test_padding_costs_its_tokens() -> None:
    profile = ProfileResult([figures()])
    assert profile.padding == pytest.approx(0.2)
    assert profile.padding_seconds == pytest.approx(200 * 0.02 / 250)
    assert profile.flops == pytest.approx(3e9 / 3 / 0.1)


def test_waiting_is_for_others_or_for_the_exchange() -> None:
    waiting = {"data": 0.0, "forward": 0.03, "backward": 0.03, "waiting": 0.03, "optimizer": 0.01}
    slow = figures(0, ready=7.07, parts={**waiting, "backward": 0.05, "waiting": 0.01})
    fast = figures(1, ready=7.05, parts=waiting)
    (slow_late, slow_exchange), (fast_late, fast_exchange) = ProfileResult([slow, fast]).waiting_times()
    assert (slow_late, slow_exchange) == (0, pytest.approx(0.01))
    assert (fast_late, fast_exchange) == (pytest.approx(0.02), pytest.approx(0.01))
    assert ProfileResult([slow, fast]).share("waiting") == pytest.approx(0.2)


def test_waiting_that_can_not_be_told_is_not_shown(capsys: pytest.CaptureFixture) -> None:
    profile = ProfileResult([figures(0), figures(1)])
    assert "waiting" not in [part.name for part in profile.parts()]
    show(profile, Path("out"), Console())
    said = capsys.readouterr().out
    assert "padded tokens" in said
    assert "waiting ms" not in said


# Advice -----------------------------------------------------------------------------------------------

OWN = Cut("train.micro_batch_tokens", 4096, 0.4, 2.0, 1.0)
FINER = Cut("train.micro_batch_tokens", 512, 0.1, 3.0, 1.0)
LARGER = Cut("train.batch_size", 64, 0.2, 4.0, 1.0)
CHEAP = [(tokens, 0.001 + tokens * 8e-5) for tokens in (100, 200, 400)]  # micro-batches that cost little by themselves
DEAR = [(tokens, 0.05 + tokens * 8e-5) for tokens in (100, 200, 400)]
FAST = {"fp32": 0.04, "bf16": 0.01}
DROPOUT = [Operator("aten::bernoulli_", "dropout", 9, 0.02), Operator("aten::add", OTHER, 9, 0.08)]
DATA = {"data": 0.02, "forward": 0.03, "backward": 0.03, "waiting": 0.0, "optimizer": 0.015}
STEP = {"data": 0.0, "forward": 0.03, "backward": 0.03, "waiting": 0.0, "optimizer": 0.035}
LOG = {"data": 0.0, "forward": 0.03, "backward": 0.03, "waiting": 0.0, "optimizer": 0.01}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"cuts": [OWN, FINER, LARGER], "passes": CHEAP}, "train.micro_batch_tokens=512 would cut an update into 3.0"),
        ({"cuts": [OWN, FINER, LARGER], "passes": DEAR, "padded": 1600}, "of 64 examples an update"),
        ({"cuts": [OWN, FINER, replace(LARGER, padding=0.4)], "passes": DEAR, "padded": 1600}, None),
        ({"products": FAST}, "this CPU is 4.0 times as fast in bf16 as in fp32"),
        ({"products": {}}, None),
        ({"products": {"fp32": 0.012, "bf16": 0.01}}, None),
        ({"products": FAST, "operators": [Operator("aten::add", OTHER, 9, 0.1)]}, None),
        ({"operators": DROPOUT}, "dropout takes 20% of an update"),
        ({"parts": DATA}, "making micro-batches takes 20% of an update"),
        ({"parts": STEP}, "the optimizer takes 35% of an update"),
        ({"parts": LOG}, "30% of an update is none of these parts"),
    ],
)
def test_advice_needs_figures(changes: dict, words: str | None) -> None:
    found = advice(ProfileResult([figures(**changes)]))
    assert len(found) == (words is not None), found
    assert words is None or words in found[0]


def test_advice_for_processes_that_wait() -> None:
    waiting = {"data": 0.0, "forward": 0.02, "backward": 0.02, "waiting": 0.05, "optimizer": 0.005}
    slow = figures(0, ready=7.07, parts={**waiting, "backward": 0.06, "waiting": 0.01})
    fast = figures(1, ready=7.03, parts=waiting)
    (late,) = advice(ProfileResult([slow, fast]))
    assert "one process waits 40% of an update for another" in late
    (exchange,) = advice(ProfileResult([replace(fast, process=0), fast]))
    assert "the exchange of gradients takes 50% of an update" in exchange
    even = Cut("train.min_micro_batches", 4, 0.4, 4.0, 0.95)
    both = [replace(one, cuts=[replace(OWN, busy=0.6), even, LARGER]) for one in (slow, fast)]
    assert "train.min_micro_batches=4 would cut an update into 4.0" in advice(ProfileResult(both))[0]
