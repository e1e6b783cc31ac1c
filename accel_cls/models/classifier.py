"""The classifier: a pretrained encoder by name or folder, or a small model built from the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from accel_cls.data.labels import Classes
from accel_cls.errors import UserError, listed
from accel_cls.models.capabilities.text_limit import longest_text
from accel_cls.models.configuration import configuration_of, saved_configuration
from accel_cls.models.head import HeadClasses, match_head, output_layer
from accel_cls.models.kept_layers import check_kept
from accel_cls.models.layers import token_embeddings
from accel_cls.models.own.configurations import PooledConfig
from accel_cls.models.own.ngrams import Ngrams, count_ngrams
from accel_cls.models.own.pooled import PooledForSequenceClassification, without_pooler
from accel_cls.models.reinitialize import reinitialize_layers
from accel_cls.models.trained import settle_trained
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.model import Scratch
from accel_cls.tokenization.encoded import Encoded
from accel_cls.tokenization.pretrained import load_error

# What torch puts into the names of weights, and why.
_WRAPPERS = {
    "module": "DistributedDataParallel",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FSDP",
    "_checkpoint_wrapped_module": "checkpoint_wrapper",
}


# How weights are loaded from anywhere: no code that comes with a model is run, and what was missing is told.
LOADING: dict[str, Any] = {
    "trust_remote_code": False,
    "weights_only": True,  # a pickle's tensors without its code
    "output_loading_info": True,
}


def load_model(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerBase,
    classes: Classes,
    notes: list[str],
    problem_type: str,
    train: Encoded | None = None,
) -> PreTrainedModel:
    """The classifier in fp32, its fresh weights drawn from the recipe's seed.

    A folder's trained head is mapped by the names of its classes; where they are others, it is made anew.

    Args:
        recipe: the recipe.
        tokenizer: the recipe's.
        classes: the classes.
        notes: takes what is told of the weights: which start fresh, and what became of a trained head.
        problem_type: transformers' name for what is learned.
        train: the training texts, in which a model from scratch may count n-grams; a pretrained one needs none.

    Raises:
        UserError: where the folder or hub id holds no model that can classify texts of data.max_length.
    """
    name = recipe.model.name
    ngrams = _ngrams(recipe, tokenizer, train)
    config, trained = configuration_of(recipe, tokenizer, notes, ngrams), None
    wanted = HeadClasses(classes.names, problem_type)
    if name is not None:
        trained = HeadClasses.of(config)
    wanted.set_in(config)
    if name is None:
        set_seed(recipe.seed)  # every process draws the same whole model
        model = AutoModelForSequenceClassification.from_config(config).float()
        if ngrams is not None:
            model.set_ngrams(ngrams)
        return model
    outline = _outline(config, name)
    check_outline(outline, recipe)
    set_seed(recipe.seed)  # every process draws the same head
    try:
        model, loading = _load(name, config)
    except Exception as error:
        raise load_error(name, "model", error) from error
    check_weights(model, loading, name)
    if recipe.model.reinitialize:
        frozen = recipe.model.freeze if isinstance(recipe.model.freeze, int) else 0
        notes.append(reinitialize_layers(model, recipe.model.reinitialize, frozen))
    missing, layer = set(loading["missing_keys"]), output_layer(outline)
    fresh = missing | {entry[0] for entry in loading["mismatched_keys"]}
    has_head = not missing & set(layer)
    if told := sorted(fresh - set(layer) if has_head else fresh):
        notes.append(f"weights that {Path(name).name} does not have start fresh: {listed(told)}")
    check_embeddings(model, tokenizer, name)
    if not has_head:
        return model
    assert trained is not None
    reads_else = _reads_else(name, config)
    return match_head(model, layer, fresh, trained, wanted, Path(name).name, recipe.seed, notes, reads_else)


def _reads_else(name: str, config: Any) -> bool:
    """Whether a trained classifier's last layer reads what another head has made, as its folder has it."""
    was: Any = saved_configuration(name, []) if isinstance(config, PooledConfig) else None
    return isinstance(was, PooledConfig) and was.head != config.head


def _load(name: str, config: Any) -> tuple[PreTrainedModel, Mapping[str, Any]]:
    """A classifier in fp32 with the weights of a folder or hub id, and transformers' `loading_info`."""
    options: dict[str, Any] = {
        **LOADING,
        "dtype": torch.float32,
        "ignore_mismatched_sizes": True,  # a head for other classes is replaced; a note says so
    }
    if not isinstance(config, PooledConfig) or config.name_or_path:  # it is the folder's own
        return AutoModelForSequenceClassification.from_pretrained(name, config=config, **options)
    inner = config.encoder
    encoder, loading = AutoModel.from_pretrained(name, config=inner, **without_pooler(inner), **options)
    model = PooledForSequenceClassification(config, encoder).float()
    head = [key for key, _ in model.named_parameters() if not key.startswith("encoder.")]
    loading["missing_keys"] = {*head, *(f"encoder.{key}" for key in loading["missing_keys"])}
    loading["mismatched_keys"] = {(f"encoder.{key}", *shapes) for key, *shapes in loading["mismatched_keys"]}
    return model, loading


