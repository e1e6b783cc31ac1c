"""The recipe's section `decide`: by which rules answers become decisions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accel_cls.recipe.section import Section, setting

_Share = Annotated[float, Field(gt=0, lt=1)]
_Threshold = Annotated[float, Field(ge=0, le=1)]
_Shares = Annotated[dict[str | int, _Share], Field(min_length=1)]
_Thresholds = Annotated[dict[str | int, _Threshold], Field(min_length=1)]
_NOT_ALL = "at 0 nothing is asked for, and no number of rows promises 1"


class Decide(Section):
    """What is decided, and what is left to people: fitted on the validation answers at a run's end.

    The rules are saved with the model; `accel-cls predict` then writes a column `decision` (and `set`).
    docs/evaluation.md says what each rule promises.
    """

    precision: _Share | _Shares | None = setting(
        None,
        "a number between 0 and 1, or a mapping from class names to such numbers",
        "decide for these classes only where that is right so often, with a confidence of 95%; else abstain "
        "(with multi_label: the text is not said to have the class). A number is for every class",
        _NOT_ALL,
    )
    accuracy: _Share | None = setting(
        None,
        "a number between 0 and 1",
        "decide only where decisions, all together, are right so often, with a confidence of 95%; else abstain. Not "
        "for multi_label",
        _NOT_ALL,
    )
    abstain_below: _Share | None = setting(
        None,
        "a probability between 0 and 1",
        "decide only where the likeliest class has this probability or more; else abstain. Not for multi_label",
        "at 0 nothing is abstained from, at 1 from all",
    )
    threshold: Literal["f1"] | _Threshold | _Thresholds | None = setting(
        None,
        "'f1', a probability from 0 to 1, or a mapping from class names to such probabilities",
        "from which probability on a text has a class; 'f1' takes each class's threshold of the highest F1. Only for "
        "multi_label, where it is 0.5 for classes without one",
        "a probability is neither below 0 nor above 1",
    )
    coverage: _Share | None = setting(
        None,
        "a number between 0 and 1",
        "give each text a set of classes that holds the true one so often (split conformal prediction; over all "
        "texts, not within each class). Not for multi_label",
        "at 0 sets need hold nothing, at 1 they hold every class",
    )
