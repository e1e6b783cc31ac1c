"""The classifier: a pretrained encoder by name or folder, or a small BERT built from the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from accel_cls.data.labels import Classes
from accel_cls.errors import UserError, listed
from accel_cls.recipe import Recipe
from accel_cls.recipe.schema import Scratch
from accel_cls.tokenization.pretrained import unusable


def load_model(
    recipe: Recipe, problem_type: str, tokenizer: PreTrainedTokenizerBase, classes: Classes, notes: list[str]
) -> PreTrainedModel:
    """The classifier in fp32, its fresh weights drawn from the recipe's seed.

    Raises:
        UserError: where the folder or hub id holds no model that can classify.
    """
    name = recipe.model.name
    config = _configuration(recipe, problem_type, tokenizer, classes)
    set_seed(recipe.seed)  # every process draws the same head, or the same whole model
    if name is None:
        return AutoModelForSequenceClassification.from_config(config).float()
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            name,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            weights_only=True,  # a pickle's tensors without its code
            ignore_mismatched_sizes=True,  # a head for other classes is replaced; the note below says so
            output_loading_info=True,
        )
    except Exception as error:
        raise unusable(name, "model", error) from error
    _check_weights(model, loading, name)
    fresh = sorted(set(loading["missing_keys"]) | {entry[0] for entry in loading["mismatched_keys"]})
    if fresh:
        notes.append(f"weights that {Path(name).name} does not have start fresh: {listed(fresh)}")
    check_embeddings(model, tokenizer, name)
    return model


def outline_model(
    recipe: Recipe, problem_type: str, tokenizer: PreTrainedTokenizerBase, classes: Classes
) -> PreTrainedModel:
    """The same classifier on torch's meta device: every shape, no weights, made in a moment. For arithmetic."""
    config = _configuration(recipe, problem_type, tokenizer, classes)
    try:
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(config).float()
    except Exception as error:  # whatever numbers of its configuration make no model
        raise unusable(str(recipe.model.name), "model", error) from error
    check_embeddings(model, tokenizer, str(recipe.model.name))
    return model


def _configuration(recipe: Recipe, problem_type: str, tokenizer: PreTrainedTokenizerBase, classes: Classes) -> Any:
    """The model's configuration, with the recipe's classes and dropout."""
    label_ids: dict[str, Any] = {
        "num_labels": len(classes.names),
        "id2label": dict(enumerate(classes.names)),
        "label2id": {name: i for i, name in enumerate(classes.names)},
        "problem_type": problem_type,
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
        raise unusable(name, "model", error) from error
    _set_dropout(config, recipe.model.dropout)
    positions = getattr(config, "max_position_embeddings", None) or longest
    if not isinstance(positions, int):
        raise UserError(f"model.name: {name} has a max_position_embeddings of {positions!r}; expected a whole number")
    if longest > positions:
        raise UserError(f"data.max_length: found {longest}; {name} takes at most {positions} tokens")
    return config


def _check_weights(model: PreTrainedModel, loading: dict[str, Any], name: str) -> None:
    """Only what decides between the classes may start fresh, and what a file of weights may do without."""
    inner = f"{model.base_model_prefix}."
    for key, found, expected in sorted(loading["mismatched_keys"]):
        if key.startswith(inner):
            raise UserError(
                f"model.name: the weights {key} of {name} have the shape {tuple(found)}, its config.json says "
                f"{tuple(expected)}: they do not belong together"
            )
    encoder = {key for key, _ in model.named_parameters() if key.startswith(inner)}
    if encoder and encoder <= set(loading["missing_keys"]):
        raise UserError(f"model.name: the weights of {name} are those of another model: none has a name that fits")


def check_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raise UserError where a tokenizer has ids that a model has no embeddings for."""
    embeddings = model.get_input_embeddings().num_embeddings
    tokens = max(len(tokenizer), 1 + max(tokenizer.get_vocab().values(), default=0))  # ids may have gaps
    if tokens > embeddings:
        raise UserError(
            f"model.name: {name} has {embeddings} embeddings, but its tokenizer {tokens} tokens: "
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
