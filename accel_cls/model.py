"""The tokenizer and the classifier: pretrained by name or folder, or a small BERT built from the recipe."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate.utils import set_seed
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from accel_cls.data import Examples, Labels
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.recipe.schema import Scratch

transformers.logging.set_verbosity_error()  # what matters of its warnings is said in our own notes
transformers.utils.logging.disable_progress_bar()


@dataclass(frozen=True)
class Encoded:
    """Tokenized texts, flat: example i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: np.ndarray  # int32
    types: np.ndarray | None  # int8 token types, for models that take them
    offsets: np.ndarray  # int64, one more than there are examples
    truncated: int  # examples that were cut to max_length

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, special tokens included, int32."""
        return np.diff(self.offsets).astype(np.int32)

    def describe(self, longest: int) -> tuple[str, str]:
        """Name and text of the banner's line about lengths."""
        share = self.truncated / len(self.lengths)
        return (
            "tokens",
            f"{self.lengths.mean():.1f} on average, 95% of the texts within {np.percentile(self.lengths, 95):.0f}, "
            f"{share:.1%} cut to data.max_length {longest}",
        )


def load_tokenizer(recipe: Recipe, train: Examples) -> PreTrainedTokenizerBase:
    """The recipe's tokenizer; for a model from scratch, learned from the training texts."""
    name, longest = recipe.model.name, recipe.data.max_length
    if name is None:
        tokenizer = learn_tokenizer(train.texts, (recipe.model.scratch or Scratch()).vocabulary)
    else:
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False)
        except Exception as error:  # OSError, ValueError, ImportError ...: whatever the folder lacks
            raise _unusable(name, "tokenizer", error) from error
        if tokenizer.pad_token is None:
            raise UserError(f"model.name: the tokenizer of {name} has no padding token; choose an encoder")
        if longest > tokenizer.model_max_length:
            raise UserError(
                f"data.max_length: found {longest}; {name} takes at most {tokenizer.model_max_length} tokens"
            )
    # Saved with the model, so that `truncation=True` cuts later texts as it cut the training texts.
    tokenizer.model_max_length = longest
    tokenizer.truncation_side = "right" if recipe.data.truncate == "end" else "left"
    tokenizer.init_kwargs["truncation_side"] = tokenizer.truncation_side  # what save_pretrained writes
    return tokenizer


def learn_tokenizer(texts: Dataset, vocabulary: int) -> PreTrainedTokenizerBase:
    """A WordPiece tokenizer whose Chinese characters each stand alone, learned from texts; deterministic.

    Its vocabulary is the most frequent of: the first characters of words, their further characters
    ("##x"), and whole words, at least twice each. What stands in one text only becomes [UNK], which so
    learns to stand for the unknown. (The trainer of `tokenizers` gives other ids in every process, since it
    iterates over randomly seeded hash maps: processes would train on different numbers.)
    """
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=True)
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for column in texts.column_names:
        for text in texts[column][:]:
            words.update(word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)))
    pieces: Counter[str] = Counter()
    for word, count in words.items():
        pieces[word[0]] += count
        for character in word[1:]:
            pieces[f"##{character}"] += count
        if len(word) > 1:
            pieces[word] += count
    # By count; among equals the shorter, so that no word comes before its own characters; then by code point.
    ranked = sorted(pieces, key=lambda piece: (-pieces[piece], len(piece), piece))
    frequent = [piece for piece in ranked if pieces[piece] > 1]
    entries = [*special, *frequent[: vocabulary - len(special)]]
    ids = {piece: i for i, piece in enumerate(entries)}
    tokenizer = Tokenizer(models.WordPiece(vocab=ids, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return BertTokenizer(tokenizer_object=tokenizer, do_lower_case=True)


def encode(tokenizer: PreTrainedTokenizerBase, texts: Dataset, max_length: int) -> Encoded:
    """Tokenize the columns "text" and, for pairs, "pair"; pairs lose tokens of the longer text first."""
    ids: list[np.ndarray] = []
    types: list[np.ndarray] = []
    lengths: list[int] = []
    truncated = 0
    with_types = "token_type_ids" in tokenizer.model_input_names
    for start in range(0, len(texts), 1000):
        batch = texts[start : start + 1000]
        encoded = tokenizer(
            batch["text"],
            batch.get("pair"),
            truncation=True,
            max_length=max_length,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=with_types,
        )
        lengths.extend(map(len, encoded["input_ids"]))
        ids.append(np.fromiter((i for row in encoded["input_ids"] for i in row), np.int32))
        if with_types:
            types.append(np.fromiter((t for row in encoded["token_type_ids"] for t in row), np.int8))
        # A fast tokenizer keeps what it cut off; a slow one does not say.
        truncated += sum(bool(row.overflowing) for row in encoded.encodings or ())
    return Encoded(
        np.concatenate(ids),
        np.concatenate(types) if with_types else None,
        np.concatenate([[0], np.cumsum(lengths)]),
        truncated,
    )


def load_model(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, labels: Labels, notes: list[str]
) -> PreTrainedModel:
    """The classifier in fp32, its fresh weights drawn from the recipe's seed.

    Raises:
        UserError: where the folder or hub id holds no model that can classify.
    """
    name = recipe.model.name
    config = _configuration(recipe, tokenizer, labels)
    set_seed(recipe.seed)  # every process draws the same head, or the same whole model
    if name is None:
        return AutoModelForSequenceClassification.from_config(config).float()
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            name,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # a head for other classes is replaced; the note below says so
            output_loading_info=True,
        )
    except Exception as error:
        raise _unusable(name, "model", error) from error
    fresh = sorted(set(loading["missing_keys"]) | {entry[0] for entry in loading["mismatched_keys"]})
    if fresh:
        notes.append(f"weights that {Path(name).name} does not have start fresh: {', '.join(fresh)}")
    _check_embeddings(model, tokenizer, name)
    return model


def outline_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, labels: Labels) -> PreTrainedModel:
    """The same classifier on torch's meta device: every shape, no weights, made in a moment. For arithmetic."""
    config = _configuration(recipe, tokenizer, labels)
    try:
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(config).float()
    except ValueError as error:
        raise _unusable(str(recipe.model.name), "model", error) from error
    _check_embeddings(model, tokenizer, str(recipe.model.name))
    return model


