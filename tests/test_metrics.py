"""Scores and predictions."""

import socket

import evaluate
import numpy as np
import pytest
from sklearn import metrics as sk

from accel_cls.evaluation.metrics import compute_scores, is_better
from accel_cls.evaluation.predictions import _in_order
from accel_cls.recipe.metrics import LOWER_IS_BETTER, METRICS, METRICS_OF

REFERENCES = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
PREDICTIONS = np.array([0, 0, 1, 2, 1, 1, 0, 2, 1, 0])  # class 3 is never predicted
BY_SCIKIT_LEARN = {
    "accuracy": sk.accuracy_score(REFERENCES, PREDICTIONS),
    "precision": sk.precision_score(REFERENCES, PREDICTIONS, average="weighted", zero_division=0),
    "recall": sk.recall_score(REFERENCES, PREDICTIONS, average="weighted", zero_division=0),
    "f1": sk.f1_score(REFERENCES, PREDICTIONS, average="weighted", zero_division=0),
    "precision_macro": sk.precision_score(REFERENCES, PREDICTIONS, average="macro", zero_division=0),
    "recall_macro": sk.recall_score(REFERENCES, PREDICTIONS, average="macro", zero_division=0),
    "f1_macro": sk.f1_score(REFERENCES, PREDICTIONS, average="macro", zero_division=0),
    "balanced_accuracy": sk.balanced_accuracy_score(REFERENCES, PREDICTIONS),
    "matthews_correlation": sk.matthews_corrcoef(REFERENCES, PREDICTIONS),
}


@pytest.fixture
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.filterwarnings("error")
def test_all_scores_equal_scikit_learn_without_a_network():
    assert set(BY_SCIKIT_LEARN) == set(METRICS_OF["single_label"])
    assert compute_scores(list(BY_SCIKIT_LEARN), PREDICTIONS, REFERENCES, 4) == pytest.approx(BY_SCIKIT_LEARN)


def test_all_scores_are_those_that_are_reckoned_by_hand():
    """scikit-learn computes both sides above. Of classes 0 to 2, 2, 2 and 1 of 4, 3 and 2 are found, among 4, 4, 2."""
    f1 = [0.5, 4 / 7, 0.5, 0]
    assert compute_scores(list(BY_SCIKIT_LEARN), PREDICTIONS, REFERENCES, 4) == pytest.approx(
        {
            "accuracy": 5 / 10,
            "precision": 0.5 * (4 + 3 + 2) / 10,
            "recall": 5 / 10,
            "f1": (4 * f1[0] + 3 * f1[1] + 2 * f1[2]) / 10,
            "precision_macro": 1.5 / 4,
            "recall_macro": (1 / 2 + 2 / 3 + 1 / 2) / 4,
            "f1_macro": sum(f1) / 4,
            "balanced_accuracy": (1 / 2 + 2 / 3 + 1 / 2) / 4,
            "matthews_correlation": (10 * 5 - 32) / ((100 - 36) * (100 - 30)) ** 0.5,
        }
    )


def test_scores_come_in_the_order_of_the_names():
    names = ["recall", "accuracy", "f1_macro"]
    scores = compute_scores(names, PREDICTIONS, REFERENCES, 4)
    assert list(scores) == names
    assert all(type(score) is float for score in scores.values())


def test_one_score_alone():
    assert compute_scores(["accuracy"], PREDICTIONS, REFERENCES, 4) == {"accuracy": 0.5}


def test_computing_twice_forgets_the_first():
    compute_scores(["accuracy"], PREDICTIONS, REFERENCES, 4)
    assert compute_scores(["accuracy"], np.array([1, 1]), np.array([1, 1]), 2) == {"accuracy": 1.0}


def test_rows_are_taken_in_once_for_all_scores(monkeypatch):
    """Written, read back and converted for each score, they took 3 times as long."""
    read_back = []
    finalize = evaluate.Metric._finalize
    monkeypatch.setattr(evaluate.Metric, "_finalize", lambda self: (read_back.append(self), finalize(self))[1])
    assert len(compute_scores(list(BY_SCIKIT_LEARN), PREDICTIONS, REFERENCES, 4)) == len(BY_SCIKIT_LEARN)
    assert len(read_back) == 1


