"""How sure scores are, and differences of two models on the same rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import bootstrap, chi2, permutation_test

from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.statistics import resampling
from accel_cls.evaluation.statistics.differences import differences
from accel_cls.evaluation.statistics.intervals import intervals
from accel_cls.evaluation.statistics.paired import holm, paired_difference
from accel_cls.evaluation.statistics.power import resolution
from accel_cls.evaluation.statistics.resampling import bca, draws, regroup
from benchmarks.populations import FIVE, Population, judged

CLASSES = 4


def some_rows(rows: int, accuracy: float, seed: int = 0) -> Judged:
    """Predictions of four classes, as often right as it says."""
    draw = np.random.default_rng(seed)
    true = draw.integers(CLASSES, size=rows)
    logits = draw.normal(size=(rows, CLASSES)).astype(np.float32)
    said = np.where(draw.random(rows) < accuracy, true, draw.integers(CLASSES, size=rows))
    logits[np.arange(rows), said] += 6
    p = np.exp(logits.astype(np.float64))
    return Judged(true, logits.argmax(1), p / p.sum(1, keepdims=True), logits, CLASSES)


def right(count: int, rows: int) -> Judged:
    """Of two classes, of which the first is there alone."""
    said = (np.arange(rows) >= count).astype(np.int64)
    nothing = np.zeros((rows, 2))
    return Judged(np.zeros(rows, np.int64), said, nothing, nothing.astype(np.float32), 2)


def twice(one: Judged) -> Judged:
    return one.select(np.repeat(np.arange(len(one)), 2))


def test_interval_of_a_share_is_wilsons() -> None:
    assert intervals(["accuracy"], right(90, 100))["accuracy"] == pytest.approx((0.82563, 0.94477), abs=1e-5)


def test_copies_of_rows_are_no_evidence() -> None:
    """Each row twice makes intervals narrower, unless it is known that they are copies."""
    one, names = some_rows(300, 0.8), ["accuracy", "f1_macro", "log_loss"]
    once, copied = intervals(names, one), intervals(names, twice(one), np.repeat(np.arange(300) * 7, 2))
    as_rows = intervals(names, twice(one))
    for name in names:
        (low, high), (low_copied, high_copied), (low_rows, high_rows) = once[name], copied[name], as_rows[name]
        assert high_copied - low_copied == pytest.approx(high - low, rel=0.02)
        assert high_rows - low_rows == pytest.approx((high - low) / 2**0.5, rel=0.1)


def test_where_no_row_is_wrong_only_a_share_has_an_interval() -> None:
    found = intervals(["accuracy", "f1_macro"], right(100, 100))
    assert found["accuracy"] == pytest.approx((0.96300, 1), abs=1e-5)
    assert found["f1_macro"] is None
    low, _ = intervals(["accuracy"], right(100, 100), np.arange(100) // 2)["accuracy"]
    assert low == pytest.approx(intervals(["accuracy"], right(50, 50))["accuracy"][0])


def test_where_no_row_is_wrong_a_mean_over_classes_has_the_interval_of_fewer_rows() -> None:
    true = np.repeat([0, 1, 2, 3], [150, 30, 15, 5])
    all_right = replace(some_rows(200, 1.0), labels=true, predicted=true)
    found = intervals(["accuracy", "f1_micro", "f1_macro"], all_right)
    assert found["f1_micro"] == pytest.approx(found["accuracy"])
    weight = sum(1 / count for count in (150, 30, 15, 5)) / 16  # four classes: 1 / (4 count) of each, by itself
    assert found["f1_macro"] == pytest.approx((1 / (1 + 1.96**2 * weight), 1), abs=1e-3)
    copied = intervals(["f1_macro"], twice(all_right), np.repeat(np.arange(200), 2))
    assert copied["f1_macro"] == pytest.approx(found["f1_macro"], abs=1e-9)


def test_bca_is_scipys() -> None:
    values = np.random.default_rng(0).lognormal(size=60)
    expected = bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    drawn = np.concatenate([weights @ values / 60 for weights in draws(60, 20_000)])
    found = bca(values.mean(), drawn, (values.sum() - values) / 59)
    assert found == pytest.approx((expected.low, expected.high), rel=0.02)


def test_own_metric_has_the_interval_of_the_same_one_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "def share(labels, predictions, probabilities):\n    return (labels == predictions).mean() ** 2\n"
    Path("squared_share.py").write_text(code, encoding="utf-8")
    one, name = some_rows(400, 0.7), "squared_share:share"
    found = intervals([name, "accuracy"], one)
    assert found[name] == pytest.approx(tuple(np.square(found["accuracy"])), abs=0.012)
    assert found == intervals([name, "accuracy"], one)  # no chance is in it


def test_undefined_metric_has_no_interval() -> None:
    one_class = right(50, 50)
    assert intervals(["roc_auc"], one_class)["roc_auc"] is None
    assert differences(["roc_auc"], one_class, one_class)["roc_auc"] is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_CELLS", 1000)
    sizes = [weights.shape for weights in draws(300, 10)]
    assert sizes == [(3, 300), (3, 300), (3, 300), (1, 300)]
    assert all(weights.sum(1).tolist() == [5000.0] for weights in draws(5000, 4))


def test_intervals_hold_what_is_true_as_often_as_they_say() -> None:
    draw, population, held = np.random.default_rng(0), Population.of(0.9, FIVE), 0
    for _ in range(150):
        found = intervals(["f1_macro"], judged(*population.draw(300, draw), FIVE))["f1_macro"]
        held += found[0] <= population.score("macro F1") <= found[1]
    assert 0.91 < held / 150 < 0.99


def test_groups_have_any_numbers() -> None:
    assert regroup(np.array([7, 3, 7, 900])).tolist() == [1, 0, 1, 2]


def test_mid_p_of_few_rows_is_exact() -> None:
    """Three of three for the first: of eight ways to flip them two are as far apart."""
    first, second = np.zeros(50), np.zeros(50)
    first[:3] = 1
    assert paired_difference(first, second).p == pytest.approx(2 / 8 / 2)
    first[0], second[0] = 0, 1
    second[10] = 1  # two for each
    assert paired_difference(first, second).p == pytest.approx(1 - 6 / 16 / 2)


def right_alone(won: int, lost: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether rows are right, of two models: some of the first alone, some of the second alone."""
    at = np.arange(rows)
    return at < won, (at >= won) & (at < won + lost)


