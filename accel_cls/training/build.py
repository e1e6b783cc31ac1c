"""The parts of a training, made of a recipe and a corpus: model, token ids, micro-batches, objective."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.batching.batches import Batches
from accel_cls.batching.pair_batches import PairBatches
from accel_cls.batching.pairs import Pairs, pairs_of
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.checkpoints.saving import Saver
from accel_cls.console import Console
from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.devices.prepare import is_xla, require_whole_weights
from accel_cls.errors import UserError
from accel_cls.memory.forecast import averaged_copies
from accel_cls.memory.search import Search, find_micro_batch_tokens
from accel_cls.memory.sizes import MicroBatchSizes, with_micro_batch_tokens
from accel_cls.models.adapters import Adapters, describe_adapters
from accel_cls.models.capabilities import ask_model
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.capabilities.training import settle_training
from accel_cls.models.capabilities.watching import WatchedParts, watched_parts
from accel_cls.models.classifier import describe_model, load_model, outline_model
from accel_cls.models.features import keep_head_fitted, last_layer
from accel_cls.models.output_scale import ScaledLayer, scale_output
from accel_cls.models.packing import make_packable
from accel_cls.models.trained import settle_trained
from accel_cls.models.windows import make_windowed
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.data import Windows
from accel_cls.runs.artifacts import Artifacts
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.tracking import Tracking
from accel_cls.stopping import Stopping
from accel_cls.tasks import Loss, Task
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.encode import encode_cached
from accel_cls.tokenization.encoded import Encoded
from accel_cls.tokenization.tokenizer import load_tokenizer
from accel_cls.training.averaging import Average
from accel_cls.training.dropout_samples import MeanOverDraws, sample_dropout
from accel_cls.training.non_finite import NonFiniteGuard
from accel_cls.training.objective import Objective, Supervised
from accel_cls.training.objectives import objective_of, require_objective
from accel_cls.training.objectives.cosine import CosineOfPairs
from accel_cls.training.objectives.distilled import Distilled
from accel_cls.training.objectives.hidden import HiddenDistilled
from accel_cls.training.teacher import TeacherAnswers
from accel_cls.training.trace import Trace
from accel_cls.training.training import Training
from accel_cls.training.unfreezing import Unfreezing


@dataclass(frozen=True)
class Contrast:
    """What is compared where pairs of texts are learned from."""

    pairs: Pairs
    layer: torch.nn.Linear  # the last one: what it reads is a text's vector


@dataclass(frozen=True)
class Inputs:
    """What is trained, and on what."""

    corpus: Corpus
    task: Task
    loss: Loss
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel  # not yet prepared for the hardware
    train: Encoded  # the labelled examples
    learned: Encoded  # all texts that updates are made of: these, their changed copies, those without labels
    validation: Encoded
    packed: bool  # whether several texts lie in a row
    first_position: int  # the position id of a packed text's first token
    padding: Padding
    scaled: ScaledLayer | None = None  # the last layer, where logits have a unit
    adapters: Adapters | None = None  # of the encoder, where these are trained in its place
    windows: Windows | None = None  # how long texts are read in several
    watched: WatchedParts = field(default_factory=WatchedParts)  # what objectives look into
    teacher: TeacherAnswers | None = None  # what a teacher makes of the learned texts
    is_judged_first: bool = False  # before the first update, too
    contrast: Contrast | None = None  # None: each text is learned by itself

    def batches(
        self,
        texts: Encoded,
        examples: Examples,
        device: torch.device,
        fixed_tokens: int | None = None,
        fixed_rows: int | None = None,
    ) -> Batches:
        """What makes micro-batches of one part of the corpus; see `Batches`."""
        return Batches(texts, examples.labels, self.padding, device, fixed_tokens, fixed_rows, self.first_position)

    def learned_batches(
        self, device: torch.device, fixed_tokens: int | None = None, fixed_rows: int | None = None
    ) -> Batches:
        """The same of all texts that are learned from; zeros stand where there is no label."""
        train = self.corpus.labelled
        missing = np.zeros((len(self.learned.lengths) - len(train), *train.labels.shape[1:]), train.labels.dtype)
        whole = replace(train, labels=np.concatenate([train.labels, missing]))
        return self.batches(self.learned, whole, device, fixed_tokens, fixed_rows)

    def update_batches(
        self, device: torch.device, fixed_tokens: int | None = None, fixed_rows: int | None = None
    ) -> Batches | PairBatches:
        """The same of the examples of updates: these texts, or pairs of them."""
        texts = self.learned_batches(device, fixed_tokens, fixed_rows)
        return texts if self.contrast is None else PairBatches(texts, self.contrast.pairs)

    def learned_rows(self) -> Sequence[str]:
        """Where each example stands that updates are made of."""
        rows = self.corpus.learned_rows
        return rows if self.contrast is None else self.contrast.pairs.rows(rows)

    def objective(self, recipe: Recipe) -> Objective:
        """What is minimized."""
        if self.contrast is not None:
            return CosineOfPairs(self.contrast.layer)
        labels = self.corpus.labelled.labels
        supervised = Supervised(self.loss, labels)
        inner: Objective = supervised
        if recipe.distill is not None:
            assert self.teacher is not None
            soft = self.task.soft_loss(labels, recipe.distill.temperature)
            inner = Distilled(supervised, soft, self.teacher.logits, recipe.distill.weight)
            if self.teacher.vectors is not None:
                assert self.watched.last_layer is not None
                inner = HiddenDistilled(inner, self.watched.last_layer, self.teacher.vectors, recipe.distill.hidden)
        return objective_of(recipe.loss, inner, supervised, self.watched)

    def strata(self) -> np.ndarray | None:
        """The class of each training example, as train.sampling: balanced counts it; None where there are none."""
        return self.task.strata(self.corpus.labelled.labels)

    def artifacts(self, folder: RunFolder, recipe: Recipe, tracking: Tracking, is_main: bool) -> Artifacts:
        """What writes the run's log and its best model."""
        folds = [one.fold for one in (self.adapters, self.scaled) if one is not None]
        return Artifacts(folder, recipe, self.corpus, self.task, self.tokenizer, folds, tracking, is_main)

    def outline(self, recipe: Recipe) -> PreTrainedModel:
        """The same model on the meta device."""
        task, classes = self.task, self.corpus.classes
        return outline_model(recipe, self.tokenizer, classes, task.problem_type, self.train)

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
    train, validation = (
        encode_cached(tokenizer, part.texts, Cutting.of(recipe.data), notes)
        for part in (corpus.train, corpus.validation)
    )
    learned = train
    for more in (corpus.changed, corpus.unlabelled):
        if more is not None:
            learned = learned.followed_by(encode_cached(tokenizer, more.texts, Cutting.of(recipe.data), notes))
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
    samples = recipe.model.dropout_samples
    if samples > 1:
        sample_dropout(model, samples, tokenizer, able.padding)
    packed = recipe.train.packing and able.packed and not is_xla(accelerator)
    first_position = make_packable(model, recipe.train.kernels) if packed else 0
    loss = task.loss(recipe.train, corpus.train.labels, corpus.classes, accelerator.device, recipe.loss)
    if samples > 1:
        loss = MeanOverDraws(loss)
    return Inputs(
        corpus=corpus,
        task=task,
        loss=loss,
        tokenizer=tokenizer,
        model=model,
        train=train,
        learned=learned,
        validation=validation,
        packed=packed,
        first_position=first_position,
        padding=able.padding,
        scaled=scaled,
        adapters=adapters,
        windows=recipe.data.windows,
        watched=watched,
        is_judged_first=recipe.train.head_init == "probe",  # a head that was fitted may be hard to beat
        contrast=contrast,
    )


