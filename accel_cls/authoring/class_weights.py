"""Whether uneven classes are to weigh the same in the loss: found out with something quick, on training rows alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.data.split import can_split, distinct_texts, split_examples
from accel_cls.evaluation.baselines import baselines
from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import compute_scores
from accel_cls.tasks import Task

_UNEVEN = 1.5  # times the examples of the smallest class, from which on it is looked into
_HELD_OUT = 0.2  # of the training examples
_GAIN = 0.002  # of macro F1, under which there is none


@dataclass(frozen=True)
class Weighing:
    """What logistic regression on TF-IDF gains by balanced classes, on a part of the training rows."""

    plain: float  # macro F1
    balanced: float

    @property
    def helps(self) -> bool:
        """Whether it does."""
        return self.balanced > self.plain + _GAIN

    @property
    def why(self) -> str:
        """In words."""
        change = f"macro F1 {self.balanced:.4f} instead of {self.plain:.4f}"
        return f"TF-IDF with balanced classes gets {change} on a part of the training rows"


def try_balanced(corpus: Corpus, task: Task, train: Examples, seed: int) -> Weighing | None:
    """Try both on rows that nothing is scored on later; None where classes are even, or too few to be split.

    Args:
        corpus: what was read.
        task: what is learned.
        train: the examples that will be trained on.
        seed: of the split.
    """
    counts = corpus.class_counts(train)
    some = counts[counts > 0]
    strata = corpus.reader.strata(train.labels)
    if some.max() < _UNEVEN * some.min() or not can_split(strata, distinct_texts(train, strata)[1], _HELD_OUT):
        return None
    inner, held_out = split_examples(train, len(corpus.classes), corpus.reader, _HELD_OUT, seed)
    part = replace(corpus, train=inner, validation=held_out, test=None, digest=f"{corpus.digest} {len(train)} {seed}")
    _, *found = baselines(part, task, [])
    plain, balanced = (
        compute_scores(["f1_macro"], Judged.of(task, held_out.labels, one.logits["validation"]))["f1_macro"]
        for one in found
    )
    return Weighing(plain, balanced)
