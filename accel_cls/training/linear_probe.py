"""The head's last layer, fitted to what the encoder makes of the training texts as it is: logistic regression.

As the start of a fine-tuning it keeps the encoder from being bent by a head that knows nothing yet (Kumar et al. 2022,
"Fine-tuning can distort pretrained features"); with a frozen encoder it is all of the training. It minimizes the
task's own loss, class weights and smoothing included, and a penalty on the weights' squares; convex, so the same
minimum from wherever.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch.nn.functional import linear

from accel_cls.batching.layout import Layout
from accel_cls.data.examples import Examples
from accel_cls.data.split import distinct_texts
from accel_cls.evaluation.predictions import Predictions, predict_examples
from accel_cls.models.features import FeatureModel, last_layer
from accel_cls.models.output_scale import ScaledLayer
from accel_cls.recipe import Recipe
from accel_cls.tasks import Loss, Task
from accel_cls.training.inputs import Inputs
from accel_cls.training.kept_outputs import key_of, made_once

_KIND = "features"  # in the cache
_FORMAT = 2  # of what is kept; another number makes all anew
# Of these the one is taken that is best where a fifth of the training texts is held out: of few texts, which tell
# little, each fifth in turn.
_PENALTIES = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4)
_FOLDS, _MANY = 5, 2000
_STRONG = 1  # so many of them are for few texts only
_FEW, _PENALTY_OF_FEW = 20, 1.0  # texts, of which none are held out
_STEPS, _CHANGE = 100, 1e-6  # of L-BFGS at the most, and of the value by which it ends


@dataclass(frozen=True)
class Fitted:
    """A linear layer, and how it was fitted."""

    weight: torch.Tensor  # float32 [outputs, hidden]
    bias: torch.Tensor  # float32 [outputs]
    penalty: float


def fit_last_layer(recipe: Recipe, inputs: Inputs, accelerator: Accelerator, layout: Layout, notes: list[str]) -> None:
    """Fit the last layer of the model to the training examples. Called by all processes, which get the same weights.

    Args:
        recipe: the recipe.
        inputs: with the model, not yet prepared for the hardware.
        accelerator: the run's.
        layout: how texts become micro-batches.
        notes: takes how it was fitted.

    Raises:
        UserError: where the model's head has no such layer.
    """
    place = "model.freeze" if recipe.model.is_fitted else "train.head_init"
    layer = last_layer(inputs.model, place)
    inputs.model.to(accelerator.device)
    features = _features(inputs, layer, place, accelerator, layout, notes)
    _fit_layer(recipe, inputs, accelerator, layer, features, "as it is", notes)


def refit_last_layer(
    recipe: Recipe, inputs: Inputs, accelerator: Accelerator, layer: torch.nn.Linear, layout: Layout, notes: list[str]
) -> None:
    """The same with what the encoder has become by now. Called by all processes, which have whole weights.

    It has learned from all of the training texts, so that none can be held out to choose a penalty by: so chosen, one
    of 0.001 had a log loss of 1.04 on 2,398 other reviews, after 32 of them, and the one that few texts get 0.50.

    Args:
        recipe, inputs, accelerator, layout, notes: as for `fit_last_layer`; the model may be prepared by now.
        layer: its last one.
    """
    features = _make_features(inputs, layer, "few_shot.pairs", accelerator, layout)
    _fit_layer(recipe, inputs, accelerator, layer, features, "by now", notes)


def _fit_layer(
    recipe: Recipe,
    inputs: Inputs,
    accelerator: Accelerator,
    layer: torch.nn.Linear,
    features: np.ndarray | None,
    when: str,
    notes: list[str],
) -> None:
    """Fit the layer on the main process, which has the features, and give it to all."""
    if accelerator.is_main_process:
        assert features is not None
        fitted = _fit(recipe, inputs, features)
        notes.append(
            f"the head was fitted to what the encoder makes of the {len(features):,} training texts {when}: "
            f"{inputs.task.linear_method}, penalty {fitted.penalty:g}"
        )
        with torch.no_grad():
            layer.weight.copy_(fitted.weight)
            layer.bias.copy_(fitted.bias)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(broadcast(parameter.detach().clone()))


def out_of_fold_logits(
    recipe: Recipe, inputs: Inputs, accelerator: Accelerator, layout: Layout, folds: np.ndarray, notes: list[str]
) -> np.ndarray:
    """The logits of the training examples, float32 [examples, outputs], of each fold by a layer fitted to the others.

    For tasks with classes, by one process. The penalty is the same for all folds, chosen as for one layer on all rows.

    Args:
        recipe, inputs, accelerator, layout, notes: as for `fit_last_layer`.
        folds: the fold of each example, int64 [examples].

    Raises:
        UserError: where the model's head has no such layer.
    """
    layer = last_layer(inputs.model, "model.freeze")
    inputs.model.to(accelerator.device)
    features = _features(inputs, layer, "model.freeze", accelerator, layout, notes)
    assert features is not None
    train = inputs.corpus.train
    loss = _loss(recipe, inputs)
    whole = _Problem(loss, torch.from_numpy(features), train.labels, len(inputs.corpus.classes))
    penalty = _fit(recipe, inputs, features).penalty
    logits = np.empty((len(train), len(inputs.corpus.classes)), np.float32)
    for fold in np.unique(folds):
        fitted = whole.part(folds != fold).minimize(penalty)
        logits[folds == fold] = features[folds == fold] @ fitted.weight.numpy().T + fitted.bias.numpy()
    return logits


def _features(
    inputs: Inputs, layer: torch.nn.Linear, place: str, accelerator: Accelerator, layout: Layout, notes: list[str]
) -> np.ndarray | None:
    """What the last layer reads of each training example, float32 [examples, hidden]; kept for the next time.

    Other processes than the main one may get None.
    """
    pooling, device = getattr(inputs.trainable.windows, "pooling", None), accelerator.device.type
    facts = [_FORMAT, inputs.texts.train.digest, pooling, inputs.trainable.packed, device, accelerator.mixed_precision]
    shape = len(inputs.corpus.train), layer.in_features

    def made() -> np.ndarray:
        return _make_features(inputs, layer, place, accelerator, layout)

    def key() -> str:
        return key_of(inputs.model, facts, without=[*layer.parameters()])

    return made_once(_KIND, accelerator, key, shape, made, notes)


def _make_features(
    inputs: Inputs, layer: torch.nn.Linear, place: str, accelerator: Accelerator, layout: Layout
) -> np.ndarray:
    """What the last layer reads of each training example, float32 [examples, hidden], on every process."""
    batches = inputs.batches(inputs.texts.train, inputs.corpus.train, accelerator.device)
    model = FeatureModel(inputs.model, layer, place)
    with accelerator.autocast():
        found = predict_examples(accelerator, model, batches, layout, layer.in_features)
    assert isinstance(found, Predictions)
    return found.logits


def _fit(recipe: Recipe, inputs: Inputs, features: np.ndarray) -> Fitted:
    """The layer for all training examples, with the penalty that is best for those that are held out."""
    train, task = inputs.corpus.train, inputs.task
    classes, scaled = inputs.corpus.classes, inputs.trainable.scaled
    loss = _loss(recipe, inputs)
    problem = _Problem(loss, torch.from_numpy(features), train.labels, len(classes), scaled)
    folds = [] if recipe.learns_from_pairs else _folds(train, task, recipe.seed)
    if not folds:
        return problem.minimize(_PENALTY_OF_FEW)
    starts = [problem.part(~held_out) for held_out in folds]
    best, least = None, np.inf
    candidates = _PENALTIES if len(folds) > 1 else _PENALTIES[_STRONG:]
    for penalty in candidates:  # from one minimum to the next it is not far
        score = 0.0
        for inner, held_out in zip(starts, folds, strict=True):
            layer = inner.minimize(penalty)
            weight, bias = _scaled(scaled, layer.weight, layer.bias)
            logits = features[held_out] @ weight.numpy().T + bias.numpy()
            score += float(task.row_losses(logits, train.labels[held_out]).mean())
        if score >= least:
            break  # it falls, and then it rises
        best, least = penalty, score
    problem.start_from(starts[0])
    return problem.minimize(best or _PENALTY_OF_FEW)


def _loss(recipe: Recipe, inputs: Inputs) -> Loss:
    corpus, form = inputs.corpus, recipe.loss.of_last_layer
    return inputs.task.loss(recipe.train, corpus.train.labels, corpus.classes, torch.device("cpu"), form)


def _folds(train: Examples, task: Task, seed: int) -> list[np.ndarray]:
    """Which examples are held out, bool [examples], each time; the same text is on one side only."""
    text_of, _ = distinct_texts(train, task.strata(train.labels))
    texts = np.random.default_rng(seed).permutation(np.unique(text_of))
    if len(texts) < _FEW:
        return []
    parts = np.array_split(texts, _FOLDS)
    return [np.isin(text_of, part) for part in (parts if len(texts) < _MANY else parts[:1])]


def _scaled(by: ScaledLayer | None, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The layer's weights as they compute, of those that are trained."""
    return (weight, bias) if by is None else by.scale(weight, bias)


