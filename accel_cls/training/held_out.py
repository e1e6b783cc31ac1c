"""Ask the model that a run has kept about labelled rows, once the training is over."""

from __future__ import annotations

from functools import cached_property

from accelerate import Accelerator

from accel_cls.data.examples import Examples
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.predictions import predict_examples
from accel_cls.inference.classifier import Classifier
from accel_cls.inference.loading import load_classifier
from accel_cls.runs.folder import RunFolder


class KeptModel:
    """A run's `model/`, as `accel-cls predict` loads it: in fp32, on each process as a whole; once, when first asked.

    What was trained should be let go before, as its memory is needed.
    """

    def __init__(self, accelerator: Accelerator, folder: RunFolder):
        self._accelerator = accelerator
        self._folder = folder

    @cached_property
    def _classifier(self) -> Classifier:
        self._accelerator.wait_for_everyone()  # the main process may still be writing it
        return load_classifier(self._folder.path)

    def ask(self, examples: Examples) -> Answers:
        """What it says of examples. Called by all processes, which divide them among themselves."""
        classifier = self._classifier
        batches = classifier.batches(examples.texts, examples.labels)
        outputs = classifier.outputs
        found = predict_examples(self._accelerator, classifier.model, batches, classifier.layout, outputs)
        assert not isinstance(found, str)  # nobody tells it to stop
        return Answers(examples, found.logits)
