"""The tokenizer: a pretrained one by name or folder, or one learned from the training texts."""

from __future__ import annotations

import inspect
from typing import Any

from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from accel_cls.data.examples import Examples
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.model import Scratch
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.pretrained import load_error
from accel_cls.tokenization.vocabulary import learn_characters, learn_tokenizer

_ANY_TEXT = "a \u4e2d \U0001f600 \U0010fffd"  # known characters, and one that no tokenizer has seen


def load_tokenizer(recipe: Recipe, train: Examples, notes: list[str] | None = None) -> PreTrainedTokenizerBase:
    """The recipe's tokenizer; for a model from scratch, learned from the training texts, or before: see there."""
    name, longest = recipe.model.name, recipe.data.max_length
    if name is None:
        scratch = recipe.model.scratch or Scratch()
        if scratch.architecture == "ngrams":
            tokenizer = learn_characters(train.texts, scratch.vocabulary)
        else:
            tokenizer = learn_tokenizer(train.texts, scratch.vocabulary, notes)
        settle_special_tokens(tokenizer, "", notes)
    else:
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False)
        except Exception as error:  # OSError, ValueError, ImportError ...: whatever the folder lacks
            raise load_error(name, "tokenizer", error) from error
        check_tokenizer(tokenizer, name)
        settle_special_tokens(tokenizer, name, notes)
        if longest > tokenizer.model_max_length:
            most = f"the tokenizer of {name} takes at most {tokenizer.model_max_length} tokens"
            raise UserError(f"data.max_length: found {longest}; {most}")
        try:
            config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        except Exception as error:
            raise load_error(name, "model", error) from error
        drop_unknown_token_types(tokenizer, config)
    Cutting.of(recipe.data).check(tokenizer.num_special_tokens_to_add(pair=not isinstance(recipe.data.text, str)))
    # Saved with the model, so that `truncation=True` cuts later texts as it cut the training texts.
    tokenizer.model_max_length = longest
    tokenizer.truncation_side = "left" if recipe.data.truncate == "start" else "right"
    tokenizer.init_kwargs["truncation_side"] = tokenizer.truncation_side  # what save_pretrained writes
    return tokenizer


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, name: str, place: str = "model.name") -> None:
    """Raise UserError for a tokenizer that loads and yet can't take every text; `place` is where the user named it."""
    if not isinstance(tokenizer.model_max_length, int | float):
        found = f"a model_max_length of {tokenizer.model_max_length!r}; expected a number"
        raise UserError(f"{place}: the tokenizer of {name} has {found}")
    try:
        ids = tokenizer(_ANY_TEXT)["input_ids"]
    except Exception as error:  # what is unknown has no token of its own
        raise load_error(name, "tokenizer", error, place) from error
    if not ids or set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # What transformers makes of a folder without a tokenizer's files.
        raise UserError(f"{place}: the tokenizer of {name} knows no words; are its files, tokenizer.json, missing?")


def settle_special_tokens(
    tokenizer: PreTrainedTokenizerBase, name: str, notes: list[str] | None = None, place: str = "model.name"
) -> None:
    """Let nothing in a text become a special token, and have one for padding; both are saved with the tokenizer.

    Raises:
        UserError: for a tokenizer without any special token.
    """
    tokenizer.split_special_tokens = tokenizer.init_kwargs["split_special_tokens"] = True
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        tokenizer.backend_tokenizer.encode_special_tokens = True
    if tokenizer.pad_token is None:  # GPT-2's line, Llama's
        token = tokenizer.eos_token or tokenizer.bos_token or tokenizer.unk_token
        if token is None:
            raise UserError(f"{place}: the tokenizer of {name} has no padding token, nor another to stand for it")
        tokenizer.pad_token = token
        if notes is not None:
            notes.append(f"the tokenizer of {name} has no padding token: {token} stands for it")


def drop_unknown_token_types(tokenizer: PreTrainedTokenizerBase, config: Any) -> None:
    """Let a tokenizer make no token types where its model takes none, or fewer than it makes.

    A RoBERTa knows one type; with BERT's tokenizer, as many Chinese ones have it, a pair's second text has another,
    for which there is no embedding.

    Args:
        tokenizer: the model's; changed, also as it is saved.
        config: the model's.
    """
    if "token_type_ids" in tokenizer.model_input_names and not _takes_types_of(config, tokenizer):
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
        tokenizer.init_kwargs["model_input_names"] = tokenizer.model_input_names  # what save_pretrained writes


def _takes_types_of(config: Any, tokenizer: PreTrainedTokenizerBase) -> bool:
    inner = getattr(config, "encoder", None)  # of a pooled classifier
    config = inner if isinstance(inner, PreTrainedConfig) else config
    known = getattr(config, "type_vocab_size", None)
    if isinstance(known, int):
        return max(tokenizer("a", "a", return_token_type_ids=True)["token_type_ids"]) < known
    # Families without such a number take any (XLNet) or none (DistilBERT).
    classifier = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    return classifier is not None and "token_type_ids" in inspect.signature(classifier.forward).parameters
