"""The model that is trained, made ready: how texts go through it, and what was put into it or is looked into."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.batching.pairs import Pairs, pairs_of
from accel_cls.data.corpus import Corpus
from accel_cls.devices.prepare import is_xla, require_whole_weights
from accel_cls.errors import UserError
from accel_cls.models.adapters import Adapters, describe_adapters
from accel_cls.models.capabilities import ask_model
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.capabilities.training import settle_training
from accel_cls.models.capabilities.watching import WatchedParts, watched_parts
from accel_cls.models.classifier import load_model
from accel_cls.models.features import keep_head_fitted, last_layer
from accel_cls.models.output_scale import ScaledLayer, scale_output
from accel_cls.models.packing import make_packable
from accel_cls.models.trained import settle_trained
from accel_cls.models.windows import make_windowed
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.data import Windows
from accel_cls.tasks import Task
from accel_cls.tokenization.encoded import Encoded
from accel_cls.training.dropout_samples import sample_dropout


@dataclass(frozen=True)
class Contrast:
    """What is compared where pairs of texts are learned from."""

    pairs: Pairs
    layer: torch.nn.Linear  # the last one: what it reads is a text's vector


@dataclass(frozen=True)
class Trainable:
    """A model with its tokenizer, not yet prepared for the hardware."""

    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    padding: Padding
    packed: bool  # whether several texts lie in a row
    first_position: int  # the position id of a packed text's first token
    windows: Windows | None = None  # how long texts are read in several
    watched: WatchedParts = field(default_factory=WatchedParts)  # what objectives look into
    scaled: ScaledLayer | None = None  # the last layer, where logits have a unit
    adapters: Adapters | None = None  # of the encoder, where these are trained in its place
    contrast: Contrast | None = None  # None: each text is learned by itself


def load_trainable(
    recipe: Recipe,
    task: Task,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    train: Encoded,
    accelerator: Accelerator,
    notes: list[str],
) -> Trainable:
    """A recipe's classifier, with all that the recipe puts into it.

    Args:
        recipe: the recipe.
        task: its task.
        corpus: what it learns from, with its classes.
        tokenizer: the model's.
        train: the labelled examples as token ids, from which a model without an encoder may be counted.
        accelerator: the run's.
        notes: takes what the user should know.

    Raises:
        UserError: for a model or hardware that can't be used so.
    """
    model = load_model(recipe, tokenizer, corpus.classes, notes, task.problem_type, train)
    if recipe.data.windows is not None:
        if is_xla(accelerator):
            raise UserError("data.windows: found some; expected none on XLA, where each number of them is a program")
        make_windowed(model, recipe.data.windows.pooling)
    able = ask_model(model, tokenizer, str(recipe.model.name), notes)
    settle_training(model, tokenizer, able.padding, notes)
    watched = watched_parts(model, tokenizer, able.padding, recipe)
    scale, place = task.output_scale(corpus.train.labels), f"task: {task.name}"
    scaled = None if scale is None else scale_output(model, last_layer(model, place), scale, place)
    if recipe.model.lora is not None:
        require_whole_weights(accelerator, "model.lora")
    adapters = settle_trained(model, recipe)
    if adapters is not None:
        notes.append(describe_adapters(model, adapters))
    contrast = _contrast(recipe, model, corpus.train.labels, accelerator)
    if recipe.model.dropout_samples > 1:
        sample_dropout(model, recipe.model.dropout_samples, tokenizer, able.padding)
    packed = recipe.train.packing and able.packed and not is_xla(accelerator)
    first_position = make_packable(model, recipe.train.kernels) if packed else 0
    reading = (tokenizer, model, able.padding, packed, first_position, recipe.data.windows)
    return Trainable(*reading, watched, scaled, adapters, contrast)


def _contrast(recipe: Recipe, model: PreTrainedModel, labels: np.ndarray, accelerator: Accelerator) -> Contrast | None:
    """Make the model ready to learn from pairs of texts, where the recipe says so."""
    pairs = pairs_of(recipe, labels)
    if pairs is None:
        return None
    require_whole_weights(accelerator, "few_shot.pairs")
    layer = last_layer(model, "few_shot.pairs")
    keep_head_fitted(model, layer)
    return Contrast(pairs, layer)
