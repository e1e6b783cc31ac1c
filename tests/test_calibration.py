"""A temperature: what it is by hand, what it never changes, and when there is none."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_cls.evaluation.deciding.calibration import (
    NONE,
    calibrate,
    fit_temperature,
    folds_of,
    one_of_each,
    quality,
    reliability,
)


def drawn(rows: int, classes: int = 3, temperature: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `temperature` times too large, and labels drawn by what is true."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (rows, classes))
    labels = (logits + draw.gumbel(size=logits.shape)).argmax(1)
    return (logits * temperature).astype(np.float32), labels


def test_temperature_of_two_classes_by_hand() -> None:
    """The logit's distance is 2 everywhere, and 3 of 4 rows are right: log 3 is what it should be."""
    logits = np.tile(np.array([[2.0, 0.0]], np.float32), (4, 1))
    assert fit_temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx([2 / log(3)], rel=1e-5)
    decisions = np.full((4, 1), 2.0, np.float32)
    assert fit_temperature(decisions, np.array([[1.0], [1], [1], [0]])) == pytest.approx([2 / log(3)], rel=1e-5)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_by_which_logits_were_spoiled_is_found(true: float) -> None:
    logits, labels = drawn(4000, temperature=true)
    found = calibrate(logits, labels, np.arange(4000))
    assert fit_temperature(logits, labels) == pytest.approx([true], rel=0.1)
    if true != 1:
        assert found.why_none is None
        assert found.temperature == pytest.approx([true], rel=0.1)
        assert found.after is not None
        assert found.after["ece"] < found.before["ece"] / 2


def test_classes_with_rows_enough_have_temperatures_of_their_own() -> None:
    draw = np.random.default_rng(1)
    logits = draw.normal(0, 2, (3000, 3))
    labels = (draw.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    labels[:, 2] = 0
    labels[:20, 2] = 1  # too few
    found = fit_temperature((logits * [0.5, 3, 1]).astype(np.float32), labels)
    assert found[:2] == pytest.approx([0.5, 3], rel=0.15)
    assert found[2] not in (found[0], found[1])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 20))
def test_no_prediction_changes(seed: int, temperature: float) -> None:
    from accel_cls.evaluation.deciding.postprocessing import Postprocessing
    from accel_cls.tasks import MultiLabel, SingleLabel

    logits = np.random.default_rng(seed).normal(0, 3, (50, 4)).astype(np.float32)
    for task in (SingleLabel(), MultiLabel()):
        plain, cooled = (Postprocessing(one).answer(task, logits) for one in ((1.0,), (temperature,)))
        assert np.array_equal(plain.predicted, cooled.predicted)
        if isinstance(task, SingleLabel):
            assert np.array_equal(cooled.probabilities.argmax(1), plain.predicted)


def test_no_temperature_for_few_rows_few_mistakes_and_where_it_makes_it_worse() -> None:
    logits, labels = drawn(99, temperature=3)
    few = calibrate(logits, labels, np.arange(99))
    assert (few.why_none, few.after) == ("99 distinct texts; a temperature takes 100 or more", None)
    logits, labels = drawn(200, temperature=3)
    copies = calibrate(logits, labels, np.arange(200) // 4)
    assert copies.why_none == "50 distinct texts; a temperature takes 100 or more"
    right = calibrate(logits, logits.argmax(1), np.arange(200))
    assert right.why_none == "0 mistakes in 200 distinct texts; a temperature takes 10 or more"
    seeds = [drawn(150, seed=seed) for seed in range(20)]
    found = [calibrate(logits, labels, np.arange(150)) for logits, labels in seeds]  # nothing is to be mended
    worse = [one for one in found if one.after is not None and one.after["log_loss"] >= one.before["log_loss"]]
    assert worse
    for one in found:
        assert (one.why_none is not None) == (one in worse)
        assert one in worse or one.temperature != NONE
        assert one not in worse or "would become" in str(one.why_none)


def test_rows_are_judged_by_temperatures_they_had_no_part_in() -> None:
    logits, labels = drawn(500, temperature=2)
    groups = np.arange(500) // 2
    found = calibrate(logits, labels, groups)
    folds = folds_of(groups)
    assert (np.bincount(folds) == 100).all()
    assert all(len({*folds[groups == group].tolist()}) == 1 for group in range(250))
    by_hand = np.empty_like(logits, np.float64)
    for fold in range(5):
        by_hand[folds == fold] = logits[folds == fold] / fit_temperature(logits[folds != fold], labels[folds != fold])
    assert found.after == quality(by_hand, labels)


def test_bins_are_those_of_the_calibration_error() -> None:
    logits, labels = drawn(300, temperature=2)
    for labelled in (labels, (labels[:, None] == np.arange(3)).astype(np.float32)):
        found = quality(logits, labelled)
        bins = found["reliability"]
        rows = [*zip(bins["count"], bins["confidence"], bins["right"], strict=True)]
        error = sum(n * abs(sure - right) for n, sure, right in rows if n) / sum(bins["count"])
        assert found["ece"] == pytest.approx(error, abs=1e-12)


def test_bins_by_hand() -> None:
    """Each bin has its upper end; 1/15 is the first one's, and certainty the last one's."""
    bins = reliability(np.array([1 / 15, 0.0, 0.5, 1.0, 0.95]), np.array([True, False, True, True, False]))
    assert bins["count"] == [2, *[0] * 6, 1, *[0] * 6, 2]
    assert bins["confidence"][0] == pytest.approx(1 / 30)
    assert bins["confidence"][1] is None
    assert bins["right"][0] == 0.5
    assert len(bins["right"]) == 15


def test_of_copies_the_first_counts() -> None:
    assert one_of_each(np.array([0, 1, 0, 2, 1])).tolist() == [0, 1, 3]
