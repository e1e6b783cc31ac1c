"""Naive Bayes by scikit-learn: what is asked of texts whose labels are in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accel_cls.tasks.linear import NEVER
from accel_cls.tasks.task import Predictor

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_SMOOTHING = 0.2  # added to the weight of each n-gram in each class; with 0.1 to 0.5 as many wrong labels are found


def fit_bayes_of_classes(features: csr_matrix, labels: np.ndarray, classes: int) -> Predictor:
    """Multinomial naive Bayes: log probabilities of each text, float32 [texts, classes]; see `Task.fit_bayes`."""
    from sklearn.naive_bayes import MultinomialNB

    model = MultinomialNB(alpha=_SMOOTHING).fit(features, labels)

    def predict(texts: csr_matrix) -> np.ndarray:
        logits = np.full((texts.shape[0], classes), NEVER, np.float32)
        logits[:, model.classes_] = np.maximum(model.predict_log_proba(texts), NEVER / 2)
        return logits

    return predict


def fit_bayes_of_indicators(features: csr_matrix, labels: np.ndarray) -> Predictor:
    """One for each class, whether texts have it: logits of each text, float32 [texts, classes]."""
    models = [fit_bayes_of_classes(features, column.astype(np.int64), 2) for column in labels.T]
    return lambda texts: np.stack([np.subtract(*predict(texts).T[::-1]) for predict in models], axis=1)
