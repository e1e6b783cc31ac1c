"""Confident learning (Northcutt, Jiang and Chuang 2021): which labels a model's out-of-sample answers speak against.

A class's threshold is what the model gives it on average where the label says so. Where another class is above its own
threshold, the example is counted as one of that class: these counts, scaled to the number of labels, estimate how many
examples of each label are in truth of each class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Doubts:
    """What out-of-sample answers say of given answers."""

    confidence: np.ndarray  # float64 [examples], the probability of the given answer: the least are doubted the most
    suggestion: np.ndarray  # int64 [examples], the likeliest of the other answers
    is_doubted: np.ndarray  # bool [examples]: the suggestion is likelier than what is given
    joint: np.ndarray  # float64 [answers, answers]: how many examples with a label, a row, are in truth of each class

    @property
    def wrong(self) -> float:
        """How many labels are wrong, by that estimate."""
        return float(self.joint.sum() - np.trace(self.joint))


def doubts_of(given: np.ndarray, probabilities: np.ndarray) -> Doubts:
    """Doubt answers.

    Args:
        given: int64 [examples].
        probabilities: float64 [examples, answers], of a model that has not seen the example.
    """
    rows, answers = np.arange(len(given)), probabilities.shape[1]
    confidence = probabilities[rows, given]
    others = probabilities.copy()
    others[rows, given] = -1
    suggestion = others.argmax(1)
    is_doubted = others[rows, suggestion] > confidence
    return Doubts(confidence, suggestion, is_doubted, _joint(given, probabilities, answers))


def _joint(given: np.ndarray, probabilities: np.ndarray, answers: int) -> np.ndarray:
    counts = np.bincount(given, minlength=answers)
    sums = np.bincount(given, probabilities[np.arange(len(given)), given], minlength=answers)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    above = np.where(probabilities >= thresholds, probabilities, -1)
    is_confident = above.max(1) >= 0
    joint = np.zeros((answers, answers))
    np.add.at(joint, (given[is_confident], above.argmax(1)[is_confident]), 1)
    joint[np.diag_indices(answers)] += joint.sum(1) == 0  # a class without a confident example is taken as it is
    return joint / joint.sum(1, keepdims=True) * counts[:, None]
