"""A classifier on any encoder, by one vector a text: the mean of its tokens, say, or what a network makes of them.

transformers' own classifiers read a text's first token, or its last; an encoder that was trained by the mean of its
tokens, as sentence-transformers' are, has learned little about these.
"""

from __future__ import annotations

import functools
import inspect
import operator
from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel, initialization
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from accel_cls.models.own.configurations import PooledConfig
from accel_cls.models.own.heads import LayerMix, Pooling, make_head
from accel_cls.models.own.tokens import PackedTokens, PaddedTokens, Tokens
from accel_cls.models.packing.row import Packing


def without_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    """The argument by which an encoder of this configuration has no pooler of its own, where it can do without."""
    kind = MODEL_MAPPING[type(config)]
    kind = kind[0] if isinstance(kind, tuple) else kind
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(kind.__init__).parameters else {}


class PooledForSequenceClassification(PreTrainedModel):
    """An encoder, pooling or another head, dropout and a linear layer, see `PooledConfig`.

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
        self.mix = LayerMix(config.last_layers) if config.last_layers > 1 else None
        self.pooling = make_head(config, hidden)
        if config.window_pooling is not None:  # used by `make_windowed`; a text of one window is that window
            self.window_pooling = Pooling(config.window_pooling, self.pooling.size)
        self.dropout = torch.nn.Dropout(config.classifier_dropout)
        size = self.pooling.size
        self.classifier = torch.nn.Linear(4 * size if config.is_pair else size, config.num_labels)
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
        hidden = self._states(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        if packing is None:
            real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            tokens: Tokens = PaddedTokens(real.bool())
        else:
            tokens, real = PackedTokens(packing), torch.ones(packing.real, device=hidden.device)
            hidden, input_ids = hidden[0, : packing.real], input_ids[0, : packing.real]
        if self.config.is_pair:
            parts = _parts_of_pair(input_ids, real.bool(), tokens, self.config)
            vectors = _compare(*(self.pooling(hidden, part, tokens) for part in parts))
        else:
            vectors = self.pooling(hidden, real.bool(), tokens)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(vectors)))

    def _states(self, **inputs: Any) -> torch.Tensor:
        """The tokens' states, as the last layer puts them out, or as the last layers' mean."""
        if self.mix is None:
            return self.encoder(**inputs).last_hidden_state
        output = self.encoder(**inputs, output_hidden_states=True)
        # Their last one may lack the norm that some families put after all layers.
        return self.mix([*output.hidden_states[-self.config.last_layers : -1], output.last_hidden_state])

    @torch.no_grad()
    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, LayerMix):
            initialization.zeros_(module.weights)
            initialization.ones_(module.scale)


def _parts_of_pair(
    input_ids: torch.Tensor, real: torch.Tensor, tokens: Tokens, config: PooledConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens are of the first text, and which of the second, bool [*tokens]; special ones are of neither."""
    assert config.separator is not None
    is_second = tokens.count(input_ids.eq(config.separator)) > 0
    # Numbers, not a tensor of them: it would be copied to the device in each pass.
    is_mark = functools.reduce(operator.or_, (input_ids.eq(mark) for mark in config.special_tokens or ()))
    is_text = real & ~is_mark
    return is_text & ~is_second, is_text & is_second


def _compare(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Both vectors of a pair, how they differ and what they have in common, [texts, 4 × hidden].

    As InferSent has it (Conneau et al. 2017), of vectors of one length: what cosine similarity is made of.
    """
    length = first.shape[-1] ** 0.5  # numbers of about 1, whatever the size
    u, v = (length * torch.nn.functional.normalize(x, dim=-1) for x in (first, second))
    return torch.cat([u, v, (u - v).abs(), u * v], dim=-1)
