"""What is done faster on CPUs is the same: dropout's distribution, layers in bf16, the clipped step; memory stays."""

from __future__ import annotations

import copy
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import set_seed
from transformers import BertConfig, BertForSequenceClassification

from accel_cls.devices.cpu.dropout import FastDropout, fast_dropout, keep_mask
from accel_cls.devices.cpu.linear import Bf16Linear
from accel_cls.devices.cpu.modules import use_fast_modules
from accel_cls.devices.cpu.threads import limit_spinning
from accel_cls.devices.prepare import seed_generators
from accel_cls.training.optimizer import clip_gradient


def test_seeds_are_those_of_accelerate() -> None:
    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    set_seed(2**32 - 7)
    expected = draws()
    seed_generators(torch.device("cpu"), 2**32 - 7)
    assert draws() == expected


# Dropout


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.5, 1 / 3, 2**-16, 0.9999999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_share_of_what_is_dropped_is_the_rate(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    count = 3_000_001
    mask = keep_mask(torch.Size([count]), rate, dtype)
    assert mask.dtype == dtype
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    dropped = count - int(mask.double().sum())
    deviation = (count * rate * (1 - rate)) ** 0.5
    assert abs(dropped - count * rate) <= 4 * deviation


def test_rate_between_two_steps_of_the_16_bits_is_exact_on_average() -> None:
    # One value in 65,536 of a mask and a quarter: the thresholds 1 and 2 have to come up as 3 to 1.
    torch.manual_seed(2)
    rate, size, masks = 1.25 * 2**-16, 2**16, 4000
    dropped = sum(size - int(keep_mask(torch.Size([size]), rate, torch.float32).sum()) for _ in range(masks))
    assert abs(dropped / masks - 1.25) < 4 * (1.25 / masks) ** 0.5


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(3)
    mask = keep_mask(torch.Size([1_000_000]), 0.25, torch.float32)
    for distance in (1, 2, 3, 4, 5, 8, 64, 768):  # 4 values come from one draw of 64 bits
        both = float((mask[:-distance] * mask[distance:]).mean())
        assert abs(both - 0.75**2) < 4 * (0.75**2 * (1 - 0.75**2) / 1e6) ** 0.5 * 1.5, distance


def test_draws_follow_from_torchs_seed() -> None:
    """Other draws would make another training of every recipe."""
    torch.manual_seed(7)
    first, second = ("".join(map(str, keep_mask(torch.Size([24]), 0.4, torch.int64).tolist())) for _ in range(2))
    assert (first, second) == ("011111000101111011011100", "110111111101100000001101")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_stays_is_scaled_and_the_gradient_goes_where_the_value_went(dtype: torch.dtype) -> None:
    torch.manual_seed(4)
    values = torch.randn(200, 300).to(dtype).requires_grad_()
    output = fast_dropout(values, 0.1)
    kept = output != 0
    assert 0.08 < 1 - float(kept.float().mean()) < 0.12
    # The factor 1 / 0.9 is no bf16 number: what is rounded is the product, so that the mean is right.
    expected = torch.where(kept, (values.detach().float() * (1 / 0.9)).to(dtype), 0)
    assert torch.equal(output.detach(), expected)
    gradient = torch.randn(200, 300).to(dtype)
    output.backward(gradient)
    assert torch.equal(values.grad, torch.where(kept, (gradient.float() * (1 / 0.9)).to(dtype), 0))


def test_dropout_is_off_in_evaluation_and_at_rate_0_and_drops_all_at_1() -> None:
    values = torch.randn(10, 10)
    assert torch.equal(FastDropout(0.5).eval()(values), values)
    assert torch.equal(FastDropout(0.0)(values), values)
    assert torch.equal(FastDropout(1.0)(values), values * 0)


# Layers in bf16


def _pair() -> tuple[torch.nn.Linear, Bf16Linear]:
    torch.manual_seed(5)
    plain = torch.nn.Linear(48, 32)
    quick = copy.deepcopy(plain)
    quick.__class__ = Bf16Linear
    return plain, quick


def _step(layer: torch.nn.Module, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    layer.zero_grad()
    values = values.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(values)
    (output.float() ** 2).sum().backward()
    return output.detach(), values.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layer_does_what_autocast_does_step_after_step(dtype: torch.dtype) -> None:
    plain = torch.nn.Sequential(_pair()[0])
    quick = copy.deepcopy(plain)
    optimizers = [torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True) for layer in (plain, quick)]
    use_fast_modules(quick, optimizers[1], whole=True)
    assert type(quick[0]) is Bf16Linear
    for _ in range(3):  # a conversion of the weights that is not repeated after a step would show in the second
        values = torch.randn(6, 5, 48).to(dtype)
        expected, found = _step(plain, values), _step(quick, values)
        assert torch.equal(expected[0], found[0])
        assert found[1].dtype == dtype
        assert torch.allclose(expected[1], found[1], rtol=1e-2, atol=1e-2)
        for a, b in zip(plain.parameters(), quick.parameters(), strict=True):
            assert b.grad.dtype == torch.float32
            assert torch.allclose(a.grad, b.grad, rtol=1e-2, atol=1e-2 * float(a.grad.abs().max()))
            b.grad.copy_(a.grad)  # so that both layers stay the same
        for optimizer in optimizers:
            optimizer.step()


@pytest.mark.parametrize("change", ["load_state_dict", "data", "in place"])
def test_layer_sees_any_change_of_its_weights(change: str) -> None:
    plain, quick = _pair()
    values = torch.randn(4, 48)
    _step(quick, values)
    other = torch.randn(32, 48)
    if change == "load_state_dict":
        quick.load_state_dict({"weight": other, "bias": plain.bias})
    elif change == "data":
        quick.weight.data = other.clone()
    else:
        with torch.no_grad():
            quick.weight.copy_(other)
    plain.weight.data = other
    assert torch.equal(_step(plain, values)[0], _step(quick, values)[0])


def test_layer_is_torchs_own_without_autocast() -> None:
    plain, quick = _pair()
    values = torch.randn(4, 48)
    assert torch.equal(plain(values), quick(values))
    assert quick(values).dtype == torch.float32


def test_model_keeps_its_weights_names_and_output() -> None:
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    model = BertForSequenceClassification(config).eval()
    ids = torch.randint(0, 50, (2, 9))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = model(ids).logits
    use_fast_modules(model, torch.optim.AdamW(model.parameters()), whole=True)
    kinds = {type(module) for module in model.modules()}
    assert {FastDropout, Bf16Linear} < kinds
    assert not kinds & {torch.nn.Dropout, torch.nn.Linear}
    assert torch.equal(model(ids).logits, logits)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    divided = BertForSequenceClassification(config)
    use_fast_modules(divided, torch.optim.AdamW(divided.parameters()), whole=False)
    assert Bf16Linear not in {type(module) for module in divided.modules()}


# The clipped step


@pytest.mark.parametrize("size", [1e-3, 100.0])
def test_step_with_the_clipped_gradient_is_torchs(size: float) -> None:
    torch.manual_seed(6)
    accelerator = Accelerator(cpu=True)
    try:
        models = [torch.nn.Sequential(torch.nn.Linear(9, 7), torch.nn.Linear(7, 3)) for _ in range(2)]
        models[1].load_state_dict(models[0].state_dict())
        optimizers = [torch.optim.AdamW(model.parameters(), lr=0.1, fused=True) for model in models]
        optimizers[1] = accelerator.prepare(optimizers[1])
        for _ in range(3):
            gradients = [torch.randn_like(p) * size for p in models[0].parameters()]
            for model in models:
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter.grad = gradient.clone()
            norm = torch.nn.utils.clip_grad_norm_(models[0].parameters(), 0.5)
            assert clip_gradient(accelerator, models[1], optimizers[1], 0.5) == pytest.approx(float(norm), rel=1e-5)
            for optimizer in optimizers:
                optimizer.step()
            for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
                assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


# Memory

_FAULTS = """
import resource, sys
from accel_cls.devices.cpu.allocator import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
import torch
def use():
    return [torch.ones(12_000_000) for _ in range(3)]  # 48 MB each, more than glibc keeps by itself
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is on Linux")
def test_memory_is_used_again_without_asking_the_system() -> None:
    # 5 × 3 × 48 MB are 175,000 pages of 4 kB.
    faults = {
        how: int(subprocess.run([sys.executable, "-c", _FAULTS, how], capture_output=True, text=True).stdout)
        for how in ("keep", "default")
    }
    assert faults["default"] > 100_000
    assert faults["keep"] < 5_000


def test_users_own_settings_of_the_allocator_stay(monkeypatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    called = []
    monkeypatch.setattr("ctypes.CDLL", lambda *names: called.append(names))
    from accel_cls.devices.cpu.allocator import keep_memory

    keep_memory()
    assert not called


# Waiting


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who waits for a core")
@pytest.mark.parametrize(
    ("said", "set_before", "looks"),
    [
        ("some avg10=53.40 avg60=9.00 avg300=1.00 total=1\n", {}, "1000"),
        ("some avg10=4.00 avg60=99.00 avg300=99.00 total=1\n", {}, None),
        ("some avg10=53.40 avg60=9.00 avg300=1.00 total=1\n", {"OMP_WAIT_POLICY": "active"}, None),
        ("some avg10=53.40 avg60=9.00 avg300=1.00 total=1\n", {"GOMP_SPINCOUNT": "7"}, "7"),
        (None, {}, None),
    ],
)
def test_threads_give_way_where_others_want_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, set_before: dict[str, str], looks: str | None
) -> None:
    monkeypatch.setattr(os, "environ", dict(set_before))
    if said is not None:
        (tmp_path / "cpu").write_text(said)
    note = limit_spinning(tmp_path / "cpu")
    assert os.environ.get("GOMP_SPINCOUNT") == looks
    if looks == "1000":
        assert "53% of the last 10 s" in note
        assert "GOMP_SPINCOUNT=1000" in note
    else:
        assert note is None
