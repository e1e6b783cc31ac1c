"""The 95% interval of a mean, of rows that are each independent of the others."""

from __future__ import annotations

from math import sqrt

import numpy as np


def mean_interval(scores: np.ndarray) -> tuple[float, float]:
    """95% of a mean: Wilson's of a share, Student's of amounts. Of bool [rows] or numbers."""
    from scipy.stats import binomtest, t  # slow to import, and needed once a run

    if scores.dtype == bool:
        found = binomtest(int(scores.sum()), len(scores)).proportion_ci(method="wilson")
        return float(found.low), float(found.high)
    margin = t.ppf(0.975, max(1, len(scores) - 1)) * scores.std(ddof=len(scores) > 1) / sqrt(len(scores))
    return float(scores.mean() - margin), float(scores.mean() + margin)
