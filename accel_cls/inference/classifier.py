"""A trained classifier, asked for many texts at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout
from accel_cls.data.separated import FileFormat
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.evaluation.deciding.postprocessing import PLAIN, Postprocessing
from accel_cls.evaluation.predictions import forward
from accel_cls.inference.precision import Precision, autocast
from accel_cls.models.capabilities.padding import Padding
from accel_cls.recipe import Recipe
from accel_cls.tasks import Task
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.encode import encode

# Tokens that go through the model at once. On a CPU fewer stay in its cache: 12,000 reviews through a BERT 2×128 took
# 2.6 s by 4,096, 2.9 by 16,384.
_TOKENS, _TOKENS_ON_CPU = 16384, 4096
# Texts whose tokens and logits are in memory at a time. Among so many there are enough of like length: 12,000 reviews
# go through in 66 packed micro-batches instead of 64, with 0.4% of padding instead of 0.3; padded 95 instead of 88.
CHUNK = 4096


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text."""

    # The predicted classes: one, or with a multi-label model any, the likeliest first; of regression the number.
    labels: tuple[str, ...]
    probabilities: dict[str, float]  # by class name, in the order of the ids; of regression none
    logits: np.ndarray  # float32 [outputs]
    decision: tuple[str, ...] | None = None  # the classes that the model's rules decide for; None: it has no rules
    prediction_set: tuple[str, ...] | None = None  # the classes among which the true one is; None: it has no such rule

    @property
    def label(self) -> str:
        """The most probable class; of several labels also where it is not predicted; of regression the number."""
        if not self.probabilities:
            return self.labels[0]
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def probability(self) -> float:
        """Of that class; of regression nan."""
        return self.probabilities.get(self.label, float("nan"))

    def likeliest(self, count: int) -> list[tuple[str, float]]:
        """So many classes with their probabilities, the most probable first; multi-label: predicted or not."""
        return sorted(self.probabilities.items(), key=lambda one: -one[1])[:count]


@dataclass(frozen=True)
class Classifier:
    """A trained model with its tokenizer, on a device."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    task: Task
    device: torch.device
    first_position: int | None  # of a packed text's first token; None: this family of models can't be packed
    text_columns: tuple[str, ...]  # what the model was trained on, one column or a pair; empty where nothing tells
    padding: Padding
    cutting: Cutting  # how long texts are cut: as in training
    files: FileFormat  # how those with the training texts are written
    recipe: Recipe | None = None  # that it was trained by, where its run folder has it
    post: Postprocessing = PLAIN  # its temperature and rules
    precision: Precision = "fp32"  # that it computes in

    def plain(self) -> Classifier:
        """The same without its temperature and rules: what the model itself says."""
        return replace(self, post=PLAIN)

    @property
    def names(self) -> list[str]:
        """The class names, in the order of their ids; none of a model that answers with numbers."""
        return [self.model.config.id2label[i] for i in range(self.outputs)] if self.task.has_classes else []

    @property
    def outputs(self) -> int:
        """How many logits the model gives."""
        return self.model.config.num_labels

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Prediction]:
        """Classify texts (or text pairs), truncated as in training; the order is kept.

        Raises:
            UserError: where pairs are given to a model of single texts, or none to one of pairs.
        """
        return list(self.predict_stream(texts if pairs is None else zip(texts, pairs, strict=True)))

    def predict_stream(self, texts: Iterable[str | tuple[str, str]]) -> Iterator[Prediction]:
        """The same, of texts as they come: of no more than CHUNK are tokens and logits in memory."""
        rows = iter(texts)
        while chunk := list(islice(rows, CHUNK)):
            yield from self._predict_chunk(chunk)

    def check_texts(self, count: int) -> None:
        """Raise UserError where the model was trained on pairs and is given single texts, or the other way round."""
        if self.text_columns and count != len(self.text_columns):
            columns = " and ".join(map(repr, self.text_columns))
            if count == 1:
                raise UserError(f"the model compares two texts, {columns}, found one: give each text its --pair")
            raise UserError(f"the model was trained on single texts, {columns}, found pairs: leave one out")

    @property
    def layout(self) -> Layout:
        """How texts become micro-batches."""
        longest = self.cutting.max_length
        tokens = _TOKENS_ON_CPU if self.device.type == "cpu" else _TOKENS
        return Layout(max(tokens, self.cutting.longest), longest, packed=self.first_position is not None)

    def batches(self, texts: Texts, labels: np.ndarray | None = None) -> Batches:
        """What makes the model's inputs of texts, truncated as in training.

        Args:
            texts: "text", and "pair" of pairs.
            labels: their encoded labels, where they have some.
        """
        encoded = encode(self.tokenizer, texts, self.cutting)
        labels = np.zeros(len(texts), np.int64) if labels is None else labels
        return Batches(encoded, labels, self.padding, self.device, first_position=self.first_position or 0)

    def logits(self, texts: Texts) -> np.ndarray:
        """What the model says of texts, float32 [texts, outputs]; of like length they go through it together."""
        batches = self.batches(texts)
        found = np.empty((len(texts), self.outputs), np.float32)
        encoded = batches.encoded
        micro_batches = self.layout.to_micro_batches(np.arange(len(texts)), encoded.lengths, windows=encoded.windows)
        with autocast(self.precision, self.device):  # around all passes: weights are cast once
            for examples, output in forward(self.model, batches, micro_batches):
                found[list(examples)] = output.cpu().numpy()
        return found

    def _predict_chunk(self, rows: Sequence[str | tuple[str, str]]) -> Iterator[Prediction]:
        """Texts of like length go through the model together, so that little of it is padding."""
        columns = [rows] if isinstance(rows[0], str) else list(zip(*rows, strict=True))
        self.check_texts(len(columns))
        # What no file and no argument of a terminal holds as text, half a character, becomes U+FFFD.
        names = ("text", "pair")[: len(columns)]
        texts = Texts.of({name: [*map(whole, column)] for name, column in zip(names, columns, strict=True)})
        logits = self.logits(texts)
        if not np.isfinite(logits).all():
            large = ", or its values are too large for fp16: try bf16 or fp32" if self.precision == "fp16" else ""
            raise UserError(f"the model answers with what is no number: its weights are damaged{large}")
        answered, classes = self.post.answer(self.task, logits), self.names
        for at, (predicted, row) in enumerate(zip(answered.predicted, answered.probabilities, strict=True)):
            probabilities = dict(zip(classes, map(float, row), strict=True))
            labels = sorted(self.task.named(predicted, classes), key=lambda name: -probabilities.get(name, 0))
            yield Prediction(tuple(labels), probabilities, logits[at], *answered.named(at, classes))


def whole(text: str) -> str:
    """A text without halves of characters, which no file and no terminal holds."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
