"""What a recipe's section `decide` asks for, by the ids of classes; whether there are rows enough to promise it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from accel_cls.data.corpus import Corpus
from accel_cls.errors import UserError
from accel_cls.evaluation.deciding.decisions import Rules
from accel_cls.evaluation.deciding.thresholds import CONFIDENCE, rows_for, rows_for_coverage
from accel_cls.recipe.rules.decisions import unknown_classes
from accel_cls.recipe.sections.decide import Decide

_MORE = "ask for less, or give more rows (data.validation)"


def require_decidable(decide: Decide | None, corpus: Corpus) -> None:
    """Refuse rules of classes that data have not, and promises that even a model without a fault could not give.

    Raises:
        UserError: with what there is, and how much it takes.
    """
    if decide is not None:
        names, rows = corpus.classes.names, len(corpus.validation)
        require_rows(rules_of(decide, names), names, corpus.class_counts(corpus.validation), rows)


def rules_of(decide: Decide, names: Sequence[str]) -> Rules:
    """The rules, of classes with these names.

    Raises:
        UserError: for a class that there is not.
    """
    for key, said in unknown_classes(decide, names):
        raise UserError(f"decide.{key}: {said}")
    ids = {name: i for i, name in enumerate(names)}

    def by_id(rule: Mapping[str | int, float] | float | str | None) -> dict[int, float]:
        if isinstance(rule, Mapping):
            return {ids[str(name)]: value for name, value in rule.items()}
        return dict.fromkeys(ids.values(), rule) if isinstance(rule, int | float) else {}

    precision, f1 = by_id(decide.precision), decide.threshold == "f1"
    thresholds = {at: one for at, one in by_id(decide.threshold).items() if at not in precision}
    return Rules(precision, decide.accuracy, decide.abstain_below, thresholds, f1, decide.coverage)


def require_rows(rules: Rules, names: Sequence[str], counts: np.ndarray, rows: int) -> None:
    """Refuse what could not be promised even if the model were right about every validation row.

    Args:
        rules: of a recipe.
        names: of the classes.
        counts: int64 [classes], the validation rows that have each class.
        rows: how many there are.

    Raises:
        UserError: with how many it takes.
    """
    sure = f"with a confidence of {CONFIDENCE:.0%}"
    for at, target in rules.precision.items():
        if counts[at] < (needed := rows_for(target)):
            raise UserError(
                f"decide.precision: {names[at]} has {counts[at]:,} validation rows; to promise {target:g} {sure} "
                f"takes {needed:,} or more, all of them right; {_MORE}"
            )
    if rules.accuracy is not None and rows < (needed := rows_for(rules.accuracy)):
        raise UserError(
            f"decide.accuracy: there are {rows:,} validation rows; to promise {rules.accuracy:g} {sure} takes "
            f"{needed:,} or more, all of them right; {_MORE}"
        )
    if rules.coverage is not None and rows < (needed := rows_for_coverage(rules.coverage)):
        raise UserError(
            f"decide.coverage: there are {rows:,} validation rows; to promise {rules.coverage:g} takes {needed:,} or "
            f"more; {_MORE}"
        )
