"""A few training examples of each class, as if there were no others."""

from __future__ import annotations

import numpy as np

from accel_cls.data.examples import Examples
from accel_cls.data.labels import Classes, LabelReader
from accel_cls.data.split import distinct_texts
from accel_cls.errors import UserError, shown
from accel_cls.recipe import Recipe


def take_few(train: Examples, recipe: Recipe, reader: LabelReader, classes: Classes, notes: list[str]) -> Examples:
    """The training examples as the recipe's `few_shot` has them: all, or so many of each class, of different texts.

    Args:
        train: all of them.
        recipe: whose seed draws.
        reader: of the labels.
        classes: whose names are told.
        notes: takes how many were drawn, and which classes have fewer.

    Raises:
        UserError: where pairs of texts are learned from, and a class has no pair.
    """
    few = recipe.few_shot
    if few is None:
        return train
    if few.examples is not None:
        strata = reader.strata(train.labels)
        firsts = np.unique(distinct_texts(train, strata)[0])
        drawn = np.random.default_rng([recipe.seed, few.examples]).permutation(firsts)
        chosen = [drawn[strata[drawn] == one][: few.examples] for one in np.unique(strata)]
        taken = train.select(np.sort(np.concatenate(chosen)))
        notes.append(
            f"few_shot.examples: {few.examples} texts of each class, drawn by the seed, are {len(taken):,} of the "
            f"{len(train):,} training examples; the others take no part"
        )
        train = taken
    counts = reader.class_counts(train.labels, len(classes))
    for name, count in zip(classes.names, counts.tolist(), strict=True):
        if recipe.learns_from_pairs and count < 2:
            raise UserError(
                f"few_shot.pairs: the class {shown(name)!r} has {count or 'no'} training "
                f"example{'' if count == 1 else 's'}; expected 2 or more, which make a pair. Give more, leave the "
                "class out, or set few_shot.pairs: 0, which trains as usual"
            )
        if few.examples is not None and count < few.examples:
            notes.append(f"few_shot.examples: the class {shown(name)!r} has {count} different texts only")
    return train
