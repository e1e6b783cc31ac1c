"""A classifier on any encoder, by one vector a text: the mean of its tokens, say, as sentence-transformers makes it.

transformers' own classifiers read a text's first token, or its last; an encoder that was trained by the mean of its
tokens has learned little about these.
"""

from __future__ import annotations

import inspect
from typing import Any, Protocol

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from accel_cls.models.own.configurations import PooledConfig
from accel_cls.models.packing.row import Packing


def without_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    """The argument by which an encoder of this configuration has no pooler of its own, where it can do without."""
    kind = MODEL_MAPPING[type(config)]
    kind = kind[0] if isinstance(kind, tuple) else kind
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(kind.__init__).parameters else {}


class PooledForSequenceClassification(PreTrainedModel):
    """An encoder, pooling, dropout and a linear layer, see `PooledConfig`.

    Args:
        config: the configuration.
        encoder: an encoder of that configuration; None makes one whose weights start fresh.
    """

    config_class = PooledConfig
    base_model_prefix = "encoder"
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = True

    def __init__(self, config: PooledConfig, encoder: PreTrainedModel | None = None):
        super().__init__(config)
        inner: Any = config.encoder
        hidden = inner.get_text_config().hidden_size
        self.encoder = AutoModel.from_config(inner, **without_pooler(inner)) if encoder is None else encoder
        self.pooling = Pooling(config.pooling, hidden)
        if config.window_pooling is not None:  # used by `make_windowed`; a text of one window is that window
            self.window_pooling = Pooling(config.window_pooling, hidden)
        self.dropout = torch.nn.Dropout(config.classifier_dropout)
        self.classifier = torch.nn.Linear(4 * hidden if config.is_pair else hidden, config.num_labels)
        self.post_init()

    def get_input_embeddings(self) -> torch.nn.Module:
        """The encoder's."""
        return self.encoder.get_input_embeddings()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        packing: Packing | None = None,
        **inputs: Any,
    ) -> SequenceClassifierOutput:
        """Logits [texts, classes].

        Args:
            input_ids: int64 [texts, tokens]; packed, [1, T].
            attention_mask: [texts, tokens], 0 at padding; None where there is none.
            packing: where the texts of a packed row lie.
            inputs: whatever else the encoder takes.
        """
        if packing is not None:
            inputs["packing"] = packing
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        if packing is None:
            real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            tokens: _Tokens = _PaddedTokens(real.bool())
        else:
            tokens, real = _PackedTokens(packing), torch.ones(packing.real, device=hidden.device)
            hidden, input_ids = hidden[0, : packing.real], input_ids[0, : packing.real]
        if self.config.is_pair:
            parts = _parts_of_pair(input_ids, real.bool(), tokens, self.config)
            vectors = _compare(*(self.pooling(hidden, part, tokens) for part in parts))
        else:
            vectors = self.pooling(hidden, real.bool(), tokens)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(vectors)))


class _Tokens(Protocol):
    """Which tokens belong to which text: sums and maxima over each text's, of [*tokens, n], and back."""

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """[texts, n]."""

    def max(self, values: torch.Tensor) -> torch.Tensor:
        """[texts, n]."""

    def first(self, values: torch.Tensor) -> torch.Tensor:
        """Each text's first token's, [texts, n]."""

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """Each text's value, [texts, n], at each of its tokens."""

    def count(self, flags: torch.Tensor) -> torch.Tensor:
        """How many tokens of its text, itself not included, are flagged before each, int64 [*tokens]."""


class _PaddedTokens:
    """Of rows that are a text each: tokens are [texts, tokens]."""

    def __init__(self, real: torch.Tensor):
        self._real = real

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        return values.sum(1)

    def max(self, values: torch.Tensor) -> torch.Tensor:
        return values.amax(1)

    def first(self, values: torch.Tensor) -> torch.Tensor:
        # Padding on the left is before it.
        return values[torch.arange(len(values), device=values.device), self._real.int().argmax(1)]

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        return values.unsqueeze(1)

    def count(self, flags: torch.Tensor) -> torch.Tensor:
        return flags.long().cumsum(1) - flags.long()


