"""The recipe's section `few_shot`: learning from a few labelled texts of each class."""

from __future__ import annotations

from accel_cls.recipe.section import Section, setting


class FewShot(Section):
    """How a few labels are learned from: pairs of texts first, then the head (SetFit, Tunstall et al. 2022)."""

    examples: int | None = setting(
        None,
        "a whole number, 2 or more",
        "take so many training examples of each class, drawn by the seed; the others take no part and are not looked "
        "at. null takes all",
        "a pair of a class takes two texts",
        ge=2,
    )
    pairs: int = setting(
        20,
        "a whole number from 0 to 1000",
        "train the encoder on pairs of texts, of each text so many with one of its class and so many with one of "
        "another, or on all pairs where these are fewer; then the head is fitted by logistic regression. 0 trains as "
        "usual",
        "more pairs than a thousand a text are no longer few",
        ge=0,
        le=1000,
    )
