"""A classifier on any encoder, by one vector a text: the mean of its tokens, say, as sentence-transformers makes it.

transformers' own classifiers read a text's first token, or its last; an encoder that was trained by the mean of its
tokens has learned little about these.
"""

from __future__ import annotations

import inspect
from typing import Any

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
        self.encoder = AutoModel.from_config(inner, **without_pooler(inner)) if encoder is None else encoder
        self.pooling = Pooling(config.pooling, inner.get_text_config().hidden_size)
        self.dropout = torch.nn.Dropout(config.classifier_dropout)
        self.classifier = torch.nn.Linear(inner.get_text_config().hidden_size, config.num_labels)
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
        if packing is not None:
            vectors = self.pooling.of_row(hidden.squeeze(0), packing)
        else:
            real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            vectors = self.pooling(hidden, real.bool())
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(vectors)))


class Pooling(torch.nn.Module):
    """One vector a text, [texts, hidden], of its tokens' hidden states. Reckons in float32 at least."""

    def __init__(self, how: str, hidden: int):
        super().__init__()
        self.how = how
        # Attention of one learned query (Yang et al. 2016, without their extra layer).
        self.query = torch.nn.Linear(hidden, 1, bias=False) if how == "attention" else None

    def forward(self, hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Of padded rows.

        Args:
            hidden: [texts, tokens, hidden].
            real: bool [texts, tokens], False at padding.
        """
        if self.how == "first":  # which padding on the left does not begin
            return hidden[torch.arange(len(hidden), device=hidden.device), real.int().argmax(1)]
        values = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        if self.how == "max":
            return values.masked_fill(~real[..., None], -torch.inf).amax(1).to(hidden.dtype)
        if self.query is None:
            weights = real.to(values.dtype) / real.sum(1, keepdim=True)
        else:
            weights = self.query(hidden).squeeze(-1).to(values.dtype).masked_fill(~real, -torch.inf).softmax(1)
        return torch.einsum("tnh,tn->th", values, weights).to(hidden.dtype)

    def of_row(self, hidden: torch.Tensor, packing: Packing) -> torch.Tensor:
        """Of texts packed in a row, [T, hidden]."""
        if self.how == "first":
            return hidden[packing.first]
        values = hidden[: packing.real].to(torch.promote_types(hidden.dtype, torch.float32))

        def of_each(how: str, values: torch.Tensor) -> torch.Tensor:
            # Not index_add, which on a GPU adds in any order.
            return torch.segment_reduce(values, how, lengths=packing.lengths, unsafe=True)

        if self.query is None:
            return of_each(self.how, values).to(hidden.dtype)
        scores = self.query(hidden[: packing.real]).to(values.dtype)  # [real, 1]

        def to_tokens(of_texts: torch.Tensor) -> torch.Tensor:
            return of_texts.repeat_interleave(packing.lengths, dim=0, output_size=packing.real)

        weights = (scores - to_tokens(of_each("max", scores.detach()))).exp()
        return (of_each("sum", values * weights) / of_each("sum", weights)).to(hidden.dtype)
