"""The recipe's section `augment`: changed copies of the training texts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accel_cls.recipe.section import Section, setting

Edit = Literal["delete", "swap", "typo"]


class Augment(Section):
    """Learn changed copies of the training texts, too, with the labels of these (EDA, Wei and Zou 2019).

    Validation and test rows are never changed. docs/craft.md says when it helps.
    """

    copies: int = setting(
        1,
        "a whole number from 1 to 16",
        "changed copies of each training text; an epoch has so many times as many texts more",
        "with none, nothing is augmented: leave the section out",
        ge=1,
        le=16,
    )
    edits: Annotated[list[Edit], Field(min_length=1)] = setting(
        ["delete", "swap"],
        "a list of 'delete', 'swap' and 'typo'",
        "how a copy is changed, by one of these, drawn: words left out, words that change places, letters in another "
        "order; of Chinese, characters left out, neighbours that change places, characters that sound alike",
    )
    share: float = setting(
        0.1,
        "a number above 0, 0.5 at most",
        "how much of a text is changed: this share of its words, or of its Chinese characters, one of them at least",
        "with more than half of it changed a text hardly says what its label says",
        gt=0,
        le=0.5,
    )