def _configuration(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, labels: Labels) -> Any:
    """The model's configuration, with the recipe's classes and dropout."""
    label_ids: dict[str, Any] = {
        "num_labels": len(labels.names),
        "id2label": dict(enumerate(labels.names)),
        "label2id": {name: i for i, name in enumerate(labels.names)},
        "problem_type": "single_label_classification",
    }
    name, longest = recipe.model.name, recipe.data.max_length
    if name is None:
        scratch = recipe.model.scratch or Scratch()
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=scratch.hidden,
            num_hidden_layers=scratch.layers,
            num_attention_heads=scratch.heads,
            intermediate_size=4 * scratch.hidden,
            max_position_embeddings=longest,
            pad_token_id=tokenizer.pad_token_id,
            **label_ids,
        )
        _set_dropout(config, scratch.dropout if recipe.model.dropout is None else recipe.model.dropout)
        return config
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False, **label_ids)
    except Exception as error:
        raise _unusable(name, "model", error) from error
    _set_dropout(config, recipe.model.dropout)
    positions = getattr(config, "max_position_embeddings", None) or longest
    if longest > positions:
        raise UserError(f"data.max_length: found {longest}; {name} takes at most {positions} tokens")
    return config


def _check_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    embeddings = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > embeddings:
        raise UserError(
            f"model.name: {name} has {embeddings} embeddings, but its tokenizer {len(tokenizer)} tokens: "
            "they do not belong together"
        )


def describe_model(model: PreTrainedModel, recipe: Recipe) -> tuple[str, str]:
    """Name and text of the banner's line about the model."""
    source = recipe.model.name or "built from the recipe"
    count = model.num_parameters()
    weights = f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count:,}"
    return (
        "classifier",
        f"{type(model).__name__}, {weights} weights, {source}",
    )


def _set_dropout(config: Any, rate: float | None) -> None:
    """Set every dropout rate of a configuration, whatever its family calls them; None leaves them."""
    if rate is None:
        return
    for key, value in config.to_dict().items():
        if "dropout" in key and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, key, rate)


def _unusable(name: str, what: str, error: Exception) -> UserError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    reason = " ".join(lines if lines[0].endswith(":") else lines[:1])  # a list of reasons is told whole
    missing = "folder, which does not exist," if Path(name).is_absolute() else "hub id (no such folder exists)"
    kind = "folder" if Path(name).is_dir() else missing
    return UserError(f"model.name: the {what} of the {kind} {name!r} can't be loaded: {reason}")
