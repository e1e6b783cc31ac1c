"""The weights of classes: named in a recipe, or by a rule as a task has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from accel_cls.errors import UserError
from accel_cls.recipe.sections.train import Train


def class_weights(
    train: Train, names: Sequence[str], inverse: Callable[[Callable[[np.ndarray], np.ndarray]], np.ndarray]
) -> np.ndarray | None:
    """The weight of each class, float32 [classes]; None where all weigh the same.

    Args:
        train: with `class_weights`: weights by name, or by which size of a class they are inverse to it.
        names: of the classes.
        inverse: the weights, [classes], given what makes sizes of counts, int [...].

    Raises:
        UserError: where the recipe names other classes than these.
    """
    rule = train.class_weights
    if rule is None:
        return None
    if rule == "balanced":
        return inverse(lambda counts: counts).astype(np.float32)
    if rule == "effective":
        return inverse(lambda counts: effective_number(counts, train.effective_beta)).astype(np.float32)
    weights = {str(name): weight for name, weight in rule.items()}
    if set(weights) != set(names):
        raise UserError(
            f"train.class_weights: found weights for {', '.join(weights)}; expected one for each class: "
            f"{', '.join(names)}"
        )
    return np.array([weights[name] for name in names], np.float32)


def effective_number(counts: np.ndarray, beta: float) -> np.ndarray:
    """(1 - beta^n) / (1 - beta): of n examples drawn from a finite space, how many are new (Cui et al. 2019)."""
    return np.asarray(-np.expm1(counts * np.log(beta)) / (1 - beta))
