"""Split validation or test examples off the training examples: stratified, identical texts on one side."""

from __future__ import annotations

import numpy as np

from accel_cls.data.examples import Examples
from accel_cls.data.labels import LabelReader
from accel_cls.errors import UserError


def distinct_texts(examples: Examples, strata: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first example of each example's text, int64; and those firsts whose stratum has another text, int64."""
    text_of = examples.texts.firsts()
    texts = np.unique(text_of)
    counts = np.bincount(strata[texts])
    return text_of, texts[counts[strata[texts]] > 1]


def can_split(strata: np.ndarray, pool: np.ndarray, fraction: float) -> bool:
    """Whether that fraction of the examples in the pool, and the rest of them, can hold each of their strata."""
    count = len(np.unique(strata[pool]))
    return len(pool) > 0 and count <= round(fraction * len(pool)) <= len(pool) - count


def split_examples(
    examples: Examples, classes: int, reader: LabelReader, fraction: float, seed: int, key: str = "data.validation"
) -> tuple[Examples, Examples]:
    """Split off examples to be scored, stratified by label. A class's only text stays in training.

    Examples of the same text go to the same side: else a model would be scored on a text that it has trained on.
    A class of two texts or more has one on each side.

    Args:
        examples: to be divided.
        classes: how many there are.
        reader: knows what to stratify by.
        fraction: of the examples that is split off.
        seed: of the draw.
        key: of the recipe, that asks for it.

    Raises:
        UserError: where the fraction is too small or too large for that.
    """
    strata = reader.strata(examples.labels)
    text_of, pool = distinct_texts(examples, strata)
    if not can_split(strata, pool, fraction):
        size, count = round(fraction * len(pool)), len(np.unique(strata[pool]))
        why = (
            f"{fraction:.6g} of {len(pool)} texts is {size}, too few or too many to hold each of the {count} classes "
            "in both parts; use another fraction or a file"
            if len(pool)
            else "no class has two different texts, one to train on and one to validate on; give more, or a file"
        )
        raise UserError(f"{key}: {why}")
    from sklearn.model_selection import train_test_split  # takes a second to import, and only what splits needs it

    size = round(fraction * len(pool))
    drawn = train_test_split(pool, test_size=size, random_state=seed, stratify=strata[pool])[1]
    texts = np.unique(text_of)
    in_validation = np.zeros(len(examples), bool)
    in_validation[drawn] = True
    _give_each_side_a_text(in_validation, texts, examples.labels, classes, reader)
    held_out = in_validation[text_of]
    return examples.select(np.flatnonzero(~held_out)), examples.select(np.flatnonzero(held_out))


def _give_each_side_a_text(
    in_validation: np.ndarray, texts: np.ndarray, labels: np.ndarray, classes: int, reader: LabelReader
) -> None:
    """Move single texts so that each class that has two or more is on both sides, as far as no class loses its last.

    Shares that are rounded leave a class of two texts without one of them: 0.2 of 2 is 0.

    Args:
        in_validation: bool [examples], changed in place where it has to be.
        texts: int64, the first example of each different text.
    """

    def counts(side: bool) -> np.ndarray:
        return reader.class_counts(labels[texts[in_validation[texts] == side]], classes)

    for side in (True, False):
        here, there = counts(side), counts(not side)
        for lacking in np.flatnonzero((here == 0) & (there > 1)):
            for text in texts[in_validation[texts] != side]:
                own = reader.classes_of(labels[text])
                if lacking in own and all(there[other] > 1 for other in own):
                    in_validation[text] = side
                    here[list(own)] += 1
                    there[list(own)] -= 1
                    break
