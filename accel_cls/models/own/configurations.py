"""The configurations of this package's model classes."""

from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

Pooling = Literal["first", "mean", "max", "attention", "last"]
Head = Literal["linear", "cnn", "bilstm", "rcnn", "dpcnn"]

# Of a new head, its `head_size`: Kim's filters of each width, Johnson and Zhang's filters, an LSTM's units; none of a
# linear one.
HEAD_SIZES: dict[Head, int] = {"linear": 1, "cnn": 100, "bilstm": 128, "rcnn": 128, "dpcnn": 250}


@strict
class PooledConfig(PreTrainedConfig):
    """Any encoder, its tokens' hidden states made one vector a text, and a linear layer on it.

    Args:
        encoder: the configuration of the encoder.
        last_layers: how many of the encoder's last layers are read: of several, a mean whose weights are learned.
        head: what reads the states: 'linear' none but the pooling, or a network, see `heads`.
        pooling: how a vector comes of a text's tokens, or of a bilstm's states: the first one's, the mean, the
            greatest of each number, a mean whose weights are learned; of a bilstm also its last states. The other
            networks have their own way, which is the greatest.
        head_size: filters of a convolution (of each width), or units of an LSTM (of each direction).
        head_widths: of a cnn, the tokens that its filters see.
        head_blocks: of a dpcnn, its blocks of two convolutions.
        classifier_dropout: the rate before the linear layer.
        is_pair: whether it reads pairs: each of the two texts is then read by itself, and the linear layer reads
            both vectors, their difference and their product.
        separator: of a pair, the id of the token that ends the first text.
        special_tokens: of a pair, the ids of tokens that are of neither text.
        window_pooling: attention, where a text may be read in several windows and the weights of their mean are
            learned; None where there are none.
    """

    model_type = "accel-cls-pooled"
    sub_configs_defaults: ClassVar = {"encoder": SubConfigSpec(config_class=AutoConfig, model_type="bert")}

    encoder: PreTrainedConfig | dict | None = None
    last_layers: int = 1
    head: Head = "linear"
    pooling: Pooling = "mean"
    head_size: int = 1
    head_widths: tuple[int, ...] | list[int] = (2, 3, 4)
    head_blocks: int = 7
    classifier_dropout: float | int = 0.1
    is_pair: bool = False
    separator: int | None = None
    special_tokens: list[int] | None = None
    window_pooling: Literal["attention"] | None = None
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
        normalize_first: whether the weights of a text have length 1 before some are left out, and are then divided by
            the part that stays, so that the sum of them is right on average; else those that stay have length 1.
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
    normalize_first: bool = False
    classifier_dropout: float | int = 0.3
    initializer_range: float = 0.02
    pad_token_id: int | None = 0


def encoder_config(config: Any) -> Any:
    """The configuration of the encoder: of a pooled classifier that within it, else the configuration itself."""
    return config.encoder if isinstance(config, PooledConfig) else config
