"""Small models of all families that are packed, nine texts as they read them, and the check that both ways agree."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout, MicroBatch
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.packing import make_packable
from accel_cls.models.packing.families import _FAMILIES
from accel_cls.tokenization.encoded import Encoded

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
FAMILY_CASES = [(family, {}) for family in _FAMILIES] + [
    ("modernbert", {"classifier_pooling": "mean"}),
    ("bert", {"hidden_act": "relu", "type_vocab_size": 3}),
]


def small_model(family: str, more: dict[str, object], dropout: float = 0.0) -> torch.nn.Module:
    """A classifier of 3 classes with 3 layers of 32, in double precision; `more` of its configuration."""
    options = _SMALL | {"distilbert": _DISTIL, "modernbert": _MODERN | {"embedding_size": 32}}.get(family, {}) | more
    config = AutoConfig.for_model(family, **options)
    for key, value in config.to_dict().items():
        if "dropout" in key and isinstance(value, float):
            setattr(config, key, dropout)
    torch.manual_seed(5)
    return AutoModelForSequenceClassification.from_config(config).double()


def batches_of_texts(first_position: int, count: int = 9, types: bool = False) -> Batches:
    """Of up to 12 texts of 1 to 70 tokens, with labels 0 to 2; `types`: token types of 0 and 1, too."""
    draw = np.random.default_rng(3)
    lengths = np.array([70, 3, 16, 15, 17, 44, 2, 1, 33, 20, 8, 64])[:count]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = draw.integers(4, 90, offsets[-1]).astype(np.int32)
    kinds = draw.integers(0, 2, offsets[-1]).astype(np.int8) if types else None
    encoded = Encoded(ids, kinds, offsets, 0)
    labels = draw.integers(0, 3, count)
    device = torch.device("cpu")
    return Batches(encoded, labels, Padding(1), device, None, first_position=first_position)


def logits_and_gradients(
    model: torch.nn.Module, batches: Batches, micro_batches: list[MicroBatch]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits by example, and the gradient of all losses."""
    model.zero_grad()
    logits = torch.empty(len(batches.labels), 3, dtype=torch.float64)
    for part in micro_batches:
        batch = batches.make(part)
        output = model(**batch.inputs).logits
        logits[list(part.examples)] = output.detach()[: len(part.examples)]
        (cross_entropy(output, batch.labels, reduction="none") * batch.mask).sum().backward()
    return logits, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_packed_as_padded(
    model: torch.nn.Module, types: bool = False
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """`model`, in double precision and without dropout, says and learns the same of packed texts as of padded ones.

    It is made packable. Returns the logits and gradients of the padded texts.
    """
    padded_texts = batches_of_texts(0, types=types)
    everything, lengths = np.arange(9), padded_texts.encoded.lengths
    padded = Layout(160, 160).to_micro_batches(everything, lengths)
    logits, gradients = logits_and_gradients(model, padded_texts, padded)
    first = make_packable(model)
    packed = Layout(160, 160, packed=True).to_micro_batches(everything, lengths)
    assert [part.packed for part in packed] == [True, True]
    assert len(padded) > 2
    logits_packed, gradients_packed = logits_and_gradients(model, batches_of_texts(first, types=types), packed)
    # In double precision, so that what differs is not rounding.
    assert (logits - logits_packed).abs().max() < 1e-10 * logits.abs().max()
    scale = max(g.abs().max() for g in gradients.values())
    assert gradients.keys() == gradients_packed.keys()
    for name, gradient in gradients.items():
        assert (gradient - gradients_packed[name]).abs().max() < 1e-10 * scale, name
    return logits, gradients
