"""A model's configuration, as its folder has it, and what a recipe changes in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoConfig, BertConfig, PreTrainedConfig, PreTrainedTokenizerBase

from accel_cls.errors import UserError, listed, shown
from accel_cls.models.kept_layers import keep_layers
from accel_cls.models.own.configurations import NgramBagConfig, PooledConfig, encoder_config
from accel_cls.models.own.ngrams import Ngrams
from accel_cls.models.pooling import Wanted, with_head
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.model import Scratch
from accel_cls.tokenization.pretrained import load_error

# What says how a model runs and what it returns besides logits, and what runs here: the answers are the same.
# transformers can't save a model that returns attentions; one that returns tuples has no `logits`; feed-forward layers
# in chunks take only so many tokens at a time as the chunk divides, and packed rows have any number.
_PLAIN: dict[str, Any] = {
    "_attn_implementation": None,  # the packed families' is the project's own, the others' transformers' choice
    "chunk_size_feed_forward": 0,
    "gradient_checkpointing": False,  # train.micro_batch_tokens bounds the memory, and is reckoned without it
    "output_attentions": False,
    "output_hidden_states": False,
    "output_router_logits": False,
    "return_dict": True,
    "torchscript": False,
}

# Of the bag of n-grams, where texts come in pairs: with 8 it answers as well, and has over 5 million weights.
_OVERLAP_SIZE = 4


def configuration_of(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, notes: list[str], ngrams: Ngrams | None = None
) -> Any:
    """The model's configuration with the recipe's head and dropout, and with the classes of a trained folder.

    Args:
        recipe: the recipe.
        tokenizer: the recipe's.
        notes: takes what is changed besides.
        ngrams: of a model from scratch that has some.

    Raises:
        UserError: where the folder or hub id has no configuration that can be read.
    """
    name, wanted = recipe.model.name, Wanted.of(recipe.model)
    # A head that is fitted to the encoder as it is reads more from the mean of all tokens than from a first one that
    # nothing has trained for this.
    is_fitted = recipe.model.is_fitted or recipe.train.head_init == "probe" or recipe.learns_from_pairs
    pairs_by = tokenizer if _has_pairs(recipe) else None
    is_attentive = recipe.data.windows is not None and recipe.data.windows.pooling == "attention"
    if name is None:
        scratch = recipe.model.scratch or Scratch()
        config = _new_configuration(recipe, scratch, tokenizer, ngrams)
        config = with_head(config, wanted, None, is_fitted, pairs_by, notes, is_attentive)
        _check_last_layers(config, "the model")
        _set_dropout(config, scratch.dropout if recipe.model.dropout is None else recipe.model.dropout)
        return config
    config = saved_configuration(name, notes)
    if recipe.model.keep_layers is not None and (said := keep_layers(config, recipe.model.keep_layers, name)):
        notes.append(said)
    config = with_head(config, wanted, name, is_fitted, pairs_by, notes, is_attentive)
    _check_last_layers(config, name)
    _set_dropout(config, recipe.model.dropout)
    _drop_no_layers(config, name, notes)
    return config


def _check_last_layers(config: Any, name: str) -> None:
    """Raise UserError where more layers are to be read than there are."""
    wanted, there = getattr(config, "last_layers", 1), layers(config)
    if isinstance(config, PooledConfig) and there is not None and wanted > there:
        raise UserError(f"model.last_layers: found {wanted}; expected {there} at most, the layers of {name}")


def _has_pairs(recipe: Recipe) -> bool:
    return not isinstance(recipe.data.text, str) and len(recipe.data.text) == 2


def _new_configuration(
    recipe: Recipe, scratch: Scratch, tokenizer: PreTrainedTokenizerBase, ngrams: Ngrams | None
) -> PreTrainedConfig:
    if scratch.architecture == "ngrams":
        assert ngrams is not None
        return NgramBagConfig(
            vocab_size=len(tokenizer),
            num_ngrams=len(ngrams.keys),
            longest_ngram=scratch.longest_ngram,
            hidden_size=scratch.hidden,
            pairs=_has_pairs(recipe),
            overlap_size=_OVERLAP_SIZE if _has_pairs(recipe) else 0,
            normalize_first=recipe.task == "regression",
            pad_token_id=tokenizer.pad_token_id,
        )
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=scratch.hidden,
        num_hidden_layers=scratch.layers,
        num_attention_heads=scratch.heads,
        intermediate_size=4 * scratch.hidden,
        max_position_embeddings=recipe.data.max_length,
        pad_token_id=tokenizer.pad_token_id,
    )


def saved_configuration(name: str, notes: list[str], place: str = "model.name") -> Any:
    """The configuration of a folder or hub id, without what says how the model runs.

    Args:
        name: the folder or hub id.
        notes: takes what is left out.
        place: where the user has named it.

    Raises:
        UserError: where there is none that can be read, or its weights are quantized.
    """
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:
        raise load_error(name, "model", error, place) from error
    if quantization := getattr(config, "quantization_config", None):
        method = quantization.get("quant_method", "?") if isinstance(quantization, dict) else quantization
        raise UserError(
            f"{place}: the config.json of {name} has a quantization_config ({shown(str(method))}): weights in so few "
            "bits are for generating text, and are neither trained nor run here. Take the model as it was before"
        )
    changed = {key for part in parts_of(config) for key in _run_plainly(part)}
    if changed:
        keys = sorted(key.removeprefix("_") for key in changed)
        are = "is" if len(keys) == 1 else "are"
        notes.append(f"{listed(keys)} of {Path(name).name} {are} not used: the answers are the same without")
    return config


def hidden_size_of(name: str | None) -> int | None:
    """The hidden size of the folder's or hub id's encoder; None without one.

    Raises:
        UserError: as `saved_configuration`.
    """
    if name is None:
        return None
    return hidden_size(saved_configuration(name, []))


def hidden_size(config: Any) -> int | None:
    """Numbers of a token in the encoder of a configuration; None where it does not say."""
    return _number_of(config, "hidden_size", "dim", "d_model")


def encoder_width(config: Any) -> int | None:
    """`hidden_size` of an encoder of layers; None of what has none, as a bag of n-grams."""
    return None if layers(config) is None else hidden_size(config)


def layers(config: Any) -> int | None:
    """Layers of the encoder of a configuration; None where it does not say."""
    return _number_of(config, "num_hidden_layers", "n_layers")


def _number_of(config: Any, *names: str) -> int | None:
    """Whatever the encoder's family calls it: a few have no attribute of the common name, which comes first."""
    inner = encoder_config(config)
    return next((number for one in names if isinstance(number := getattr(inner, one, None), int)), None)


