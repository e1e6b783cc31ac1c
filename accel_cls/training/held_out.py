"""Ask the model that a run has kept about labelled rows, once the training is over."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from accelerate import Accelerator

from accel_cls.data.examples import Examples
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.predictions import predict_examples
from accel_cls.hardware.accelerator import several_machines
from accel_cls.hardware.main_process import decided_by_main
from accel_cls.inference.classifier import Classifier
from accel_cls.inference.loading import load_classifier
from accel_cls.runs.folder import RunFolder, content_digest


class KeptModel:
    """A run's `model/`, as `accel-cls predict` loads it: in fp32, on each process as a whole; once, when first asked.

    What was trained should be let go before, as its memory is needed.
    """

    def __init__(self, accelerator: Accelerator, folder: RunFolder):
        self._accelerator = accelerator
        self._folder = folder

    def ask(self, examples: Examples) -> Answers | None:
        """What it says of examples. Called by all processes, which divide them among themselves.

        Where machines have disks of their own the folder of the first one alone has the model: then the main process
        answers all, and the others get None.
        """
        if not self._is_everywhere:
            return self._ask_alone(examples) if self._accelerator.is_main_process else None
        classifier = self._classifier
        batches = classifier.batches(examples.texts, examples.labels)
        outputs = classifier.outputs
        found = predict_examples(self._accelerator, classifier.model, batches, classifier.layout, outputs)
        assert not isinstance(found, str)  # nobody tells it to stop
        return Answers(examples, found.logits)

    def _ask_alone(self, examples: Examples) -> Answers:
        return Answers(examples, self._classifier.logits(examples.texts))

    @cached_property
    def _classifier(self) -> Classifier:
        return load_classifier(self._folder.path)

    @cached_property
    def _is_everywhere(self) -> bool:
        """Whether all processes find the model that the main one has written, and no older one."""
        accelerator = self._accelerator
        accelerator.wait_for_everyone()  # it may still be written
        if not several_machines():
            return True
        found = _digest(self._folder.model)
        [written] = decided_by_main(accelerator, 1, lambda: [found])
        lacking = torch.tensor([int(found != written)], device=accelerator.device)
        return not int(accelerator.reduce(lacking, "sum").item())


def _digest(model: Path) -> int:
    """A number of 63 bits for the content of a model's folder; 0 where there is none."""
    return int.from_bytes(content_digest(model)[:8], "little") >> 1 if model.is_dir() else 0