def outline_model(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerBase,
    classes: Classes,
    problem_type: str,
    train: Encoded | None = None,
) -> PreTrainedModel:
    """The same classifier on torch's meta device, as it is trained: every shape, no weights. For arithmetic."""
    config = configuration_of(recipe, tokenizer, [], _ngrams(recipe, tokenizer, train))
    HeadClasses(classes.names, problem_type).set_in(config)
    model = _outline(config, str(recipe.model.name))
    check_outline(model, recipe)
    check_embeddings(model, tokenizer, str(recipe.model.name))
    settle_trained(model, recipe)
    return model


def _ngrams(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, train: Encoded | None) -> Ngrams | None:
    """Those of a model from scratch that has some."""
    scratch = recipe.model.scratch or Scratch()
    if recipe.model.name is not None or scratch.architecture != "ngrams":
        return None
    assert train is not None
    return count_ngrams(train.ids, train.offsets, len(tokenizer), scratch.longest_ngram, scratch.ngrams)


def _outline(config: Any, name: str) -> PreTrainedModel:
    try:
        with torch.device("meta"):
            return AutoModelForSequenceClassification.from_config(config).float()
    except Exception as error:  # whatever numbers of its configuration make no model
        raise load_error(name, "model", error) from error


def check_outline(model: PreTrainedModel, recipe: Recipe) -> None:
    """Raise UserError where texts may be longer than the model can take, or it has not the layers that are to stay."""
    longest, limit = recipe.data.max_length, longest_text(model)
    if limit is not None and longest > limit:
        raise UserError(f"data.max_length: found {longest}; {recipe.model.name} takes at most {limit} tokens")
    if recipe.model.keep_layers is not None:
        check_kept(model, recipe.model.keep_layers)


def check_weights(model: PreTrainedModel, loading: Mapping[str, Any], name: str, place: str = "model.name") -> None:
    """Only what decides between the classes may start fresh, and what a file of weights may do without.

    Args:
        model: as it was loaded.
        loading: transformers' `loading_info` of it.
        name: what the user calls the folder.
        place: where the user has named it.

    Raises:
        UserError: where the weights are another model's, or have the names that a wrapper gives them.
    """
    inner = f"{model.base_model_prefix}."
    for key, found, expected in sorted(loading["mismatched_keys"]):
        if key.startswith(inner):
            raise UserError(
                f"{place}: the weights {key} of {name} have the shape {tuple(found)}, its config.json says "
                f"{tuple(expected)}: they do not belong together"
            )
    missing = {*loading["missing_keys"]}
    for key in sorted(loading["unexpected_keys"]):
        steps = key.split(".")
        own = ".".join(step for step in steps if step not in _WRAPPERS)
        if wanted := {own, f"{inner}{own}"} & missing if own != key else None:
            wrapped = ", ".join(f"{by} ({step})" for step, by in _WRAPPERS.items() if step in steps)
            raise UserError(
                f"{place}: the weights of {name} are called {key}; expected {wanted.pop()}. They were saved as the "
                f"model was wrapped by {wrapped}: save it again, as accelerator.unwrap_model(model) has it, "
                "or take these words out of the names in its file"
            )
    encoder = {key for key, _ in model.named_parameters() if key.startswith(inner)}
    if encoder and encoder <= missing:
        raise UserError(f"{place}: the weights of {name} are those of another model: none has a name that fits")


def check_embeddings(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, place: str = "model.name"
) -> None:
    """Raise UserError where a tokenizer has ids that a model has no embeddings for; `place`: where users name it."""
    embeddings = _embedding_count(model)
    if embeddings is None:
        return
    tokens = max(len(tokenizer), 1 + max(tokenizer.get_vocab().values(), default=0))  # ids may have gaps
    if tokens > embeddings:
        raise UserError(
            f"{place}: {name} has {embeddings} embeddings, but its tokenizer {tokens} tokens: "
            "they do not belong together"
        )


def _embedding_count(model: PreTrainedModel) -> int | None:
    """How many tokens a model has embeddings for; None where it has no table with an entry for each (CANINE)."""
    weight = getattr(token_embeddings(model), "weight", None)
    return None if weight is None else len(weight)


def describe_model(model: PreTrainedModel, recipe: Recipe) -> tuple[str, str]:
    """Name and text of the banner's line about the model."""
    source = recipe.model.name or "built from the recipe"
    count = model.num_parameters()
    weights = f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count:,}"
    return (
        "classifier",
        f"{type(model).__name__}, {weights} weights, {source}",
    )
