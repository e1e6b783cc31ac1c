"""A part of a corpus's training examples as a corpus of its own, for trials: they are scored on training data, too."""

from __future__ import annotations

from dataclasses import replace

from accel_cls.data.corpus import Corpus, digest_of
from accel_cls.data.examples import Examples
from accel_cls.data.split import can_split, distinct_texts, split_examples


def part_of(corpus: Corpus, trained: int, scored: int, seed: int) -> Corpus | None:
    """About so many training examples to train on, and others to be scored on.

    None where they can't hold each class. Both are stratified by label, and examples of one text are on one side only.
    The corpus's validation and test examples, and texts without labels, have no part in it. Deterministic.

    Args:
        corpus: the run's.
        trained: how many to train on.
        scored: how many to score.
        seed: of the draw.
    """
    examples = corpus.train
    if trained + scored < len(examples):
        taken = _split(corpus, examples, (trained + scored) / len(examples), seed)
        if taken is None:
            return None
        examples = taken[1]
    parts = _split(corpus, examples, scored / (trained + scored), seed)
    if parts is None:
        return None
    train, validation = parts
    digest = digest_of(*parts)
    part = replace(corpus, train=train, validation=validation, test=None, unlabelled=None, changed=None)
    return replace(part, invalid=(), notes=(), digest=digest)


def _split(corpus: Corpus, examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples] | None:
    strata = corpus.reader.strata(examples.labels)
    if not can_split(strata, distinct_texts(examples, strata)[1], fraction):
        return None
    return split_examples(examples, len(corpus.classes), corpus.reader, fraction, seed)
