"""A finished model that teaches: asked once about all texts that are learned, before the training begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from accelerate import Accelerator

from accel_cls.batching.batches import Batches
from accel_cls.data.corpus import Corpus
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError, listed
from accel_cls.evaluation.predictions import Predictions, predict_examples
from accel_cls.inference.classifier import Classifier
from accel_cls.inference.loading import load_classifier
from accel_cls.recipe.sections.distill import Distill
from accel_cls.tasks import Task
from accel_cls.training.kept_outputs import key_of, made_once, on_all_processes

_KIND = "teacher"  # in the cache
_FORMAT = 1  # of what is kept; another number makes all anew


@dataclass(frozen=True)
class Teacher:
    """A finished model as predict loads it, without its temperature and rules."""

    classifier: Classifier
    texts: Texts  # that it is asked about
    columns: np.ndarray  # int64 [outputs]: where its outputs have those of the classes that are learned

    def answers(self, accelerator: Accelerator, notes: list[str]) -> np.ndarray:
        """Its logits of each text in the order of the recipe's classes, float32 [texts, outputs], on each process.

        Called by all processes, which divide the texts among themselves.

        Raises:
            UserError: where they are no numbers.
        """
        shape = len(self.texts), self.classifier.outputs
        found = made_once(_KIND, accelerator, lambda: self.key, shape, lambda: self._made(accelerator), notes)
        logits = on_all_processes(found, shape, accelerator)
        if not np.isfinite(logits).all():
            raise UserError("distill.teacher: it answers with what is no number: its weights are damaged")
        return logits[:, self.columns]

    @cached_property
    def key(self) -> str:
        """A digest of all that its answers follow from."""
        classifier, batches = self.classifier, self._batches
        cut = [classifier.first_position, classifier.layout.tokens, str(classifier.padding), str(classifier.cutting)]
        return key_of(classifier.model, [_FORMAT, batches.encoded.digest, cut, classifier.device.type])

    @cached_property
    def _batches(self) -> Batches:
        return self.classifier.batches(self.texts)

    def _made(self, accelerator: Accelerator) -> np.ndarray:
        classifier = self.classifier
        made = predict_examples(accelerator, classifier.model, self._batches, classifier.layout, classifier.outputs)
        assert isinstance(made, Predictions)  # nobody tells it to stop
        return made.logits


def load_teacher(distill: Distill, corpus: Corpus, task: Task) -> Teacher:
    """The teacher of a recipe.

    Raises:
        UserError: for what is no finished model, or one of another task, other classes or another number of texts.
    """
    place = "distill.teacher"
    try:
        classifier = load_classifier(distill.teacher)
        classifier.check_texts(len(corpus.train.texts.column_names))
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    if classifier.task.problem_type != task.problem_type:
        raise UserError(
            f"{place}: {distill.teacher} was trained for {classifier.task.problem_type}; expected "
            f"{task.problem_type}, as task: {task.name} has it"
        )
    theirs, ours = classifier.names, list(corpus.classes.names) if task.has_classes else []
    if {*theirs} != {*ours}:
        only = [f"{whose} {listed(names, 5)}" for whose, names in _differing(theirs, ours) if names]
        raise UserError(
            f"{place}: {distill.teacher} has other classes than this recipe: {'; '.join(only)}. Expected the same "
            "names, in any order; data.labels gives classes their names"
        )
    columns = [theirs.index(name) for name in ours] if task.has_classes else [0]
    parts = [corpus.labelled.texts, *([] if corpus.unlabelled is None else [corpus.unlabelled.texts])]
    return Teacher(classifier, Texts.joined(parts), np.array(columns, np.int64))


def describe_teacher(distill: Distill) -> tuple[str, str]:
    """Name and text of the banner's line about it."""
    return "teacher", f"{distill.teacher}; {distill.weight:g} of the loss, at temperature {distill.temperature:g}"


def _differing(theirs: list[str], ours: list[str]) -> list[tuple[str, list[str]]]:
    """What only one of the two has."""
    return [
        ("only the teacher has", [name for name in theirs if name not in ours]),
        ("it lacks", [name for name in ours if name not in theirs]),
    ]
