"""What a run leaves besides its checkpoints: log, best model, predictions, scores, report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from accel_cls.atomic import whole_folder, write_csv
from accel_cls.data.corpus import Examples, Labels
from accel_cls.devices.prepare import whole_weights
from accel_cls.evaluation.predictions import Predictions
from accel_cls.runs.folder import RunFolder


class Results:
    """Writes into the run folder, on the main process."""

    def __init__(
        self,
        folder: RunFolder,
        validation: Examples,
        labels: Labels,
        tokenizer: PreTrainedTokenizerBase,
        is_main: bool,
    ):
        self.folder = folder
        self._validation = validation
        self._labels = labels
        self._tokenizer = tokenizer
        self._is_main = is_main
        self._unwritten: list[dict[str, Any]] = []

    def log(self, record: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl; while the disk is full, it waits in memory for the next one."""
        if self._is_main:
            self._unwritten.append(record)
            with suppress(OSError):  # `flush`, which comes before each checkpoint, says so
                self.flush()

    def flush(self) -> None:
        """Write the lines that wait. Raises OSError where that is not possible yet."""
        if self._unwritten:
            self.folder.append_metrics(self._unwritten)
            self._unwritten.clear()

    def score(self, predictions: Predictions, names: Sequence[str]) -> dict[str, float]:
        """The loss and the named metrics."""
        from accel_cls.evaluation.metrics import compute_scores  # `evaluate` takes seconds to import

        return {"loss": predictions.loss, **compute_scores(names, predictions.classes, predictions.labels)}

    def keep(self, accelerator: Accelerator, model: torch.nn.Module, predictions: Predictions) -> None:
        """Put the model and its validation predictions in place. Called by all processes: weights may be sharded."""
        state = whole_weights(accelerator, model)
        if self._is_main:
            with whole_folder(self.folder.model) as beside:
                accelerator.unwrap_model(model).save_pretrained(beside, state_dict=state)
                self._tokenizer.save_pretrained(beside)
            self._write_predictions(predictions)
        accelerator.wait_for_everyone()

    def _write_predictions(self, predictions: Predictions) -> None:
        names = self._labels.names
        texts = [self._validation.texts[column][:] for column in self._validation.texts.column_names]
        probabilities, classes = predictions.probabilities, predictions.classes
        header = ["row", *self._validation.texts.column_names, "label", "predicted", "probability"]
        write_csv(
            self.folder.predictions,
            header + [f"p({name})" for name in names],
            (
                [
                    self._validation.rows[i],
                    *(column[i] for column in texts),
                    names[predictions.labels[i]],
                    names[classes[i]],
                    f"{probabilities[i].max():.6f}",
                    *(f"{p:.6f}" for p in probabilities[i]),
                ]
                for i in range(len(classes))
            ),
        )
