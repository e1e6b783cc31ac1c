"""The configurations of this package's model classes."""

from typing import Any, ClassVar, Literal, get_args

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

Pooling = Literal["first", "mean", "max", "attention"]


@strict
class PooledConfig(PreTrainedConfig):
    """Any encoder, its tokens' hidden states pooled to one vector a text, and a linear layer on it.

    Args:
        encoder: the configuration of the encoder.
        pooling: how a vector comes of a text's tokens: the first one's, the mean, the greatest of each number, or a
            mean whose weights are learned.
        classifier_dropout: the rate before the linear layer.
        is_pair: whether it reads pairs: each of the two texts is then pooled by itself, and the linear layer reads
            both vectors, their difference and their product.
        separator: of a pair, the id of the token that ends the first text.
        special_tokens: of a pair, the ids of tokens that are of neither text.
    """

    model_type = "accel-cls-pooled"
    sub_configs_defaults: ClassVar = {"encoder": SubConfigSpec(config_class=AutoConfig, model_type="bert")}

    encoder: PreTrainedConfig | dict | None = None
    pooling: Pooling = "mean"
    classifier_dropout: float | int = 0.1
    is_pair: bool = False
    separator: int | None = None
    special_tokens: list[int] | None = None
    initializer_range: float = 0.02

    def get_text_config(self, *_: Any, **__: Any) -> PreTrainedConfig:
        """The encoder's, by which others judge a model of texts."""
        return self.encoder


@strict
class NgramBagConfig(PreTrainedConfig):
    """The character n-grams of a text, their embeddings added up, and a linear layer on the sum.

    Args:
        vocab_size: how many token ids there are.
        num_ngrams: n-grams that have an embedding.
        longest_ngram: tokens of the longest.
        hidden_size: numbers of an embedding.
        pairs: whether texts come in pairs.
        overlap_size: of pairs, numbers of the embeddings of n-grams that both texts have, and of those that one has; 0
            looks for none.
        ngram_dropout: the rate at which n-grams of a text are left out.
        classifier_dropout: the rate before the linear layer.
    """

    model_type = "accel-cls-ngram-bag"

    vocab_size: int = 5000
    num_ngrams: int = 65_536
    longest_ngram: int = 3
    hidden_size: int = 64
    pairs: bool = False
    overlap_size: int = 0
    ngram_dropout: float | int = 0.3
    classifier_dropout: float | int = 0.3
    initializer_range: float = 0.02
    pad_token_id: int | None = 0


POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def encoder_config(config: Any) -> Any:
    """The configuration of the encoder: of a pooled classifier that within it, else the configuration itself."""
    return config.encoder if isinstance(config, PooledConfig) else config
