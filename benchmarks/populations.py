"""Classifiers on endless texts, of which a simulation draws rows: what a score truly is, is known."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.sums import ADDITIVE
from accel_cls.tasks.single_label import SingleLabel

FIVE = (0.5, 0.3, 0.12, 0.05, 0.03)  # shares of the classes: of 200 rows 6 are of the rarest
TWO = (0.7, 0.3)
METRICS = {  # as figures call them: the classes, and the metric's name
    "accuracy": (FIVE, "accuracy"),
    "macro F1": (FIVE, "f1_macro"),
    "MCC": (FIVE, "matthews_correlation"),
    "binary F1": (TWO, "f1_micro"),  # of the second class alone
}
_SIZES = (1, 1, 1, 1, 1, 1, 1, 2, 2, 4)  # texts that occur so often: of 15 rows 8 are of a text that others have, too


@dataclass(frozen=True)
class Population:
    """How often each class is there and each is predicted, float64 [classes, classes]."""

    joint: np.ndarray

    @classmethod
    def of(cls, accuracy: float, shares: tuple[float, ...]) -> Population:
        """Rare classes have more faults, by the power -0.3: the rarest of FIVE twice as many as all have."""
        share = np.array(shares)
        wrong = (1 - accuracy) * share**-0.3 / (share @ share**-0.3)
        said = share * (1 - np.eye(len(share)))
        return cls((share * wrong)[:, None] * said / said.sum(1, keepdims=True) + np.diag(share * (1 - wrong)))

    def score(self, name: str) -> float:
        """What a metric truly is, by its name in METRICS."""
        hits, true, predicted = np.diag(self.joint), self.joint.sum(1), self.joint.sum(0)
        if name == "accuracy":
            return float(hits.sum())
        some = slice(1, 2) if name == "binary F1" else slice(None)
        return float(ADDITIVE[METRICS[name][1]].value(np.concatenate([hits[some], true[some], predicted[some]])))

    def differing(self, second: Population) -> tuple[float, float]:
        """How often a text is right by this one alone, and by a second one alone that shares half of its answers."""
        true = self.joint.sum(1)
        right, its = (np.diag(one.joint) / true for one in (self, second))
        return float(true @ (right * (1 - its))) / 2, float(true @ ((1 - right) * its)) / 2

    def draw(self, texts: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """True and predicted classes of some texts, int64 [texts] each."""
        return divmod(draw.choice(self.joint.size, texts, p=self.joint.ravel()), len(self.joint))

    def answer(self, true: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Predicted classes of texts with these true ones, int64 [texts] each."""
        chances = self.joint / self.joint.sum(1, keepdims=True)
        least = chances.cumsum(1)[true] < draw.random(len(true))[:, None]
        return least.sum(1).clip(max=len(chances) - 1)


@dataclass(frozen=True)
class Margins:
    """Texts of two classes whose right one is ahead by a normal margin, in logits: some are sure, and wrong."""

    accuracy: float
    _SPREAD = 2.5  # of the margins

    @property
    def mean(self) -> float:
        """Of the margins."""
        return self._SPREAD * NormalDist().inv_cdf(self.accuracy)

    @property
    def loss(self) -> float:
        """The mean cross-entropy."""
        at = np.linspace(-10, 10, 4001)
        weight = np.exp(-np.square(at) / 2)
        return float(weight @ np.logaddexp(0, -(self.mean + self._SPREAD * at)) / weight.sum())

    def judged(self, normal: np.ndarray) -> Judged:
        """What the model says of texts, of normal numbers, float64 [texts]; the right class is the first one."""
        margins = (self.mean + self._SPREAD * normal).astype(np.float32)
        logits = np.stack([margins, np.zeros_like(margins)], axis=1)
        return Judged.of(SingleLabel(), np.zeros(len(normal), np.int64), logits)


def judged(true: np.ndarray, predicted: np.ndarray, shares: tuple[float, ...]) -> Judged:
    """As a single-label task has it; of TWO as a multi-label one with the second class alone: `f1_micro` is its F1."""
    if shares == TWO:
        true, predicted = (ids[:, None].astype(np.float64) for ids in (true, predicted))
    nothing = np.zeros((len(true), 1 if shares == TWO else len(shares)))  # that is read by these metrics
    return Judged(true, predicted, nothing, nothing.astype(np.float32), nothing.shape[1])


def texts_of_rows(texts: int, has_copies: bool, draw: np.random.Generator) -> np.ndarray:
    """Which text each row has, int64 [rows]: its own, or some occur several times."""
    return np.repeat(np.arange(texts), draw.choice(_SIZES, texts)) if has_copies else np.arange(texts)
