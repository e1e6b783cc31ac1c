"""What a run leaves besides its checkpoints: log, best model, predictions, scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from accel_cls.atomic import whole_folder
from accel_cls.data.corpus import Corpus
from accel_cls.devices.prepare import whole_weights
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import compute_scores
from accel_cls.evaluation.predictions import Predictions
from accel_cls.recipe import Recipe
from accel_cls.runs.answers import write_answers
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.postprocessing import LONG_TEXTS
from accel_cls.runs.tracking import Tracking
from accel_cls.tasks import Task
from accel_cls.tokenization.cutting import Cutting

# Weights by name as they are saved, of those that are trained: a plain model of transformers.
Fold = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


class Artifacts:
    """Writes into the run folder, on rank 0."""

    def __init__(
        self,
        folder: RunFolder,
        recipe: Recipe,
        corpus: Corpus,
        task: Task,
        tokenizer: PreTrainedTokenizerBase,
        folds: Sequence[Fold],
        tracking: Tracking,
        is_main: bool,
    ):
        self.folder = folder
        self.best_by: str = recipe.evaluate.best  # the score that decides which model is kept
        self.min_gain = recipe.evaluate.min_gain
        self.classes = corpus.classes
        self._recipe = recipe
        self._corpus = corpus
        self._task = task
        self._tokenizer = tokenizer
        self._folds = folds
        self.tracking = tracking
        self._is_main = is_main
        self._unwritten: list[dict[str, Any]] = []
        self.scores: dict[str, float] = {}  # of the last evaluation, on rank 0

    def log(self, record: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl, for which it waits in memory while the disk is full, and tell the trackers."""
        if self._is_main:
            self.tracking.log(record)
            self._unwritten.append(record)
            with suppress(OSError):  # `flush`, which comes before each checkpoint, says so
                self.flush()

    def flush(self) -> None:
        """Write the lines that wait. Raises OSError where that is not possible yet."""
        if self._unwritten:
            self.folder.append_metrics(self._unwritten)
            self._unwritten.clear()

    def score(self, predictions: Predictions) -> dict[str, float]:
        """The loss and the recipe's metrics."""
        judged = Judged.of(self._task, predictions.labels, predictions.logits)
        self.scores = compute_scores(["loss", *self._recipe.evaluate.metrics], judged)
        return self.scores

    def keep(self, accelerator: Accelerator, model: torch.nn.Module, predictions: Predictions) -> None:
        """Put the model and its validation predictions in place. Called by all processes: weights may be sharded."""
        state = whole_weights(accelerator, model)
        if self._is_main:
            inner = accelerator.unwrap_model(model)
            # What a text was in training, which the folder's files do not tell by themselves: one column, or a pair.
            text = self._recipe.data.text
            inner.config.accel_cls = {"text": [text] if isinstance(text, str) else list(text)}
            if not (cutting := Cutting.of(self._recipe.data)).is_plain:
                inner.config.accel_cls[LONG_TEXTS] = cutting.as_json()
            for fold in self._folds:
                state = fold(state)
            with whole_folder(self.folder.model) as beside:
                inner.save_pretrained(beside, state_dict=state)
                self._tokenizer.save_pretrained(beside)
            answers = Answers(self._corpus.validation, predictions.logits)
            write_answers(self.folder, "validation", answers, self._task, self.classes.names)
        accelerator.wait_for_everyone()
