"""The recipe's section `pretrain`: masked language modelling on the recipe's own texts, before it is trained."""

from __future__ import annotations

from accel_cls.recipe.section import Section, setting
from accel_cls.recipe.sections.data import Files


class Pretrain(Section):
    """How `accelerate launch -m accel_cls.pretrain RECIPE` trains the encoder on texts, without labels.

    Masked language modelling (Devlin et al. 2019; on texts of the task: Gururangan et al. 2020). What the classifier's
    own training makes of the recipe does not follow from this section.
    """

    texts: Files | None = setting(
        None,
        "a file, a glob or a list of files",
        "more texts, in the columns of data.text, besides the training examples'",
    )
    judged: bool = setting(
        False,
        "true or false",
        "learn from the texts of data.validation and data.test, too, without their labels; else such texts are left "
        "out wherever they stand",
    )
    epochs: int = setting(
        3, "a whole number, 1 or more", "passes over the texts", "with none, nothing is learned", ge=1
    )
    learning_rate: float | None = setting(
        None,
        "a number above 0 and up to 1, or null",
        "peak rate; null is 5e-5, and 5e-4 where the model is built from the recipe",
        "at 0 nothing is learned",
        gt=0,
        le=1,
    )
    mask: float = setting(
        0.15,
        "a number from 0.01 to 0.5",
        "the share of a text's tokens that are to be guessed: 8 of 10 hidden, 1 replaced by another, 1 left as it is",
        "of fewer hardly anything is learned, and with more too little is left to guess by",
        ge=0.01,
        le=0.5,
    )
    whole_words: bool = setting(
        True,
        "true or false",
        "choose whole words, not single pieces of them; of Chinese as jieba cuts it, where that is installed",
    )
