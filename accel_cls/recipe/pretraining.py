"""The recipe of a pre-training: a classifier's, but for what only a classifier has."""

from __future__ import annotations

from typing import Any

from accel_cls.errors import UserError
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.sections.pretrain import Pretrain

_RATE, _RATE_FROM_NOTHING = 5e-5, 5e-4
# What only classifiers have, or was not tried with a language model.
_OF_CLASSIFIERS = (
    *("decide", "distill", "few_shot", "repeat", "average", "data.windows", "model.freeze", "model.lora"),
    *("train.class_weights", "train.unfreeze"),
)
_PLAIN: dict[str, Any] = {
    "refit": False,
    "train.head_init": "random",
    "train.head_rate": 1.0,
    "train.label_smoothing": 0.0,
    "train.layer_decay": 1.0,
    "train.gradient_checkpointing": False,
    "train.sampling": "all",
    "model.head": "auto",
    "model.last_layers": None,
    "model.dropout_samples": 1,
    "model.reinitialize": 0,
    "loss": {},
}
_SUFFIX = "-pretrained"  # of the run folder


def pretraining_of(recipe: Recipe) -> Recipe:
    """What `accel_cls.pretrain` trains: into a folder beside the classifier's, with epochs and rate of its own.

    Raises:
        UserError: for a model that has no language model.
    """
    scratch = recipe.model.scratch
    if recipe.model.name is None and scratch is not None and scratch.architecture == "ngrams":
        raise UserError(
            "model.scratch.architecture: found ngrams, which know no order of words that could be guessed; expected "
            "bert, or an encoder as model.name"
        )
    pretrain = recipe.pretrain or Pretrain()
    usual = _RATE if recipe.model.name is not None else _RATE_FROM_NOTHING
    values: dict[str, Any] = {
        "name": f"{recipe.name}, pre-trained",
        "output": recipe.output + _SUFFIX,
        "pretrain": pretrain.model_dump(exclude_unset=True),
        "train.epochs": pretrain.epochs,
        "train.learning_rate": pretrain.learning_rate or usual,
        "model.pooling": "auto",
        "evaluate": {"best": "loss"},
    }
    return with_values(recipe, values | dict.fromkeys(_OF_CLASSIFIERS) | _PLAIN)
