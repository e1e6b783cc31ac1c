"""A classifier by the character n-grams of a text: their embeddings, weighted and added up, and a linear layer.

fastText's classifier (Joulin et al. 2016) with TF-IDF's weights and with dropout on whole n-grams. Tokens are single
characters, which an ordinary tokenizer makes; which n-grams there are was counted in the training texts, and lies in
the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from accel_cls.models.own.configurations import NgramBagConfig

_NONE = -1  # the key of what is no n-gram
_TOKENS_AT_ONCE = 200_000  # whose n-grams are in memory at a time, when they are counted


@dataclass(frozen=True)
class Ngrams:
    """A vocabulary of n-grams."""

    keys: torch.Tensor  # int64 [ngrams], rising; see `ngram_keys`
    weights: torch.Tensor  # float32 [ngrams]: each one's inverse document frequency


def ngram_keys(ids: torch.Tensor, part: torch.Tensor, vocabulary: int, longest: int) -> torch.Tensor:
    """A number for each n-gram of 1 to `longest` tokens, the same one for the same tokens.

    Args:
        ids: int64 [texts, tokens].
        part: int64 [texts, tokens]: n-grams lie within one part of a text; _NONE at padding.
        vocabulary: how many ids there are; (vocabulary + 1) ** longest is below 2 ** 63.
        longest: tokens of the longest n-gram.

    Returns:
        int64 [texts, longest * tokens]: first those of one token, then those of two, each where it begins; _NONE where
        none does.
    """
    tokens = ids.shape[1]
    ids, ends = functional.pad(ids, (0, longest - 1)), functional.pad(part, (0, longest - 1), value=_NONE)
    key, keys = torch.zeros_like(part), []
    for n in range(longest):
        key = key * (vocabulary + 1) + ids[:, n : n + tokens] + 1
        is_whole = (part != _NONE) & (ends[:, n : n + tokens] == part)
        keys.append(torch.where(is_whole, key, _NONE))
    return torch.cat(keys, 1)


def count_ngrams(ids: np.ndarray, offsets: np.ndarray, vocabulary: int, longest: int, most: int) -> Ngrams:
    """The n-grams that most texts have, and at least two. Deterministic: among equals the smaller key.

    Args:
        ids: int [tokens] of all texts, one after the other.
        offsets: int64 [texts + 1]: where each text begins, and the end.
        vocabulary: how many ids there are.
        longest: tokens of the longest n-gram.
        most: n-grams that are kept.
    """
    texts = len(offsets) - 1
    keys, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    for first, last in _stretches(offsets):
        begin, end = offsets[first], offsets[last]
        text = torch.from_numpy(np.repeat(np.arange(last - first), np.diff(offsets[first : last + 1])))
        row = torch.from_numpy(ids[begin:end].astype(np.int64))
        found = ngram_keys(row[None], text[None], vocabulary, longest)[0].numpy()
        order = np.argsort(found, kind="stable")  # of each n-gram, texts now rise
        found, texts_of = found[order], text.repeat(longest).numpy()[order]
        is_new = np.append(True, (found[1:] != found[:-1]) | (texts_of[1:] != texts_of[:-1])) & (found != _NONE)
        more, of_each = np.unique(found[is_new], return_counts=True)
        keys, places = np.unique(np.concatenate([keys, more]), return_inverse=True)
        counts = np.bincount(places, np.concatenate([counts, of_each]), len(keys)).astype(np.int64)
    if (counts > 1).any():
        keys, counts = keys[counts > 1], counts[counts > 1]
    kept = np.sort(np.argsort(-counts, kind="stable")[:most])
    weights = np.log((1 + texts) / (1 + counts[kept])) + 1  # as scikit-learn's TfidfTransformer has it
    return Ngrams(torch.from_numpy(keys[kept]), torch.from_numpy(weights.astype(np.float32)))


def _stretches(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Texts that are counted at once: (the first, the one after the last)."""
    first, texts = 0, len(offsets) - 1
    while first < texts:
        last = int(np.searchsorted(offsets, offsets[first] + _TOKENS_AT_ONCE))
        yield first, (last := min(max(last, first + 1), texts))
        first = last


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

    def forward(self, ids: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        """Float [texts, hidden]; arguments as `ngram_keys` has them."""
        keys = ngram_keys(ids, part, self.vocabulary, self.longest)
        at = torch.searchsorted(self.ngrams, keys).clamp_(max=len(self.ngrams) - 1)
        weights = torch.where(self.ngrams[at] == keys, self.weights[at], 0)
        weights = functional.normalize(self.dropout(weights.float()))
        table = self.embeddings.weight
        return functional.embedding_bag(at, table, per_sample_weights=weights.to(table.dtype), mode="sum")


class NgramBagForSequenceClassification(PreTrainedModel):
    """A bag of n-grams, dropout and a linear layer, see `NgramBagConfig`.

    Of a pair of texts, the linear layer reads the vectors of both, their product and their distance, number by number.
    """

    config_class = NgramBagConfig
    base_model_prefix = "bag"

    def __init__(self, config: NgramBagConfig):
        super().__init__(config)
        self.bag = NgramBag(config)
        self.dropout = torch.nn.Dropout(config.classifier_dropout)
        self.classifier = torch.nn.Linear(config.hidden_size * (4 if config.pairs else 1), config.num_labels)
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
            part = part.masked_fill(attention_mask == 0, _NONE)
        if self.config.pairs:
            first, second = (self.bag(input_ids, part.masked_fill(part != i, _NONE)) for i in (0, 1))
            vectors = torch.cat([first, second, first * second, (first - second).abs()], 1)
        else:
            vectors = self.bag(input_ids, part)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(vectors)))

    def set_ngrams(self, ngrams: Ngrams) -> None:
        """Take a vocabulary of `config.num_ngrams`."""
        self.bag.ngrams.copy_(ngrams.keys)
        self.bag.weights.copy_(ngrams.weights)

    @torch.no_grad()
    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, NgramBag):  # on the meta device until weights are loaded
            torch.nn.init.ones_(module.weights)
