"""The recipe's section `model`: what is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accel_cls.recipe.section import Section, setting

DROPOUT = "at 1 nothing gets through"

# Of each head, how one vector may come of a text's tokens; the first is what it does where nothing else is said.
POOLINGS_OF: dict[str, tuple[str, ...]] = {
    "linear": ("first", "mean", "max", "attention"),
    "cnn": ("max",),
    "bilstm": ("max", "mean", "attention", "last"),
    "rcnn": ("max",),
    "dpcnn": ("max",),
}


class Scratch(Section):
    """The model that is built when `model.name` is null; its vocabulary is learned from the texts.

    layers and heads are for a bert; longest_ngram and ngrams are for ngrams.
    """

    architecture: Literal["bert", "ngrams"] = setting(
        "bert",
        "'bert' or 'ngrams'",
        "'bert' is a Transformer; 'ngrams' adds up the embeddings of a text's character n-grams, weighted by how rare "
        "they are, which trains in seconds and was the better one of 10,000 short texts",
    )
    layers: int = setting(
        2,
        "a whole number, 1 or more",
        "transformer layers",
        "an encoder without layers learns no order of words",
        ge=1,
    )
    hidden: int = setting(
        128,
        "a whole number, 8 or more",
        "hidden size; a multiple of `heads`; of ngrams, numbers of an n-gram's embedding",
        "fewer numbers can't tell words apart",
        ge=8,
    )
    heads: int = setting(2, "a whole number, 1 or more", "attention heads", "without one no word sees another", ge=1)
    vocabulary: int = setting(
        5000,
        "a whole number, 100 or more",
        "most entries of the learned vocabulary; of ngrams, characters",
        "the letters and signs of one script take that many",
        ge=100,
    )
    longest_ngram: int = setting(
        3,
        "a whole number from 1 to 8",
        "characters of the longest n-grams: 3 where the script has no spaces, as Chinese, 5 where it has",
        "longer ones hardly ever stand in two texts",
        ge=1,
        le=8,
    )
    ngrams: int = setting(
        65_536,
        "a whole number, 1 or more",
        "most n-grams, those that most of the training texts have; each is in two texts or more",
        "without one a text is nothing",
        ge=1,
    )
    dropout: float = setting(
        0.1,
        "a number from 0 up to, not including, 1",
        "all dropout rates, unless model.dropout is set",
        DROPOUT,
        ge=0,
        lt=1,
    )


class Lora(Section):
    """Low-rank adapters (Hu et al. 2022): of the encoder, only they are trained, and then added to its weights.

    A linear layer's weights W become W + alpha / rank × B A, A of `rank` rows, B of as many columns, which begin at 0.
    """

    rank: int = setting(8, "a whole number, 1 or more", "of the matrices", "without a row nothing is learned", ge=1)
    alpha: float = setting(
        16.0,
        "a number above 0",
        "what is learned counts alpha / rank times",
        "at 0 the adapters would change nothing",
        gt=0,
    )
    dropout: float = setting(
        0.0, "a number from 0 up to, not including, 1", "of what an adapter reads", DROPOUT, ge=0, lt=1
    )
    targets: Literal["auto"] | Annotated[list[str], Field(min_length=1)] = setting(
        "auto",
        "'auto' or a list of names of linear layers",
        "which linear layers get one: 'auto' takes all of the encoder's layers, a list those whose name ends so, such "
        "as [query, value]",
        "without one nothing of the encoder is learned, which model.freeze says",
    )


class Model(Section):
    """What is trained."""

    name: str | None = setting(
        None, "a hub id or a folder", "a pretrained encoder; null builds the one under `scratch`"
    )
    scratch: Scratch | None = setting(
        None,
        "a mapping of architecture, layers, hidden, heads, vocabulary, longest_ngram, ngrams, dropout",
        "used only where `name` is null",
    )
    head: Literal["auto", "linear", "cnn", "bilstm", "rcnn", "dpcnn"] = setting(
        "auto",
        "'auto', 'linear', 'cnn', 'bilstm', 'rcnn' or 'dpcnn'",
        "what reads the tokens before the last layer: 'linear' nothing but the pooling, 'cnn' convolutions over 2, 3 "
        "and 4 tokens, 'bilstm' an LSTM from either side, 'rcnn' these and the token between them, 'dpcnn' a pyramid "
        "of convolutions; 'auto' is that of a trained classifier, else 'linear'",
    )
    pooling: Literal["auto", "first", "mean", "max", "attention", "last"] = setting(
        "auto",
        "'auto', 'first', 'mean', 'max', 'attention' or 'last'",
        "which vector of a text the head reads: its first token's, the mean or the greatest of all tokens', or a mean "
        "whose weights are learned; 'auto' takes what sentence-transformers' files beside the model say, else the "
        "family's habit. Of a bilstm's states it is 'max', 'mean', 'attention' or 'last', of the other heads 'max'",
    )
    last_layers: int | None = setting(
        None,
        "null or a whole number, 1 or more",
        "so many of the encoder's last layers are read, as a mean whose weights are learned (ELMo's); null is what a "
        "trained classifier has, else 1",
        "without one there is nothing to read",
        ge=1,
    )
    keep_layers: int | None = setting(
        None,
        "null or a whole number of layers, 1 or more",
        "so many of the encoder's layers stay, the lowest; those above them are left out, of the saved model, too, "
        "which is smaller and faster; null keeps all",
        "an encoder without layers is a table of tokens",
        ge=1,
    )
    freeze: Literal["encoder", "embeddings"] | Annotated[int, Field(ge=1)] | None = setting(
        None,
        "null, 'encoder', 'embeddings' or a whole number of layers, 1 or more",
        "'encoder' trains the head alone, in seconds: logistic regression on what the encoder makes of each text, "
        "which is computed once and kept. 'embeddings' stay as they are; with a number so many of the lowest layers, "
        "too",
        "0 layers without the embeddings are null, with them 'embeddings'",
    )
    lora: Lora | None = setting(
        None,
        "a mapping of rank, alpha, dropout, targets; {} takes the defaults",
        "of the encoder train low-rank adapters only, by peft; the saved model has them in its weights",
    )
    dropout: float | None = setting(
        None,
        "a number from 0 up to, not including, 1",
        "all the model's dropout rates; null keeps the model's own (from scratch: scratch.dropout)",
        DROPOUT,
        ge=0,
        lt=1,
    )
    dropout_samples: int = setting(
        1,
        "a whole number, 1 or more",
        "so many draws of the last dropout for each text, whose losses are averaged; in training only",
        "without a draw there is no loss",
        ge=1,
    )
    reinitialize: int = setting(
        0,
        "a whole number, 0 or more",
        "so many of the encoder's top layers, and its pooler, start from random weights, not the pretrained ones",
        "layers are counted from the top",
        ge=0,
    )

    @property
    def is_fitted(self) -> bool:
        """Whether training is a fit of the head to the encoder as it is, without updates by gradients."""
        return self.freeze == "encoder"
