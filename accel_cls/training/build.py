"""The parts of a training, made of a recipe and a corpus: model, token ids, micro-batches, objective."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.batching.batches import Batches
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
from accel_cls.models.classifier import load_model, outline_model
from accel_cls.models.features import last_layer
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
from accel_cls.tokenization.encode import Encoded, encode_cached
from accel_cls.tokenization.tokenizer import load_tokenizer
from accel_cls.training.averaging import Average
from accel_cls.training.dropout_samples import MeanOverDraws, sample_dropout
from accel_cls.training.loop import Training
from accel_cls.training.non_finite import NonFiniteGuard
from accel_cls.training.objectives import objective_of, require_objective
from accel_cls.training.trace import Trace
from accel_cls.training.unfreezing import Unfreezing


@dataclass(frozen=True)
class Inputs:
    """What is trained, and on what."""

    corpus: Corpus
    task: Task
    loss: Loss
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel  # not yet prepared for the hardware
    train: Encoded
    validation: Encoded
    packed: bool  # whether several texts lie in a row
    first_position: int  # the position id of a packed text's first token
    padding: Padding
    scaled: ScaledLayer | None  # the last layer, where logits have a unit
    adapters: Adapters | None  # of the encoder, where these are trained in its place
    windows: Windows | None  # how long texts are read in several
    watched: WatchedParts

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


def load_inputs(recipe: Recipe, task: Task, corpus: Corpus, accelerator: Accelerator, notes: list[str]) -> Inputs:
    """Tokenizer, token ids, model and loss.

    Raises:
        UserError: for a model or hardware that can't be used so, or class weights that do not fit the classes.
    """
    require_objective(recipe.loss, accelerator)
    tokenizer = load_tokenizer(recipe, corpus.train, notes)
    train, validation = (
        encode_cached(tokenizer, part.texts, Cutting.of(recipe.data), notes)
        for part in (corpus.train, corpus.validation)
    )
    model = load_model(recipe, tokenizer, corpus.classes, notes, task.problem_type, train)
    if recipe.data.windows is not None:
        if is_xla(accelerator):
            raise UserError("data.windows: found some; expected none on XLA, where each number of them is a program")
        make_windowed(model, recipe.data.windows.pooling)
    able = ask_model(model, tokenizer, str(recipe.model.name), notes)
    settle_training(model, tokenizer, able.padding, notes)
    watched = WatchedParts() if recipe.model.is_fitted else watched_parts(model, tokenizer, able.padding, recipe.loss)
    scale, place = task.output_scale(corpus.train.labels), f"task: {task.name}"
    scaled = None if scale is None else scale_output(model, last_layer(model, place), scale, place)
    if recipe.model.lora is not None:
        require_whole_weights(accelerator, "model.lora")
    adapters = settle_trained(model, recipe)
    if adapters is not None:
        notes.append(describe_adapters(model, adapters))
    samples = recipe.model.dropout_samples
    if samples > 1:
        sample_dropout(model, samples, tokenizer, able.padding)
    packed = recipe.train.packing and able.packed and not is_xla(accelerator)
    first_position = make_packable(model, recipe.train.kernels) if packed else 0
    loss = task.loss(recipe.train, corpus.train.labels, corpus.classes, accelerator.device, recipe.loss)
    loss = MeanOverDraws(loss) if samples > 1 else loss
    return Inputs(
        corpus,
        task,
        loss,
        tokenizer,
        model,
        train,
        validation,
        packed,
        first_position,
        able.padding,
        scaled,
        adapters,
        recipe.data.windows,
        watched,
    )


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
    sizes = MicroBatchSizes.of(recipe, inputs.train.lengths, is_xla(accelerator), inputs.train.windows)
    if recipe.train.micro_batch_tokens != "auto":
        return recipe, sizes, None
    classes, problem_type = inputs.corpus.classes, inputs.task.problem_type
    outline = functools.partial(outline_model, recipe, inputs.tokenizer, classes, problem_type, inputs.train)
    batches = inputs.batches(inputs.train, inputs.corpus.train, accelerator.device)
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
    tracking = Tracking(accelerator, folder, recipe)
    task, tokenizer, is_main = inputs.task, inputs.tokenizer, accelerator.is_main_process
    folds = [one.fold for one in (inputs.adapters, inputs.scaled) if one is not None]
    artifacts = Artifacts(folder, recipe, corpus, task, tokenizer, folds, tracking, is_main)
    saver = Saver(accelerator, folder.checkpoints, recipe.checkpoint.keep, console, progress, average.tensors)
    policy, rows = recipe.train.non_finite, corpus.train.rows
    return Training(
        recipe,
        plan,
        accelerator,
        model,
        optimizer,
        objective_of(recipe.loss, inputs.loss, corpus.train.labels, inputs.watched),
        inputs.batches(inputs.train, corpus.train, accelerator.device, fixed, plan.batch_size),
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
