"""What an objective wants of a model besides its logits: asked of it by a pass, before anything is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.errors import UserError
from accel_cls.models.capabilities.padding import Padding, trial_rows
from accel_cls.models.features import FeatureModel, last_layer
from accel_cls.models.layers import token_embeddings
from accel_cls.models.passes import outputs_of
from accel_cls.recipe import Recipe


@dataclass(frozen=True)
class WatchedParts:
    """The modules of a model that an objective looks into; None for those that it does not."""

    embedding: torch.nn.Module | None = None  # which makes a vector of each token id
    last_layer: torch.nn.Linear | None = None  # which reads a vector of each text


def watched_parts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, padding: Padding, recipe: Recipe
) -> WatchedParts:
    """Find what a recipe's section `loss` needs, and what a teacher's vectors are compared with.

    Args:
        model: the classifier, on the CPU.
        tokenizer: its tokenizer.
        padding: how it takes texts of different length.
        recipe: what is trained by; where a head is fitted in one go, nothing is watched.

    Raises:
        UserError: where the model has no such part, or no dropout for R-Drop.
    """
    form, hidden = recipe.loss, recipe.distill is not None and recipe.distill.hidden > 0
    if recipe.model.is_fitted or not (form.wraps or hidden):
        return WatchedParts()
    inputs = trial_rows(tokenizer, padding)
    with _as_in_training(model):
        if form.r_drop:
            _require_dropout(model, inputs)
        place = "loss.contrastive" if form.contrastive else "distill.hidden"
        layer = last_layer(model, place) if form.contrastive or hidden else None
        if layer is not None:
            FeatureModel(model, layer, place)(**inputs)
        return WatchedParts(_embedding(model, inputs) if form.adversarial else None, layer)


@contextlib.contextmanager
def _as_in_training(model: PreTrainedModel) -> Iterator[None]:
    """In this block the model is in training, without gradients; afterwards it is what it was, to its statistics."""
    was_training, buffers = model.training, {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    with torch.no_grad():
        try:
            yield
        finally:
            model.train(was_training)
            for name, buffer in buffers.items():
                model.get_buffer(name).copy_(buffer)


def _require_dropout(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> None:
    first, second = (model(**inputs).logits for _ in range(2))
    if torch.equal(first, second):
        raise UserError(
            f"loss.r_drop: two passes through this {type(model).__name__} answer the same, since it has no dropout; "
            "set model.dropout, to 0.1 say, or leave this out"
        )


def _embedding(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> torch.nn.Module:
    embedding, seen, shape = token_embeddings(model), list[Any](), inputs["input_ids"].shape
    if embedding is not None:
        with outputs_of(embedding) as seen:
            model(**inputs)
    if embedding is None or not seen or any(getattr(one, "shape", ())[:2] != shape for one in seen):
        raise UserError(
            f"loss.adversarial: a {type(model).__name__} does not make a vector of each token by a table that could "
            "be watched; leave this out, or take another model"
        )
    return embedding
