"""A finished model that teaches: asked once about all texts that are learned, before the training begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from accel_cls.batching.batches import Batches
from accel_cls.data.corpus import Corpus
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError, listed
from accel_cls.evaluation.predictions import Predictions, predict_examples
from accel_cls.inference.classifier import Classifier
from accel_cls.inference.loading import load_classifier
from accel_cls.models.features import FeatureModel, last_layer
from accel_cls.recipe.sections.distill import Distill
from accel_cls.tasks import Task
from accel_cls.training.kept_outputs import key_of, made_once, on_all_processes
from accel_cls.training.principal_components import unit_components

_KIND, _VECTORS = "teacher", "teacher-vectors"  # in the cache
_FORMAT = 1  # of what is kept; another number makes all anew
_HIDDEN = "distill.hidden: the teacher"  # for what it lacks


@dataclass(frozen=True)
class TeacherAnswers:
    """What a teacher makes of all texts that are learned."""

    logits: np.ndarray  # float32 [texts, outputs], in the order of the recipe's classes
    vectors: np.ndarray | None  # float32 [texts, hidden] of length 1, as wide as the student's; None: not asked for


@dataclass(frozen=True)
class Teacher:
    """A finished model as predict loads it, without its temperature and rules."""

    classifier: Classifier
    texts: Texts  # that it is asked about
    columns: np.ndarray  # int64 [outputs]: where its outputs have those of the classes that are learned
    last_layer: torch.nn.Linear | None = None  # whose vectors are learned, too

    def answers(self, student: torch.nn.Linear | None, accelerator: Accelerator, notes: list[str]) -> TeacherAnswers:
        """What it makes of each text, on each process. Called by all, which divide the texts among themselves.

        Args:
            student: the layer that reads the student's vectors, where those are compared.
            accelerator: the run's.
            notes: takes a line where the answers can't be kept for the next time.

        Raises:
            UserError: where they are no numbers.
        """
        logits, layer = self._logits(accelerator, notes), self.last_layer
        if layer is None:
            return TeacherAnswers(logits, None)
        assert student is not None
        return TeacherAnswers(logits, self._vectors(layer, student.in_features, accelerator, notes))

    def _vectors(self, layer: torch.nn.Linear, size: int, accelerator: Accelerator, notes: list[str]) -> np.ndarray:
        shape = len(self.texts), size

        def made() -> np.ndarray:
            model = FeatureModel(self.classifier.model, layer, _HIDDEN)
            read = self._made(accelerator, model, layer.in_features)
            # By one process, and given to all: the last bits of components are a machine's own.
            told = unit_components(read, size) if accelerator.is_main_process else np.zeros(shape, np.float32)
            return broadcast(torch.from_numpy(told).to(accelerator.device)).cpu().numpy()

        found = made_once(_VECTORS, accelerator, lambda: f"{self.key}-{size}", shape, made, notes)
        return on_all_processes(found, shape, accelerator)

    def _logits(self, accelerator: Accelerator, notes: list[str]) -> np.ndarray:
        classifier = self.classifier
        shape = len(self.texts), classifier.outputs

        def made() -> np.ndarray:
            return self._made(accelerator, classifier.model, classifier.outputs)

        found = made_once(_KIND, accelerator, lambda: self.key, shape, made, notes)
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

    def _made(self, accelerator: Accelerator, model: torch.nn.Module, outputs: int) -> np.ndarray:
        made = predict_examples(accelerator, model, self._batches, self.classifier.layout, outputs)
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
    layer = last_layer(classifier.model, _HIDDEN) if distill.hidden else None
    return Teacher(classifier, Texts.joined(parts), np.array(columns, np.int64), layer)


def describe_teacher(distill: Distill) -> tuple[str, str]:
    """Name and text of the banner's line about it."""
    vectors = f"; besides {distill.hidden:g} times the distance of its vectors" if distill.hidden else ""
    share = f"{distill.weight:g} of the loss, at temperature {distill.temperature:g}"
    return "teacher", f"{distill.teacher}; {share}{vectors}"


def _differing(theirs: list[str], ours: list[str]) -> list[tuple[str, list[str]]]:
    """What only one of the two has."""
    return [
        ("only the teacher has", [name for name in theirs if name not in ours]),
        ("it lacks", [name for name in ours if name not in theirs]),
    ]
