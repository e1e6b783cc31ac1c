"""What a pre-training leaves: its log, and the best encoder with what is to be known of it."""

from __future__ import annotations

import math

import torch
from accelerate import Accelerator

from accel_cls.atomic import whole_folder
from accel_cls.devices.prepare import whole_weights
from accel_cls.evaluation.predictions import Predictions
from accel_cls.models.pooling import copy_pooling
from accel_cls.recipe.sections.pretrain import Pretrain
from accel_cls.runs.artifacts import Artifacts
from accel_cls.runs.pretrained import Pretrained, write_pretrained

_LARGEST = 700.0  # a loss whose exponential is a number


class EncoderArtifacts(Artifacts):
    """Writes into the run folder, on rank 0."""

    def score(self, predictions: Predictions) -> dict[str, float]:
        """The mean loss of all guesses, and the perplexity: among so many tokens it wavers."""
        losses, guesses = predictions.logits.sum(0, dtype="float64")
        loss = float(losses / max(guesses, 1))
        return {"loss": loss, "perplexity": math.exp(min(loss, _LARGEST))}

    def keep(self, accelerator: Accelerator, model: torch.nn.Module, predictions: Predictions) -> None:
        """Put the encoder in place. Called by all processes: weights may be sharded."""
        state = whole_weights(accelerator, model)
        if self._is_main:
            recipe, pretrain = self._recipe, self._recipe.pretrain or Pretrain()
            scores = self.score(predictions)
            known = Pretrained(recipe.name, pretrain.judged, scores["loss"], scores["perplexity"])
            with whole_folder(self.folder.model) as beside:
                accelerator.unwrap_model(model).save_pretrained(beside, state_dict=state)
                self._tokenizer.save_pretrained(beside)
                if recipe.model.name is not None:
                    copy_pooling(recipe.model.name, beside)
                write_pretrained(beside, known, self._corpus.train)
        accelerator.wait_for_everyone()