def _run_plainly(config: Any) -> Iterator[str]:
    """Reset what says how a model runs; yields what was set."""
    for key, plain in _PLAIN.items():
        if getattr(config, key, plain) in (None, plain):
            continue
        if hasattr(type(config), key):
            setattr(config, key, plain)
        else:  # no setting of this family: it would be saved again
            delattr(config, key)
        yield key


def _set_dropout(config: Any, rate: float | None) -> None:
    """Set every dropout rate of a configuration, whatever its family calls them; None leaves them.

    Raises:
        UserError: where a family's configuration does not take it.
    """
    rates = [(owner, key) for owner, key in _numbers(config) if "dropout" in key or key.endswith("pdrop")]  # GPT-2's
    for owner, key in rates if rate is not None else ():
        try:
            setattr(owner, key, rate)
        except Exception as error:  # MPT's is typed as a whole number, and a saved one could not be loaded again
            found = f"found {rate}; {key} of a {config.model_type} can't be that ({shown(str(error), 200)})"
            raise UserError(f"model.dropout: {found}. Leave model.dropout out") from error


def _drop_no_layers(config: Any, name: str, notes: list[str]) -> None:
    """Drop no whole layers at random: a process would wait for gradients of those that another one has left out."""
    dropped = [(owner, key) for owner, key in _numbers(config) if "layerdrop" in key and getattr(owner, key)]
    for owner, key in dropped:
        setattr(owner, key, 0.0)
    if dropped:
        keys = listed([key for _, key in dropped])
        notes.append(f"{keys} of {Path(name).name} is not used: layers are not left out at random")


def _numbers(config: Any) -> Iterator[tuple[Any, str]]:
    """The numbers of a configuration, and of those within it: (whose, under which name)."""
    for part in parts_of(config):
        for key, value in [*vars(part).items()]:
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield part, key


def parts_of(config: PreTrainedConfig) -> Iterator[PreTrainedConfig]:
    """A configuration and those within it, such as a text's beside an image's, or an encoder's beside a decoder's."""
    yield config
    for value in [*vars(config).values()]:
        if isinstance(value, PreTrainedConfig):
            yield from parts_of(value)
