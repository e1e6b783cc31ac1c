"""Packed texts give what padded ones give, in every family that is packed: logits, gradients, evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification

from accel_cls.batches import Batches
from accel_cls.layout import Layout, MicroBatch
from accel_cls.packing import _ENDS, can_pack, make_packable
from accel_cls.tokens import Encoded

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
_CASES = [(family, {}) for family in _ENDS] + [
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
    return Batches(encoded, labels, np.ones(3, np.float32), 1, device, None, first_position=first_position)


def _run(model: torch.nn.Module, batches: Batches, micro_batches: list[MicroBatch]) -> tuple[torch.Tensor, dict]:
    """Logits by example, and the gradient of all losses."""
    model.zero_grad()
    logits = torch.empty(len(batches.labels), 3, dtype=torch.float64)
    for part in micro_batches:
        batch = batches.make(part)
        output = model(**batch.inputs).logits
        logits[list(part.examples)] = output.detach()[: len(part.examples)]
        (cross_entropy(output, batch.labels, reduction="none") * batch.weights).sum().backward()
    return logits, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("family", "more"), _CASES, ids=lambda case: str(case))
def test_packed_texts_have_the_logits_and_gradients_of_padded_ones(family: str, more: dict[str, object]) -> None:
    model = _model(family, more).train()
    assert can_pack(model.config)
    types = getattr(model.config, "type_vocab_size", 0) > 1
    everything = np.arange(9)
    lengths = _batches(0).encoded.lengths
    padded = Layout(160, 160).cut(everything, lengths)
    logits, gradients = _run(model, _batches(0, types=types), padded)
    first = make_packable(model)
    packed = Layout(160, 160, packed=True).cut(everything, lengths)
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
