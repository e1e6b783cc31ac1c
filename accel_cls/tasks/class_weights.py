"""Class weights as a recipe names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from accel_cls.errors import UserError


def named_weights(rule: Mapping[str | int, float], names: Sequence[str]) -> np.ndarray:
    """The weight of each class, float32 [classes]. Raises UserError where the rule does not name just the classes."""
    weights = {str(name): weight for name, weight in rule.items()}
    if set(weights) != set(names):
        raise UserError(
            f"train.class_weights: found weights for {', '.join(weights)}; expected one for each class: "
            f"{', '.join(names)}"
        )
    return np.array([weights[name] for name in names], np.float32)
