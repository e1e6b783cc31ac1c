"""The weights of classes: named in a recipe, or balanced as a task has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from accel_cls.errors import UserError


def class_weights(
    rule: str | Mapping[str | int, float] | None, names: Sequence[str], balanced: Callable[[], np.ndarray]
) -> np.ndarray | None:
    """The weight of each class, float32 [classes]; None where all weigh the same.

    Args:
        rule: a recipe's `train.class_weights`.
        balanced: what "balanced" means, [classes].

    Raises:
        UserError: where the rule names other classes than these.
    """
    if rule is None:
        return None
    if isinstance(rule, str):
        return balanced().astype(np.float32)
    weights = {str(name): weight for name, weight in rule.items()}
    if set(weights) != set(names):
        raise UserError(
            f"train.class_weights: found weights for {', '.join(weights)}; expected one for each class: "
            f"{', '.join(names)}"
        )
    return np.array([weights[name] for name in names], np.float32)
