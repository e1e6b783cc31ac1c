"""The tokenizer: a pretrained one by name or folder, or one learned from the training texts."""

from __future__ import annotations

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from accel_cls.data.examples import Examples
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.recipe.schema import Scratch
from accel_cls.tokenization.pretrained import unusable
from accel_cls.tokenization.vocabulary import learn_tokenizer

_ANY_TEXT = "a \u4e2d \U0001f600 \U0010fffd"  # known characters, and one that no tokenizer has seen


def load_tokenizer(recipe: Recipe, train: Examples, notes: list[str] | None = None) -> PreTrainedTokenizerBase:
    """The recipe's tokenizer; for a model from scratch, learned from the training texts, or before: see there."""
    name, longest = recipe.model.name, recipe.data.max_length
    if name is None:
        tokenizer = learn_tokenizer(train.texts, (recipe.model.scratch or Scratch()).vocabulary, notes)
    else:
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False)
        except Exception as error:  # OSError, ValueError, ImportError ...: whatever the folder lacks
            raise unusable(name, "tokenizer", error) from error
        check_tokenizer(tokenizer, name)
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


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raise UserError for a tokenizer that loads and yet can't take every text."""
    if not isinstance(tokenizer.model_max_length, int | float):
        found = f"a model_max_length of {tokenizer.model_max_length!r}; expected a number"
        raise UserError(f"model.name: the tokenizer of {name} has {found}")
    try:
        ids = tokenizer(_ANY_TEXT)["input_ids"]
    except Exception as error:  # what is unknown has no token of its own
        raise unusable(name, "tokenizer", error) from error
    if not ids or set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # What transformers makes of a folder without a tokenizer's files.
        raise UserError(f"model.name: the tokenizer of {name} knows no words; are its files, tokenizer.json, missing?")
