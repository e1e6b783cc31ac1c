"""Changed copies of the training examples, which are learned after these.

They are made once, from seed, text and number of the copy alone: the same on every process, in every epoch and after
an interruption. So their lengths are known before the first update, and their token ids are kept as of any texts.
"""

from __future__ import annotations

from random import Random

import numpy as np

from accel_cls.data.examples import Examples
from accel_cls.data.texts import Texts
from accel_cls.recipe import Recipe
from accel_cls.wording.edits import edited
from accel_cls.wording.languages import languages_of


def changed_copies(examples: Examples, recipe: Recipe) -> Examples | None:
    """As many copies of each example as the recipe's `augment` says, all first ones first; None without it.

    Of a text pair one text is changed, which of them is drawn. A copy whose text nothing can be changed in is like it.
    """
    augment = recipe.augment
    if augment is None:
        return None
    columns = {name: examples.texts[name][:] for name in examples.texts.column_names}
    languages = {name: languages_of(texts) for name, texts in columns.items()}
    copies = {name: list[str]() for name in columns}
    for copy in range(1, augment.copies + 1):
        for at, cells in enumerate(zip(*columns.values(), strict=True)):
            draw = Random("\0".join([str(recipe.seed), str(copy), *cells]))
            chosen = draw.choice([*columns])
            for name, text in zip(columns, cells, strict=True):
                is_chosen = name == chosen
                changed = edited(text, languages[name][at], augment.edits, augment.share, draw) if is_chosen else text
                copies[name].append(changed)
    order = np.tile(np.arange(len(examples)), augment.copies)
    rows = tuple(f"{row}, copy {copy}" for copy in range(1, augment.copies + 1) for row in examples.rows)
    return Examples(Texts.of(copies), examples.labels[order], rows)


def count_unchanged(examples: Examples, copies: Examples) -> int:
    """How many copies are like the example that they are of."""
    originals = [*examples.texts.cells()]
    return sum(copy == originals[i % len(originals)] for i, copy in enumerate(copies.texts.cells()))
