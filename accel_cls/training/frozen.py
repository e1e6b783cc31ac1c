"""Out-of-fold answers of a pretrained encoder as it is, with logistic regression on what it makes of texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from accelerate import Accelerator

from accel_cls.batching.plan import Plan
from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.recipe import Recipe, with_values
from accel_cls.tasks import task_of
from accel_cls.training.inputs import load_inputs
from accel_cls.training.linear_probe import out_of_fold_logits


def frozen_answers(
    recipe: Recipe, corpus: Corpus, examples: Examples, folds: np.ndarray, accelerator: Accelerator, notes: list[str]
) -> np.ndarray:
    """Logits of examples, float32 [examples, outputs], of each fold by a regression on the others.

    Args:
        recipe: that names an encoder.
        corpus: with its classes.
        examples: to be answered.
        folds: the fold of each, int64 [examples].
        accelerator: of one process.
        notes: takes what the user should know.

    Raises:
        UserError: for an encoder that can't be used so.
    """
    # Of a head that would have to be trained nothing is known; a classifier's own that was trained is kept.
    untrained = {"model.head": "auto", "model.last_layers": None, "model.dropout_samples": 1, "model.reinitialize": 0}
    pooling = recipe.model.pooling if recipe.model.head in ("auto", "linear") else "auto"
    values = {"model.freeze": "encoder", "model.pooling": pooling, "train.micro_batch_tokens": 4096, "few_shot": None}
    recipe = with_values(recipe, untrained | values)
    whole = replace(corpus, train=examples, validation=examples.select(np.arange(1)))
    inputs = load_inputs(recipe, task_of(recipe), whole, accelerator, notes)
    train, packed = inputs.texts.train, inputs.trainable.packed
    layout = Plan.of(recipe, train.lengths, few_shapes=False, packed=packed, windows=train.windows).layout
    return out_of_fold_logits(recipe, inputs, accelerator, layout, folds, notes)
