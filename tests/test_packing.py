"""Packed texts give what padded ones give, in every family that is packed: logits, gradients, evaluation."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout, MicroBatch
from accel_cls.devices.cpu.dropout import keep_mask
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.packing import can_pack, make_packable, pack
from accel_cls.models.packing.cpu_attention import attention_with_dropout
from accel_cls.models.packing.families import _FAMILIES
from accel_cls.tokenization.encode import Encoded

_SMALL = {
    "vocab_size": 90,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 160,
    "pad_token_id": 1,
    "num_labels": 3,
    "initializer_range": 0.4,  # so that each token matters to each
}
_DISTIL = {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48}
_MODERN = {"local_attention": 16, "global_attn_every_n_layers": 2, "cls_token_id": 2, "sep_token_id": 3}
_CASES = [(family, {}) for family in _FAMILIES] + [
    ("modernbert", {"classifier_pooling": "mean"}),
    ("bert", {"hidden_act": "relu", "type_vocab_size": 3}),
]


def _model(family: str, more: dict[str, object], dropout: float = 0.0) -> torch.nn.Module:
    options = _SMALL | {"distilbert": _DISTIL, "modernbert": _MODERN | {"embedding_size": 32}}.get(family, {}) | more
    config = AutoConfig.for_model(family, **options)
    for key, value in config.to_dict().items():
        if "dropout" in key and isinstance(value, float):
            setattr(config, key, dropout)
    torch.manual_seed(5)
    return AutoModelForSequenceClassification.from_config(config).double()


def _batches(first_position: int, count: int = 9, types: bool = False) -> Batches:
    draw = np.random.default_rng(3)
    lengths = np.array([70, 3, 16, 15, 17, 44, 2, 1, 33, 20, 8, 64])[:count]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = draw.integers(4, 90, offsets[-1]).astype(np.int32)
    kinds = draw.integers(0, 2, offsets[-1]).astype(np.int8) if types else None
    encoded = Encoded(ids, kinds, offsets, 0)
    labels = draw.integers(0, 3, count)
    device = torch.device("cpu")
    return Batches(encoded, labels, Padding(1), device, None, first_position=first_position)


def _run(model: torch.nn.Module, batches: Batches, micro_batches: list[MicroBatch]) -> tuple[torch.Tensor, dict]:
    """Logits by example, and the gradient of all losses."""
    model.zero_grad()
    logits = torch.empty(len(batches.labels), 3, dtype=torch.float64)
    for part in micro_batches:
        batch = batches.make(part)
        output = model(**batch.inputs).logits
        logits[list(part.examples)] = output.detach()[: len(part.examples)]
        (cross_entropy(output, batch.labels, reduction="none") * batch.mask).sum().backward()
    return logits, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("family", "more"), _CASES, ids=lambda case: str(case))
def test_packed_texts_have_the_logits_and_gradients_of_padded_ones(family: str, more: dict[str, object]) -> None:
    model = _model(family, more).train()
    assert can_pack(model.config)
    types = getattr(model.config, "type_vocab_size", 0) > 1
    everything = np.arange(9)
    lengths = _batches(0).encoded.lengths
    padded = Layout(160, 160).to_micro_batches(everything, lengths)
    logits, gradients = _run(model, _batches(0, types=types), padded)
    first = make_packable(model)
    packed = Layout(160, 160, packed=True).to_micro_batches(everything, lengths)
    assert [part.packed for part in packed] == [True, True]
    assert len(padded) > 2
    logits_packed, gradients_packed = _run(model, _batches(first, types=types), packed)
    # In double precision, so that what differs is not rounding.
    assert (logits - logits_packed).abs().max() < 1e-10 * logits.abs().max()
    assert logits.std(0).min() > 1e-3  # the texts differ in what the model says of them
    scale = max(g.abs().max() for g in gradients.values())
    assert gradients.keys() == gradients_packed.keys()
    for name, gradient in gradients.items():
        assert (gradient - gradients_packed[name]).abs().max() < 1e-10 * scale, name


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
    output = attention_with_dropout(*inputs, packing, first_only, window, scaling, rate)
    found = [output.detach(), *torch.autograd.grad((output * wanted).sum(), inputs)]
    torch.manual_seed(2)
    sizes = [group.rows * heads * (1 if first_only else group.width) * group.width for group in packing.groups]
    kept = list(keep_mask(torch.Size([sum(sizes)]), rate, torch.float64).split(sizes))
    assert 0.6 < torch.cat(kept).mean() < 0.8
    expected, text = torch.zeros(90, heads, size, dtype=torch.float64), 0
    for group, mask in zip(packing.groups, kept, strict=True):
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


@pytest.mark.parametrize(("family", "more"), _CASES, ids=lambda case: str(case))
def test_what_nothing_reads_of_the_last_layer_is_not_computed(family: str, more: dict[str, object]) -> None:
    model = _model(family, more).train()
    first = make_packable(model)
    seen: dict[str, int] = {}
    for name, module in model.base_model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, x, name=name: seen.__setitem__(name, x[0].shape[-2]))
    batches = _batches(first)
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
