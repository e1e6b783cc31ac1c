"""Thresholds and what they promise: by hand, and as properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from accel_cls.evaluation.deciding.thresholds import (
    conformal_threshold,
    coverage_range,
    f1_threshold,
    promised_threshold,
    rows_for,
    rows_for_coverage,
)


def test_rows_that_it_takes_are_those_of_the_exact_bound() -> None:
    """0.95^59 is 0.0485: of 59 rows, all right, less than 0.95 would be seen in less than 5 of 100 draws."""
    assert (rows_for(0.95), rows_for(0.99), rows_for(0.5)) == (59, 299, 5)
    scores = np.linspace(1, 0.5, 59)
    assert promised_threshold(scores, np.ones(59, bool), 0.95).threshold == 0.0
    few = promised_threshold(scores[:58], np.ones(58, bool), 0.95)
    assert few.threshold is None
    assert few.bound == pytest.approx(0.05 ** (1 / 58))
    assert promised_threshold(np.array([]), np.array([], bool), 0.95).threshold is None


def test_threshold_by_hand() -> None:
    """The first 200 by probability are right, the other 200 wrong, which makes one in two of all."""
    scores = np.linspace(1, 0.01, 400)
    right = np.arange(400) < 200
    found = promised_threshold(scores, right, 0.9)
    taken = int((scores >= found.threshold).sum())
    # Four starts: 400, 200, 100, 50; 25 could not be enough with a fifth of the risk. So each has a quarter of 5%.
    assert beta.ppf(0.05 / 4, 200, taken - 199) >= 0.9 > beta.ppf(0.05 / 4, 200, taken - 198)
    assert found.bound == pytest.approx(beta.ppf(0.05 / 4, 200, taken - 199))
    assert found.threshold == pytest.approx((scores[taken - 1] + scores[taken]) / 2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 300), st.sampled_from([0.6, 0.8, 0.95]))
def test_what_is_promised_is_the_bound_of_what_lies_above_the_threshold(seed: int, rows: int, target: float) -> None:
    draw = np.random.default_rng(seed)
    scores = np.round(draw.random(rows), 2)  # with ties
    right = draw.random(rows) < scores
    found = promised_threshold(scores, right, target)
    if found.threshold is None:
        assert found.bound < target
        return
    above = scores >= found.threshold
    hits, count = int(right[above].sum()), int(above.sum())
    assert found.bound >= target
    assert hits / count > target
    assert binom.sf(hits - 1, count, target) <= 0.05  # so many right would be rare, were it less
    again = promised_threshold(scores[::-1], right[::-1], target)
    assert again == found  # whatever the order of the rows


def test_more_evidence_is_a_lower_threshold() -> None:
    draw = np.random.default_rng(0)
    scores = draw.random(400)
    right = draw.random(400) < scores**0.1
    once, twice = (promised_threshold(scores, right, 0.9, weight=weight).threshold for weight in (1.0, 2.0))
    assert once is not None
    assert twice is not None
    assert twice < once


def test_threshold_of_the_best_f1_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, *[0.5] * 6, *[0.4] * 2, *[0.1] * 18])
    true = np.array([True, True, False, True, *[True] * 6, *[True, False], *[False] * 18])
    # Down to 0.5: 9 of 10 are right, 9 of 10 found; down to 0.4 10 of 12 and all.
    assert f1_threshold(scores, true) == pytest.approx((0.4 + 0.1) / 2)
    assert f1_threshold(scores[:12], true[:12]) is None  # 2 have it not


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_no_threshold_has_a_better_f1(seed: int) -> None:
    draw = np.random.default_rng(seed)
    scores = np.round(draw.random(80), 2)
    true = draw.random(80) < scores

    def f1(threshold: float) -> float:
        said = scores >= threshold
        return 2 * (said & true).sum() / (said.sum() + true.sum())

    found = f1_threshold(scores, true)
    if found is not None:
        assert f1(found) == pytest.approx(max(f1(one) for one in scores))


def test_conformal_threshold_by_hand() -> None:
    """Of 19 rows, and one more, two of twenty may be missed: the second least probability is the threshold."""
    of_true = np.arange(1, 20) / 20
    assert conformal_threshold(of_true, 0.9) == pytest.approx((0.1 + 0.05) / 2)
    assert (of_true >= conformal_threshold(of_true, 0.9)).sum() == 18
    assert rows_for_coverage(0.9) == 9
    assert conformal_threshold(of_true[:9], 0.9) == pytest.approx(0.025)
    assert conformal_threshold(of_true[:8], 0.9) == 0
    low, high = coverage_range(999, 0.9)
    assert (low, high) == pytest.approx((beta.ppf(0.05, 900, 100), beta.ppf(0.95, 900, 100)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(9, 200), st.sampled_from([0.5, 0.8, 0.9]))
def test_sets_hold_enough_of_the_rows_they_are_made_by(seed: int, rows: int, coverage: float) -> None:
    of_true = np.random.default_rng(seed).random(rows)
    held = (of_true >= conformal_threshold(of_true, coverage)).sum()
    assert held >= coverage * (rows + 1) - 1e-9  # one more than its share of these
    assert held <= coverage * (rows + 1) + 1
