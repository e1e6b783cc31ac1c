"""A classifier by the character n-grams of a text: their embeddings, weighted and added up, and a linear layer.

fastText's classifier (Joulin et al. 2016) with TF-IDF's weights and with dropout on whole n-grams. Tokens are single
characters, which an ordinary tokenizer makes; which n-grams there are was counted in the training texts, and lies in
the model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from accel_cls.models.own.configurations import NgramBagConfig
from accel_cls.models.own.ngram_overlap import NgramOverlap
from accel_cls.models.own.ngrams import NONE, FoundNgrams, Ngrams, ngram_keys, weighted_sum


class NgramBag(torch.nn.Module):
    """One vector a text: the embeddings of its n-grams, added up by weights whose squares sum to 1."""

    ngrams: torch.Tensor  # int64 [ngrams], rising
    weights: torch.Tensor  # float32 [ngrams]

    def __init__(self, config: NgramBagConfig):
        super().__init__()
        self.vocabulary, self.longest = config.vocab_size, config.longest_ngram
        self.register_buffer("ngrams", torch.arange(config.num_ngrams))
        self.register_buffer("weights", torch.ones(config.num_ngrams))
        self.embeddings = torch.nn.Embedding(config.num_ngrams, config.hidden_size)
        self.dropout = torch.nn.Dropout(config.ngram_dropout)
        self.normalize_first = config.normalize_first

    def find(self, ids: torch.Tensor, part: torch.Tensor) -> FoundNgrams:
        """The n-grams of the vocabulary in texts; arguments as `ngram_keys` has them."""
        keys = ngram_keys(ids, part, self.vocabulary, self.longest)
        at = torch.searchsorted(self.ngrams, keys).clamp_(max=len(self.ngrams) - 1)
        return FoundNgrams(at, torch.where(self.ngrams[at] == keys, self.weights[at], 0).float())

    def dropped(self, found: FoundNgrams) -> torch.Tensor:
        """The weights as a text's sum has them, float32 [texts, longest * tokens]: some left out, see the config.

        n embeddings that agree, with weights of length 1, have a sum of √n: fewer of them, of length 1 again, a
        smaller one. Classes do not mind that all logits are larger once nothing is left out; numbers do.
        """
        if self.normalize_first:
            return self.dropout(functional.normalize(found.weights))
        return functional.normalize(self.dropout(found.weights))

    def forward(self, at: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Float [texts, hidden].

        Args:
            at: int64 [texts, longest * tokens]: which n-grams.
            weights: float32, likewise: what each counts.
        """
        return weighted_sum(self.embeddings.weight, at, weights)


class NgramBagForSequenceClassification(PreTrainedModel):
    """A bag of n-grams, dropout and a linear layer, see `NgramBagConfig`.

    Of a pair of texts, the linear layer reads the vectors of both, their product and their distance, number by number,
    and which n-grams both have, see `NgramOverlap`.
    """

    config_class = NgramBagConfig
    base_model_prefix = "bag"

    def __init__(self, config: NgramBagConfig):
        super().__init__(config)
        self.bag = NgramBag(config)
        self.overlap = NgramOverlap(config) if config.overlap_size else None
        self.dropout = torch.nn.Dropout(config.classifier_dropout)
        size = config.hidden_size * (4 if config.pairs else 1)
        size += 0 if self.overlap is None else self.overlap.output_size
        self.classifier = torch.nn.Linear(size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        """Logits [texts, classes].

        Args:
            input_ids: int64 [texts, tokens].
            attention_mask: [texts, tokens], 0 at padding; None where there is none.
            token_type_ids: [texts, tokens]: 1 for the second text of a pair.
        """
        part = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        if attention_mask is not None:
            part = part.masked_fill(attention_mask == 0, NONE)
        vectors = self._of_pairs(input_ids, part) if self.config.pairs else self._of_texts(input_ids, part)
        return SequenceClassifierOutput(logits=self.classifier(vectors))

    def _of_texts(self, ids: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        found = self.bag.find(ids, part)
        return self.dropout(self.bag(found.at, self.bag.dropped(found)))

    def _of_pairs(self, ids: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        both = [self.bag.find(ids, part.masked_fill(part != i, NONE)) for i in (0, 1)]
        weights = [self.bag.dropped(found) for found in both]
        first, second = (self.bag(found.at, of) for found, of in zip(both, weights, strict=True))
        vectors = self.dropout(torch.cat([first, second, first * second, (first - second).abs()], 1))
        if self.overlap is None:
            return vectors
        return torch.cat([vectors, self.overlap(both, weights).to(vectors.dtype)], 1)

    def set_ngrams(self, ngrams: Ngrams) -> None:
        """Take a vocabulary of `config.num_ngrams`."""
        self.bag.ngrams.copy_(ngrams.keys)
        self.bag.weights.copy_(ngrams.weights)

    @torch.no_grad()
    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, NgramBag):  # on the meta device until weights are loaded
            torch.nn.init.ones_(module.weights)
