"""How far a model's answers are from a teacher's: what is learned of a teacher, for each kind of label.

The square of the temperature is in it, as Hinton et al. (2015) have it: gradients of softened answers are smaller by
just that, and with it the share of a teacher in the loss means the same at any temperature.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import log_softmax, logsigmoid

# Of logits and the teacher's, float32 [R, outputs] both: each row's loss, float32 [R]; 0 where both say the same.
SoftLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def softmax_divergence(temperature: float) -> SoftLoss:
    """The Kullback-Leibler divergence from the teacher's softened distribution over the classes."""

    def losses(logits: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        ours, theirs = log_softmax(logits / temperature, 1), log_softmax(teacher / temperature, 1)
        return temperature**2 * (theirs.exp() * (theirs - ours)).sum(1)

    return losses


def sigmoid_divergence(temperature: float) -> SoftLoss:
    """The same of each class by itself, whether a text has it; their mean, as the task's loss is one over classes."""

    def losses(logits: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        ours, theirs = logits / temperature, teacher / temperature
        has = theirs.sigmoid() * (logsigmoid(theirs) - logsigmoid(ours))
        has_not = (-theirs).sigmoid() * (logsigmoid(-theirs) - logsigmoid(-ours))
        return temperature**2 * (has + has_not).mean(1)

    return losses


def squared_difference(deviation: float) -> SoftLoss:
    """The squared difference of two numbers, in units of a deviation, as that to a label is measured."""
    return lambda logits, teacher: ((logits - teacher)[:, 0] / deviation).square()
