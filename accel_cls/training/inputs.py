"""What is trained, and on what: model, token ids, loss and objective, made of a recipe and a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.batching.batches import Batches
from accel_cls.batching.pair_batches import PairBatches
from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.models.classifier import describe_model, outline_model
from accel_cls.recipe import Recipe
from accel_cls.runs.artifacts import Artifacts
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.tracking import Tracking
from accel_cls.tasks import Loss, Task
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.encode import encode_cached
from accel_cls.tokenization.encoded import Encoded
from accel_cls.tokenization.tokenizer import load_tokenizer
from accel_cls.training.dropout_samples import MeanOverDraws
from accel_cls.training.objective import Objective, Supervised
from accel_cls.training.objectives import objective_of, require_objective
from accel_cls.training.objectives.cosine import CosineOfPairs
from accel_cls.training.objectives.distilled import Distilled
from accel_cls.training.objectives.hidden import HiddenDistilled
from accel_cls.training.teacher import TeacherAnswers
from accel_cls.training.trainable import Trainable, load_trainable


@dataclass(frozen=True)
class EncodedParts:
    """The corpus' texts as token ids."""

    train: Encoded  # the labelled examples
    learned: Encoded  # all texts that updates are made of: these, their changed copies, those without labels
    validation: Encoded


@dataclass(frozen=True)
class Inputs:
    """What is trained, and on what."""

    corpus: Corpus
    task: Task
    loss: Loss
    texts: EncodedParts
    trainable: Trainable
    teacher: TeacherAnswers | None = None  # what a teacher makes of the learned texts
    is_judged_first: bool = False  # before the first update, too

    @property
    def model(self) -> PreTrainedModel:
        """The model that is trained, not yet prepared for the hardware."""
        return self.trainable.model

    def batches(
        self,
        texts: Encoded,
        examples: Examples,
        device: torch.device,
        fixed_tokens: int | None = None,
        fixed_rows: int | None = None,
    ) -> Batches:
        """What makes micro-batches of one part of the corpus; see `Batches`."""
        place = self.trainable.padding, device, fixed_tokens, fixed_rows, self.trainable.first_position
        return Batches(texts, examples.labels, *place)

    def learned_batches(
        self, device: torch.device, fixed_tokens: int | None = None, fixed_rows: int | None = None
    ) -> Batches:
        """The same of all texts that are learned from; zeros stand where there is no label."""
        train = self.corpus.labelled
        missing = np.zeros((len(self.texts.learned.lengths) - len(train), *train.labels.shape[1:]), train.labels.dtype)
        whole = replace(train, labels=np.concatenate([train.labels, missing]))
        return self.batches(self.texts.learned, whole, device, fixed_tokens, fixed_rows)

    def update_batches(
        self, device: torch.device, fixed_tokens: int | None = None, fixed_rows: int | None = None
    ) -> Batches | PairBatches:
        """The same of the examples of updates: these texts, or pairs of them."""
        texts, contrast = self.learned_batches(device, fixed_tokens, fixed_rows), self.trainable.contrast
        return texts if contrast is None else PairBatches(texts, contrast.pairs)

    def learned_rows(self) -> Sequence[str]:
        """Where each example stands that updates are made of."""
        rows, contrast = self.corpus.learned_rows, self.trainable.contrast
        return rows if contrast is None else contrast.pairs.rows(rows)

    def objective(self, recipe: Recipe) -> Objective:
        """What is minimized."""
        watched, contrast, distill = self.trainable.watched, self.trainable.contrast, recipe.distill
        if contrast is not None:
            return CosineOfPairs(contrast.layer)
        labels = self.corpus.labelled.labels
        supervised = Supervised(self.loss, labels)
        inner: Objective = supervised
        if distill is not None:
            assert self.teacher is not None
            soft = self.task.soft_loss(labels, distill.temperature)
            inner = Distilled(supervised, soft, self.teacher.logits, distill.weight)
            if self.teacher.vectors is not None:
                assert watched.last_layer is not None
                inner = HiddenDistilled(inner, watched.last_layer, self.teacher.vectors, distill.hidden)
        return objective_of(recipe.loss, inner, supervised, watched)

    def strata(self) -> np.ndarray | None:
        """The class of each training example, as train.sampling: balanced counts it; None where there are none."""
        return self.task.strata(self.corpus.labelled.labels)

    def artifacts(self, folder: RunFolder, recipe: Recipe, tracking: Tracking, is_main: bool) -> Artifacts:
        """What writes the run's log and its best model."""
        folds = [one.fold for one in (self.trainable.adapters, self.trainable.scaled) if one is not None]
        return Artifacts(folder, recipe, self.corpus, self.task, self.trainable.tokenizer, folds, tracking, is_main)

    def outline(self, recipe: Recipe) -> PreTrainedModel:
        """The same model on the meta device."""
        task, classes = self.task, self.corpus.classes
        return outline_model(recipe, self.trainable.tokenizer, classes, task.problem_type, self.texts.train)

    def describe_data(self, recipe: Recipe) -> list[tuple[str, str]]:
        """The banner's lines about examples."""
        return self.corpus.describe(recipe.data)

    def describe_model(self, recipe: Recipe) -> tuple[str, str]:
        """The banner's line about the model."""
        return describe_model(self.model, recipe)


def load_inputs(recipe: Recipe, task: Task, corpus: Corpus, accelerator: Accelerator, notes: list[str]) -> Inputs:
    """Tokenizer, token ids, model and loss; no teacher's answers yet.

    Raises:
        UserError: for a model or hardware that can't be used so, or class weights that do not fit the classes.
    """
    require_objective(recipe, accelerator)
    tokenizer = load_tokenizer(recipe, corpus.train, notes)
    texts = _encoded(recipe, tokenizer, corpus, notes)
    trainable = load_trainable(recipe, task, corpus, tokenizer, texts.train, accelerator, notes)
    loss = task.loss(recipe.train, corpus.train.labels, corpus.classes, accelerator.device, recipe.loss)
    if recipe.model.dropout_samples > 1:
        loss = MeanOverDraws(loss)
    return Inputs(corpus, task, loss, texts, trainable, is_judged_first=recipe.judges_fitted_head)


def _encoded(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, corpus: Corpus, notes: list[str]) -> EncodedParts:
    cutting = Cutting.of(recipe.data)
    train, validation = (
        encode_cached(tokenizer, part.texts, cutting, notes) for part in (corpus.train, corpus.validation)
    )
    learned = train
    for more in (corpus.changed, corpus.unlabelled):
        if more is not None:
            learned = learned.followed_by(encode_cached(tokenizer, more.texts, cutting, notes))
    return EncodedParts(train, learned, validation)
