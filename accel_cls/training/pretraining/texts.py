"""The texts of a pre-training: the classifier's training examples, more of them, and a part held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accel_cls.data.corpus import Corpus, digest_of
from accel_cls.data.examples import Examples
from accel_cls.data.labels import Classes
from accel_cls.data.loading import load_corpus
from accel_cls.data.texts import Texts
from accel_cls.data.unlabelled import Unlabelled, read_unlabelled
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.pretrain import Pretrain
from accel_cls.tasks import task_of

_HELD_OUT, _MOST_HELD_OUT = 0.05, 2000  # of the different texts: what perplexity is measured on
# What a language model puts out of each text, where classifiers have classes.
_OUTPUTS = ("loss of the guesses", "guesses")


def load_texts(recipe: Recipe) -> Corpus:
    """The texts of a pre-training as a corpus: labels are 0, and validation examples are those held out.

    Texts that the classifier is judged by are left out, wherever they stand, unless the recipe wants them.

    Raises:
        UserError: for what can't be read, and where fewer than two different texts are left.
    """
    pretrain, of_classifier = recipe.pretrain or Pretrain(), load_corpus(recipe, task_of(recipe))
    notes: list[str] = []
    judged = [] if pretrain.judged else [*of_classifier.judged.values()]
    own = [of_classifier.train, *(of_classifier.judged.values() if pretrain.judged else ())]
    parts = [_without(one, judged, notes) for one in own]
    if pretrain.texts is not None:
        known = [*own, *judged]
        parts.append(read_unlabelled(pretrain.texts, recipe.data, "pretrain.texts", known, notes))
    if pretrain.judged:
        notes.append("pretrain.judged: texts that the classifier is judged by are learned, too, without their labels")
    texts, rows = Texts.joined([part.texts for part in parts]), [row for part in parts for row in part.rows]
    whole = Examples(texts, np.zeros(len(rows), np.int64), tuple(rows))
    train, held_out = _split(whole, recipe.seed)
    classes, reader = Classes(_OUTPUTS, _OUTPUTS), of_classifier.reader
    return Corpus(train, held_out, classes, reader, of_classifier.invalid, tuple(notes), digest_of(train, held_out))


def _without(examples: Examples, judged: Sequence[Examples], notes: list[str]) -> Unlabelled:
    seen = {cells for part in judged for cells in part.texts.cells()}
    good = np.array([i for i, cells in enumerate(examples.texts.cells()) if cells not in seen], np.int64)
    if len(good) < len(examples):
        count = len(examples) - len(good)
        notes.append(f"{count:,} training texts are validation or test texts, too: left out (pretrain.judged: false)")
    return Unlabelled(examples.texts.select(good), tuple(examples.rows[int(i)] for i in good))


def _split(whole: Examples, seed: int) -> tuple[Examples, Examples]:
    """What is learned, and what perplexity is measured on; the same text is on one side."""
    different, text_of = np.unique(whole.texts.firsts(), return_inverse=True)
    if len(different) < 2:
        raise UserError("data.train: no two different texts are left to learn from, and to measure by; give more")
    count = min(max(1, round(_HELD_OUT * len(different))), _MOST_HELD_OUT)
    is_held_out = np.isin(text_of, np.random.default_rng(seed).permutation(len(different))[:count])
    return whole.select(np.flatnonzero(~is_held_out)), whole.select(np.flatnonzero(is_held_out))
