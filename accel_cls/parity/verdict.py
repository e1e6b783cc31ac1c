"""Is it the same training? Tolerances, and which differences are rounding that the recipe itself magnifies.

Two sums of the same numbers in another order differ in their last digit, and training can magnify that without end:
after some hundred updates at a high learning rate two runs that should be one differ in the second digit. A
tolerance alone would call that a fault, or, made wide enough, call a fault rounding. So a pair that is beyond the
tolerance is held against a control: the reference trained once more with a learning rate that is larger by half of
the precision's last digit. What the control shows at an update is what rounding has become there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from accel_cls.parity.cases import Pair
from accel_cls.parity.compare import Comparison

# A difference passes for rounding while it is at most this many times the control's largest so far. Measured on
# recipes/food.yaml, one process against two: 0.4 to 3 times in fp32; fp32 against bf16: up to 13 times in the first
# ten updates, then 1 to 3.
MAX_AMPLIFICATION = 15


@dataclass(frozen=True)
class Tolerance:
    """How large a difference may be without a control."""

    loss: float  # relative, of the loss and of the gradient's norm in each update
    weights: float  # |a - b| / |a| over all weights at the end
    weight: float  # the largest difference of a single weight
    probability: float  # the largest difference of a probability


# fp32 has 24 bits: rounding is 6e-8, and a loss is made by a dozen sums of some hundred terms. bf16 has 8 (2e-3) and
# fp16 11 (2e-4), in each matrix product; weights stay in fp32.
TOLERANCES = {
    "no": Tolerance(loss=1e-5, weights=1e-4, weight=1e-4, probability=1e-4),
    "bf16": Tolerance(loss=2e-2, weights=1e-2, weight=1e-2, probability=5e-2),
    "fp16": Tolerance(loss=5e-3, weights=1e-3, weight=1e-3, probability=1e-2),
}


@dataclass(frozen=True)
class Verdict:
    """Whether a pair is the same training."""

    pair: Pair
    comparison: Comparison
    control: Comparison | None  # the reference against its control, where one was needed
    mismatches: tuple[str, ...]  # what rounding can't explain; none where it is the same training

    @property
    def tolerance(self) -> Tolerance:
        """What a difference may be without a control."""
        return tolerance_of(self.pair)

    @property
    def diverges(self) -> int | None:
        """The first update beyond the tolerance."""
        return self.comparison.first_beyond(self.tolerance.loss)

    def __str__(self) -> str:
        if self.mismatches:
            return "DIFFERENT: " + "; ".join(self.mismatches)
        if not self.pair.case.same_cut and self.comparison.cut is None:
            return "the same, but so were the micro-batches, which proves nothing; take fewer train.micro_batch_tokens"
        if is_within(self.comparison, self.tolerance):
            return "the same"
        return "the same but for rounding, which this recipe magnifies as much by itself"

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        comparison, control = self.comparison, self.control
        return {
            "reference": self.pair.reference.name,
            "case": self.pair.case.name,
            "same": not self.mismatches,
            "verdict": str(self),
            "updates": comparison.updates,
            "first_other_examples": comparison.examples,
            "first_other_cut": comparison.cut,
            "first_diverging_update": self.diverges,
            "loss": float(comparison.loss.max()),
            "gradient_norm": float(comparison.gradient.max()),
            "weights": comparison.weights,
            "largest_weight": comparison.weight,
            "same_validation_rows": comparison.rows,
            "probability": comparison.probability,
            "control_loss": None if control is None else float(control.loss.max()),
            "control_gradient_norm": None if control is None else float(control.gradient.max()),
            "control_weights": None if control is None else control.weights,
        }


def tolerance_of(pair: Pair) -> Tolerance:
    """The tolerance of the lowest precision of a pair; a precision that is not known has bf16's."""
    return TOLERANCES.get(pair.precision, TOLERANCES["bf16"])


def is_within(comparison: Comparison, tolerance: Tolerance) -> bool:
    """Whether every number of a comparison is within a tolerance."""
    return (
        comparison.first_beyond(tolerance.loss) is None
        and comparison.weights <= tolerance.weights
        and comparison.weight <= tolerance.weight
        and comparison.probability <= tolerance.probability
    )


def plan_mismatches(pair: Pair, comparison: Comparison) -> list[str]:
    """What rounding can't explain: other examples, micro-batches, rates or validation rows."""
    mismatches = []
    if comparison.examples is not None:
        mismatches.append(f"update {comparison.examples} is made of other examples")
    elif comparison.cut is not None and pair.case.same_cut:
        mismatches.append(
            f"update {comparison.cut} is cut into other micro-batches, so that dropout draws otherwise; "
            "train.min_micro_batches with the largest number of processes prevents that"
        )
    if comparison.rate is not None:
        mismatches.append(f"update {comparison.rate} has another learning rate")
    if not comparison.rows:
        mismatches.append("other validation rows were evaluated, or some of them twice")
    return mismatches


def assess(pair: Pair, comparison: Comparison, control: Comparison | None) -> Verdict:
    """Reach a verdict; without a control, whatever is beyond the tolerance is a mismatch."""
    tolerance, mismatches = tolerance_of(pair), plan_mismatches(pair, comparison)
    allowed: np.ndarray | float = tolerance.loss
    weights, weight, probability = tolerance.weights, tolerance.weight, tolerance.probability
    if control is not None:
        amplified = np.maximum.accumulate(np.maximum(control.loss, control.gradient))
        allowed = np.maximum(allowed, MAX_AMPLIFICATION * amplified)
        weights = max(weights, MAX_AMPLIFICATION * control.weights)
        weight = max(weight, MAX_AMPLIFICATION * control.weight)
        probability = max(probability, MAX_AMPLIFICATION * control.probability)
    first = comparison.first_beyond(allowed)
    if first is not None:
        mismatches.append(
            f"update {first} has a loss {comparison.loss[first - 1]:.0e} and a gradient norm "
            f"{comparison.gradient[first - 1]:.0e} off"
        )
    elif comparison.weights > weights or comparison.weight > weight:
        mismatches.append(f"the weights differ by {comparison.weights:.0e}, one of them by {comparison.weight:.0e}")
    elif comparison.rows and comparison.probability > probability:
        mismatches.append(f"a probability differs by {comparison.probability:.0e}")
    return Verdict(pair, comparison, control, tuple(mismatches))
