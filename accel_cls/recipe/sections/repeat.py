"""The recipe's section `repeat`: several trainings by one command."""

from __future__ import annotations

from accel_cls.recipe.section import Section, setting


class Repeat(Section):
    """How often it is trained, by one command: with several seeds, or with each part of the data held out once."""

    seeds: int | None = setting(
        None,
        "a whole number from 2 to 100",
        "train with so many seeds: seed, seed + 1 and so on, on the same rows; tells how far scores differ by chance",
        "one run has nothing to differ from",
        ge=2,
        le=100,
    )
    folds: int | None = setting(
        None,
        "a whole number from 2 to 100",
        "cut the training examples into so many parts, train as often, and validate on each part once; every example "
        "is answered by a model that has not seen it",
        "one part leaves nothing to train on",
        ge=2,
        le=100,
    )