def _contrast(recipe: Recipe, model: PreTrainedModel, labels: np.ndarray, accelerator: Accelerator) -> Contrast | None:
    """Make the model ready to learn from pairs of texts, where the recipe says so."""
    pairs = pairs_of(recipe, labels)
    if pairs is None:
        return None
    require_whole_weights(accelerator, "few_shot.pairs")
    layer = last_layer(model, "few_shot.pairs")
    keep_head_fitted(model, layer)
    return Contrast(pairs, layer)


def resolve_micro_batch_tokens(
    recipe: Recipe, inputs: Inputs, accelerator: Accelerator, known: int | None, notes: list[str]
) -> tuple[Recipe, MicroBatchSizes, str | None]:
    """Find the number that `train.micro_batch_tokens: auto` stands for. Called by all processes.

    Args:
        known: the number with which the run began, where it goes on.

    Returns:
        The recipe with a number; the sizes that come into question; what the number is remembered under, None where
        the recipe has named one.

    Raises:
        UserError: where not even the smallest micro-batch fits.
    """
    sizes = MicroBatchSizes.of(recipe, inputs.learned.lengths, is_xla(accelerator), inputs.learned.windows)
    if recipe.train.micro_batch_tokens != "auto":
        return recipe, sizes, None
    outline = functools.partial(inputs.outline, recipe)
    batches = inputs.learned_batches(accelerator.device)
    copies = averaged_copies(recipe, accelerator.device)
    search = Search.of(accelerator, sizes, inputs.model, outline, batches, copies)
    tokens = known or find_micro_batch_tokens(search, notes)
    return with_micro_batch_tokens(recipe, tokens), sizes, search.key


def build_training(
    recipe: Recipe,
    plan: Plan,
    inputs: Inputs,
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    average: Average,
    unfreezing: Unfreezing,
    folder: RunFolder,
    stopping: Stopping,
    console: Console,
) -> Training:
    """What the loop works with; model and optimizer as accelerate has prepared them.

    Raises:
        UserError: where the recipe wants what the hardware can't do.
    """
    corpus, fixed = inputs.corpus, plan.layout.tokens if is_xla(accelerator) else None
    artifacts = inputs.artifacts(folder, recipe, Tracking(accelerator, folder, recipe), accelerator.is_main_process)
    saver = Saver(accelerator, folder.checkpoints, recipe.checkpoint.keep, console, progress, average.tensors)
    policy, rows = recipe.train.non_finite, inputs.learned_rows()
    return Training(
        recipe,
        plan,
        accelerator,
        model,
        optimizer,
        inputs.objective(recipe),
        inputs.update_batches(accelerator.device, fixed, plan.batch_size),
        inputs.batches(inputs.validation, corpus.validation, accelerator.device, fixed),
        artifacts,
        Trace(folder.trace if recipe.train.trace else None, accelerator.process_index),
        saver,
        NonFiniteGuard(policy, accelerator, optimizer, plan, rows, progress, artifacts, saver, console),
        stopping,
        console,
        average,
        unfreezing,
    )