class Grouped(Protocol):
    """What lies one after the other, `real` in all, in groups: the tokens of texts, or their windows."""

    @property
    def first(self) -> torch.Tensor:
        """Where each group begins, int64 [groups]."""

    @property
    def lengths(self) -> torch.Tensor:
        """How many each has, int64 [groups]."""

    @property
    def real(self) -> int:
        """How many there are in all."""


class _PackedTokens:
    """Of a row that is all texts, one after the other: tokens are [T]."""

    def __init__(self, texts: Grouped):
        self._texts = texts

    def _reduce(self, values: torch.Tensor, how: str) -> torch.Tensor:
        # Not index_add, which on a GPU adds in any order.
        return torch.segment_reduce(values, how, lengths=self._texts.lengths, unsafe=True)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        return self._reduce(values, "sum")

    def max(self, values: torch.Tensor) -> torch.Tensor:
        return self._reduce(values, "max")

    def first(self, values: torch.Tensor) -> torch.Tensor:
        return values[self._texts.first]

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        return values.repeat_interleave(self._texts.lengths, dim=0, output_size=self._texts.real)

    def count(self, flags: torch.Tensor) -> torch.Tensor:
        before = flags.long().cumsum(0) - flags.long()
        return before - self.spread(before[self._texts.first])


class Pooling(torch.nn.Module):
    """One vector a text, [texts, hidden], of its tokens' hidden states. Reckons in float32 at least."""

    def __init__(self, how: str, hidden: int):
        super().__init__()
        self.how = how
        # Attention of one learned query (Yang et al. 2016, without their extra layer).
        self.query = torch.nn.Linear(hidden, 1, bias=False) if how == "attention" else None

    def forward(self, hidden: torch.Tensor, chosen: torch.Tensor, tokens: _Tokens) -> torch.Tensor:
        """Of no chosen token at all: zeros.

        Args:
            hidden: [*tokens, hidden].
            chosen: bool [*tokens]: which count.
            tokens: which belong to which text.
        """
        if self.how == "first":
            return tokens.first(hidden)
        values, chosen = hidden.to(torch.promote_types(hidden.dtype, torch.float32)), chosen.unsqueeze(-1)
        if self.how == "max":
            found = tokens.max(values.masked_fill(~chosen, -torch.inf))
            return found.masked_fill(found.isinf(), 0).to(hidden.dtype)
        if self.query is None:
            weights = chosen.to(values.dtype)
        else:
            scores = self.query(hidden).to(values.dtype).masked_fill(~chosen, -torch.inf)
            highest = tokens.max(scores.detach()).clamp_min(torch.finfo(values.dtype).min)
            weights = (scores - tokens.spread(highest)).exp()
        total = tokens.sum(weights).clamp_min(1)  # as it is wherever a token is chosen
        return (tokens.sum(values * weights) / total).to(hidden.dtype)

    def of_groups(self, vectors: torch.Tensor, groups: Grouped) -> torch.Tensor:
        """One vector a group, [groups, hidden], of vectors [n, hidden] of which those of a group are adjacent."""
        chosen = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
        return self(vectors, chosen, _PackedTokens(groups))


def _parts_of_pair(
    input_ids: torch.Tensor, real: torch.Tensor, tokens: _Tokens, config: PooledConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens are of the first text, and which of the second, bool [*tokens]; special ones are of neither."""
    is_second = tokens.count(input_ids == torch.tensor(config.separator, device=input_ids.device)) > 0
    marks = torch.tensor(config.special_tokens, device=input_ids.device)
    is_text = real & ~torch.isin(input_ids, marks)
    return is_text & ~is_second, is_text & is_second


def _compare(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Both vectors of a pair, how they differ and what they have in common, [texts, 4 × hidden].

    As InferSent has it (Conneau et al. 2017), of vectors of one length: what cosine similarity is made of.
    """
    length = first.shape[-1] ** 0.5  # numbers of about 1, whatever the size
    u, v = (length * torch.nn.functional.normalize(x, dim=-1) for x in (first, second))
    return torch.cat([u, v, (u - v).abs(), u * v], dim=-1)