@pytest.mark.parametrize(("won", "lost"), [(12, 2), (4, 0), (0, 1), (0, 0)])
def test_interval_of_two_shares_is_what_a_score_test_would_not_reject(won: int, lost: int) -> None:
    """At each end the statistic is 1.96, with what is likeliest of the rest found by search."""
    rows = 50
    found = paired_difference(*right_alone(won, lost, rows))

    def statistic(difference: float) -> float:
        def unlikely(only_second: float) -> float:
            shares = [only_second + difference, only_second, 1 - difference - 2 * only_second]
            return -xlogy([won, lost, rows - won - lost], np.clip(shares, 1e-300, None)).sum()

        bounds = (max(0.0, -difference), (1 - difference) / 2)
        only_second = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x
        variance = rows * (2 * only_second + difference - difference**2)
        return (won - lost - rows * difference) / variance**0.5

    assert [statistic(end) for end in (found.low, found.high)] == pytest.approx([1.96, -1.96], abs=1e-3)


def test_test_and_interval_of_two_shares_say_the_same() -> None:
    """Of 4 rows to none, 7 to 1, 20 to 9 a p under 0.05, whatever the rows that are alike; of one row less none."""
    for won, lost in ((4, 0), (7, 1), (20, 9)):
        seen, less = (paired_difference(*right_alone(some, lost, 300)) for some in (won, won - 1))
        assert seen.p < 0.05 < less.p
        assert less.low < 0 < seen.low
    assert paired_difference(*right_alone(9, 4, 300)).p == pytest.approx(chi2.sf(25 / 13, 1))


def test_copies_of_rows_prove_nothing_in_a_test() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.random(400) < 0.85, draw.random(400) < 0.78
    once = paired_difference(first, second)
    copied = paired_difference(np.repeat(first, 2), np.repeat(second, 2), np.repeat(np.arange(400), 2))
    as_rows = paired_difference(np.repeat(first, 2), np.repeat(second, 2))
    assert copied.p == pytest.approx(once.p)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=0.001)
    assert as_rows.p < once.p - 0.01
    assert as_rows.high - as_rows.low < 0.8 * (once.high - once.low)


def test_groups_of_several_sizes_are_flipped_as_scipy_flips_them() -> None:
    draw = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), draw.integers(1, 4, 60))
    errors = [-np.abs(draw.normal(shift, 1, 60))[groups] for shift in (0.0, 0.3)]
    sums = np.bincount(groups, weights=errors[0] - errors[1])
    expected = permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=20_000, rng=0).pvalue
    found = paired_difference(*errors, groups)
    assert found.p == pytest.approx(expected, abs=0.015)
    assert found.low < found.difference < found.high


def test_difference_of_any_metric() -> None:
    names = ["accuracy", "f1_macro", "log_loss", "roc_auc"]
    good, bad = some_rows(500, 0.9), some_rows(500, 0.8)  # the same draws: the same rows
    assert (good.labels == bad.labels).all()
    found, other = differences(names, good, bad), differences(names, bad, good)
    for name in names:
        assert found[name].p < 0.02
        assert found[name].low * found[name].high > 0
        assert found[name].difference == pytest.approx(-other[name].difference)
        assert (found[name].low, found[name].high) == pytest.approx((-other[name].high, -other[name].low))
    assert found["log_loss"].difference < 0 < found["f1_macro"].difference


def test_same_answers_do_not_differ() -> None:
    one = some_rows(200, 0.8)
    for found in differences(["accuracy", "f1_macro", "roc_auc"], one, one).values():
        assert (found.difference, found.p) == (0, 1)
        assert found.low <= 0 <= found.high


def test_holm_adjusts_the_least_most() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_rows_can_tell_apart() -> None:
    """100 of 1,000 rows differ, 60 for the first: a standard error of 0.01, 2.8 of which can be told."""
    first, second = np.zeros(1000, bool), np.zeros(1000, bool)
    first[:60], second[60:100] = True, True
    found = resolution(paired_difference(first, second), first, second)
    assert found.differing == 100
    assert found.smallest == pytest.approx(2.8016 * ((0.1 - 0.02**2) / 999) ** 0.5, rel=1e-3)
    assert found.more_rows == pytest.approx(1000 * (found.smallest / 0.02) ** 2 - 1000, abs=1)
    assert resolution(paired_difference(first, first), first, first).smallest is None
