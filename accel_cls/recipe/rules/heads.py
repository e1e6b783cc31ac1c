"""Rules that span what a recipe says of the model's head and top layers."""

from __future__ import annotations

from collections.abc import Iterator

from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.sections.model import POOLINGS_OF, Model, Scratch

_NETWORKS = tuple(head for head in POOLINGS_OF if head != "linear")


def broken_heads(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    """The broken ones: the key to blame, what is wrong and what to do."""
    model = recipe.model
    if model.head != "auto" and (said := pooling_not_of(model.head, model.pooling)):
        yield ("model", "pooling"), said
    if model.name is None:
        yield from _broken_from_scratch(model)
    if model.freeze == "encoder":
        yield from _broken_when_frozen(model)
    if model.reinitialize and model.lora is not None:
        why = "with model.lora the encoder's own weights are not trained, and these layers would stay random"
        yield ("model", "reinitialize"), f"found {model.reinitialize}; {why}; leave one of the two out"
    if model.dropout_samples > 1 and recipe.data.windows is not None:
        why = "the vectors of a text's windows become one after the last dropout"
        yield ("model", "dropout_samples"), f"found {model.dropout_samples} beside data.windows: {why}; leave it out"


def pooling_not_of(head: str, pooling: str) -> str | None:
    """What is said of a pooling that a head has not; None for 'auto' and those that it has."""
    ways = POOLINGS_OF[head]
    if pooling == "auto" or pooling in ways:
        return None
    expected = f"one of {', '.join(ways)}" if len(ways) > 1 else f"{ways[0]}, which is how it is made"
    return f"found {pooling}; with model.head {head} expected {expected}, or auto"


def _broken_from_scratch(model: Model) -> Iterator[tuple[tuple[str, ...], str]]:
    if model.keep_layers is not None:
        message = (
            f"found {model.keep_layers}; it is for a pretrained model, by model.name; expected model.scratch.layers"
        )
        yield ("model", "keep_layers"), message
    if model.reinitialize:
        message = f"found {model.reinitialize}; without model.name all layers start fresh anyway; leave it out"
        yield ("model", "reinitialize"), message
    if (model.scratch or Scratch()).architecture != "ngrams":
        return
    why = "a model of architecture ngrams has no states of tokens; leave it out, or take architecture: bert"
    if model.head in _NETWORKS:
        yield ("model", "head"), f"found {model.head}; {why}"
    if (model.last_layers or 1) > 1:
        yield ("model", "last_layers"), f"found {model.last_layers}; {why}"


def _broken_when_frozen(model: Model) -> Iterator[tuple[tuple[str, ...], str]]:
    """With the last layer alone trained, all that is new before it would stay as random as it is drawn."""
    why = "model.freeze: encoder trains the last layer alone"
    if model.head in _NETWORKS:
        message = f"found {model.head}; {why}, and this head would stay random; take linear, or leave model.freeze out"
        yield ("model", "head"), message
    if (model.last_layers or 1) > 1:
        message = f"found {model.last_layers}; {why}, and not how layers are mixed; leave one of the two out"
        yield ("model", "last_layers"), message
    if model.dropout_samples > 1:
        message = f"found {model.dropout_samples}; {why}, in one go without dropout; leave one of the two out"
        yield ("model", "dropout_samples"), message
    if model.reinitialize:
        message = f"found {model.reinitialize}; {why}, and these layers would stay random; leave one of the two out"
        yield ("model", "reinitialize"), message
