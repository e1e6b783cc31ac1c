"""A metric of the user's: module:function, from the current folder or installed.

It is called with labels, predictions and probabilities as numpy arrays, by keyword, and returns a number. A module of
the `evaluate` package will do, too: an object that has `compute(predictions=…, references=…)`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Any

from accel_cls.errors import UserError, shown
from accel_cls.evaluation.judged import Judged


@dataclass(frozen=True)
class OwnMetric:
    """A function of the user's as a metric."""

    name: str  # module:function
    function: Callable[..., Any]
    less_is_better: bool  # as the function says by an attribute of this name

    @classmethod
    @cache
    def named(cls, name: str) -> OwnMetric:
        """Import a function.

        Raises:
            UserError: where that is not possible, or it is nothing that computes a score.
        """
        module, _, attribute = name.partition(":")
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)  # as `python -m` has it
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:  # whatever the module does while it is imported
            raise UserError(
                f"evaluate.metrics: {name} can't be imported ({type(error).__name__}: {shown(str(error), 200)}); "
                f"expected a function {attribute} in {module}.py of the current folder, or in an installed module"
            ) from error
        compute = found if callable(found) else _as_function(found)
        if compute is None:
            raise UserError(f"evaluate.metrics: {name} is a {type(found).__name__}; expected a function")
        return cls(name, compute, bool(getattr(found, "less_is_better", False)))

    def __call__(self, judged: Judged) -> float:
        """The score of some rows.

        Raises:
            UserError: where the function raises, or gives no number.
        """
        arrays = {"labels": judged.labels, "predictions": judged.predicted, "probabilities": judged.probabilities}
        try:
            found = self.function(**arrays)
        except Exception as error:
            raise UserError(
                f"evaluate.metrics: {self.name} raised {type(error).__name__}: {shown(str(error), 200)}; it is called "
                "with labels, predictions and probabilities, numpy arrays by these names"
            ) from error
        if not isinstance(found, Real) or isinstance(found, bool):
            raise UserError(
                f"evaluate.metrics: {self.name} returned {shown(repr(found), 60)}; expected a number, such as a float"
            )
        return float(found)


def _as_function(module: Any) -> Callable[..., Any] | None:
    """An `evaluate.EvaluationModule`, which computes a mapping of one score; None for what is none."""
    compute = getattr(module, "compute", None)
    if compute is None:
        return None

    def score(labels: Any, predictions: Any, probabilities: Any) -> Any:
        (value,) = compute(predictions=predictions, references=labels).values()
        return value

    return score
