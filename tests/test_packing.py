"""Packed texts give what padded ones give, in every family that is packed: logits, gradients, evaluation."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from packed_texts import FAMILY_CASES, assert_packed_as_padded, batches_of_texts, small_model

from accel_cls.batching.layout import Layout
from accel_cls.devices.cpu.dropout import keep_mask
from accel_cls.models.packing import can_pack, make_packable, pack
from accel_cls.models.packing.cpu_attention import attention_with_dropout
from accel_cls.models.packing.row import Attending


@pytest.mark.parametrize(("family", "more"), FAMILY_CASES, ids=lambda case: str(case))
def test_packed_texts_have_the_logits_and_gradients_of_padded_ones(family: str, more: dict[str, object]) -> None:
    model = small_model(family, more).train()
    assert can_pack(model.config)
    types = getattr(model.config, "type_vocab_size", 0) > 1
    logits, _ = assert_packed_as_padded(model, types)
    assert logits.std(0).min() > 1e-3  # the texts differ in what the model says of them


@pytest.mark.parametrize("window", [None, 9])
@pytest.mark.parametrize("first_only", [False, True])
def test_attention_with_dropout_has_the_gradients_that_autograd_finds(first_only: bool, window: int | None) -> None:
    lengths = np.array([40, 17, 16, 9, 3, 1])
    packing, _ = pack(lengths, 90, torch.device("cpu"))
    heads, size, rate, scaling = 3, 8, 0.3, 0.4
    torch.manual_seed(1)
    inputs = [torch.randn(90, heads, size, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    wanted = torch.randn(90, heads, size, dtype=torch.float64)
    wanted[packing.real :] = 0  # nothing reads fillers
    torch.manual_seed(2)
    output = attention_with_dropout(*inputs, Attending(packing, first_only, window, scaling, rate))
    found = [output.detach(), *torch.autograd.grad((output * wanted).sum(), inputs)]
    torch.manual_seed(2)
    groups = packing.grouping.groups
    sizes = [group.rows * heads * (1 if first_only else group.width) * group.width for group in groups]
    kept = list(keep_mask(torch.Size([sum(sizes)]), rate, torch.float64).split(sizes))
    assert 0.6 < torch.cat(kept).mean() < 0.8
    expected, text = torch.zeros(90, heads, size, dtype=torch.float64), 0
    for group, mask in zip(groups, kept, strict=True):
        for keep in mask.view(group.rows, heads, -1, group.width):
            start, length = int(packing.first[text]), int(lengths[text])
            queries = 1 if first_only else length
            q, k, v = (x[start : start + length].transpose(0, 1) for x in inputs)
            scores = scaling * q[:, :queries] @ k.transpose(1, 2)
            if window is not None:
                positions = torch.arange(length)
                scores = scores.masked_fill((positions[:queries, None] - positions).abs() >= window, -torch.inf)
            weights = scores.softmax(-1) * keep[:, :queries, :length] / (1 - rate)
            expected = expected.index_copy(0, start + torch.arange(queries), (weights @ v).transpose(0, 1))
            text += 1
    assert text == len(lengths)
    gradients = torch.autograd.grad((expected * wanted).sum(), inputs)
    for ours, theirs in zip(found, [expected.detach(), *gradients], strict=True):
        assert (ours[: packing.real] - theirs[: packing.real]).abs().max() < 1e-12
        assert not ours[packing.real :].any() or ours is found[0]


@pytest.mark.parametrize(("family", "more"), FAMILY_CASES, ids=lambda case: str(case))
def test_what_nothing_reads_of_the_last_layer_is_not_computed(family: str, more: dict[str, object]) -> None:
    model = small_model(family, more).train()
    first = make_packable(model)
    seen: dict[str, int] = {}
    for name, module in model.base_model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, x, name=name: seen.__setitem__(name, x[0].shape[-2]))
    batches = batches_of_texts(first)
    (micro_batch, _) = Layout(160, 160, packed=True).to_micro_batches(np.arange(9), batches.encoded.lengths)
    batch = batches.make(micro_batch)
    model(**batch.inputs)
    texts, tokens = len(batch.labels), batch.inputs["input_ids"].shape[1]
    layers = [re.findall(r"layers?\.(\d+)\.", name) for name in seen]
    last = [rows for rows, layer in zip(seen.values(), layers, strict=True) if layer == ["2"]]
    before = [rows for rows, layer in zip(seen.values(), layers, strict=True) if layer and layer != ["2"]]
    assert set(before) <= {tokens}
    if family == "albert" or more.get("classifier_pooling") == "mean":
        assert set(last) <= {tokens}
    elif family == "modernbert":  # whose queries, keys and values are one product
        assert sorted(last) == [texts] * 3 + [tokens]
    else:
        assert sorted(last) == [texts] * 4 + [tokens] * 2
