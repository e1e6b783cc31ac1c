"""Ask the model that a run has kept about labelled rows, once the training is over."""

from __future__ import annotations

from accelerate import Accelerator

from accel_cls.data.examples import Examples
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.predictions import predict_examples
from accel_cls.inference.classifier import load_classifier
from accel_cls.runs.folder import RunFolder


def ask_kept_model(accelerator: Accelerator, folder: RunFolder, examples: Examples) -> Answers:
    """What `model/` says of examples, as `accel-cls predict` loads it: in fp32, on each process as a whole.

    Called by all processes, which divide the examples among themselves; what was trained should be let go before, as
    its memory is needed.
    """
    accelerator.wait_for_everyone()  # the main process may still be writing it
    classifier = load_classifier(folder.path)
    batches = classifier.batches(examples.texts, examples.labels)
    found = predict_examples(accelerator, classifier.model, batches, classifier.layout, classifier.outputs)
    assert not isinstance(found, str)  # nobody tells it to stop
    return Answers(examples, found.logits)