def test_scores_of_many_rows():
    generator = np.random.default_rng(0)
    references, predictions = generator.integers(0, 3, size=(2, 30_000))
    assert compute_scores(["accuracy"], predictions, references, 3)["accuracy"] == pytest.approx(
        (references == predictions).mean()
    )


# All classes count


def test_class_that_no_row_has_counts_in_macro_averages_predicted_or_not():
    """Left out, it would come in, and the score fall by a third, with one stray prediction."""
    references = np.array([0, 0, 0, 1, 1, 1])
    none, stray = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 1, 2])
    assert compute_scores(["recall_macro"], none, references, 3)["recall_macro"] == pytest.approx(2 / 3)
    assert compute_scores(["recall_macro"], stray, references, 3)["recall_macro"] == pytest.approx((1 + 2 / 3) / 3)
    assert compute_scores(["f1_macro"], none, references, 3)["f1_macro"] == pytest.approx(2 / 3)


@pytest.mark.filterwarnings("error")
def test_balanced_accuracy_is_of_the_classes_that_have_rows():
    references, predictions = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    assert compute_scores(["balanced_accuracy"], predictions, references, 3)["balanced_accuracy"] == 0.75


TRUE = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]])
FOUND = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])


@pytest.mark.usefixtures("_no_network")
def test_scores_of_several_labels_equal_scikit_learn():
    names = list(METRICS_OF["multi_label"])
    scores = compute_scores(names, FOUND, TRUE, 3)
    assert list(scores) == names
    assert scores["accuracy"] == 0.5, "the share of rows of which all classes are right"
    assert scores["hamming_loss"] == pytest.approx(2 / 12)
    assert scores["precision_micro"] == pytest.approx(3 / 4)
    assert scores["recall_micro"] == pytest.approx(3 / 4)
    assert scores["f1_macro"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    for kind in ("macro", "micro", "weighted"):
        expected = sk.f1_score(TRUE, FOUND, average=kind, zero_division=0)
        assert scores["f1" if kind == "weighted" else f"f1_{kind}"] == pytest.approx(expected)


# Which is better


def test_every_metric_has_a_direction_and_a_task():
    assert set(METRICS) == set(METRICS_OF["single_label"]) | set(METRICS_OF["multi_label"])
    assert set(LOWER_IS_BETTER) <= {"loss", *METRICS}
    assert is_better("accuracy", 0.9, 0.8)
    assert not is_better("accuracy", 0.8, 0.8)
    assert is_better("hamming_loss", 0.1, 0.2)
    assert is_better("loss", 0.1, 0.2)
    assert not is_better("loss", 0.2, 0.1)


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("best", [None, 0.5])
def test_score_that_is_no_finite_number_is_never_the_best(score, best):
    assert not is_better("loss", score, best)
    assert not is_better("accuracy", score, best)


# Each row exactly once


def test_rows_are_put_in_order_and_filled_slots_left_out():
    indices = np.array([2, 0, -1, 3, 1, -1])
    values = np.array([[20.0], [0.0], [99.0], [30.0], [10.0], [99.0]])
    assert _in_order(indices, values, 4).tolist() == [[0.0], [10.0], [20.0], [30.0]]


@pytest.mark.parametrize(
    ("indices", "named"),
    [
        ([0, 1, 3], r"3 rows came back for 4 examples.*\[2\]"),
        ([0, 1, 1, 2, 3], r"5 rows came back for 4 examples.*\[1\]"),
        ([0, 1, 1, 3], r"4 rows came back for 4 examples.*\[1, 2\]"),
        ([0, 1, 2, 3, 4], "5 rows came back for 4 examples"),
        ([-1, -1], "0 rows came back for 4 examples"),
    ],
)
def test_missing_or_doubled_row_is_an_error(indices, named):
    with pytest.raises(RuntimeError, match=named):
        _in_order(np.array(indices), np.zeros((len(indices), 2)), 4)