class _Problem:
    """What is minimized: the task's mean loss of a linear layer, and penalty / 2 times its squared weights.

    Features have mean 0 and deviation 1 in it, so that a penalty means the same for every encoder.
    """

    def __init__(
        self, loss: Loss, features: torch.Tensor, labels: np.ndarray, outputs: int, scaled: ScaledLayer | None = None
    ):
        self._loss, self._labels, self._outputs, self._scale = loss, labels, outputs, scaled
        self._raw = features
        self._mean = features.mean(0)
        self._deviation = features.std(0, correction=0).clamp_min(1e-6)
        self._features = (features - self._mean) / self._deviation
        self._total = float(loss.weights(labels).sum(dtype=np.float64))
        self._weight = torch.zeros(outputs, features.shape[1])
        self._bias = torch.zeros(outputs)

    def part(self, chosen: np.ndarray) -> _Problem:
        """The same for some of the examples, bool [examples]."""
        return _Problem(
            self._loss, self._raw[torch.from_numpy(chosen)], self._labels[chosen], self._outputs, self._scale
        )

    def start_from(self, other: _Problem) -> None:
        """Begin where another problem's last minimum was."""
        self._weight, self._bias = other._weight, other._bias

    def minimize(self, penalty: float) -> Fitted:
        """The minimum, by L-BFGS from the last one, as a layer for features as they are."""
        weight, bias = (x.clone().requires_grad_() for x in (self._weight, self._bias))
        labels = torch.from_numpy(self._labels)
        optimizer = torch.optim.LBFGS(
            [weight, bias],
            max_iter=_STEPS,
            tolerance_grad=1e-5,
            tolerance_change=_CHANGE,
            line_search_fn="strong_wolfe",
        )

        def value() -> torch.Tensor:
            optimizer.zero_grad()
            losses = self._loss.losses(linear(self._features, *_scaled(self._scale, weight, bias)), labels)
            total = losses.sum() / self._total + penalty / 2 * weight.square().sum()
            total.backward()
            return total

        optimizer.step(value)
        self._weight, self._bias = weight.detach(), bias.detach()
        scaled = self._weight / self._deviation
        return Fitted(scaled, self._bias - scaled @ self._mean, penalty)
