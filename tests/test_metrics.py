"""Scores and predictions."""

import socket

import numpy as np
import pytest
from sklearn import metrics as sk

from accel_cls.evaluation.metrics import compute_scores
from accel_cls.evaluation.predictions import Predictions, _in_order
from accel_cls.recipe.schema import METRICS

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
    assert set(BY_SCIKIT_LEARN) == set(METRICS)
    assert compute_scores(METRICS, PREDICTIONS, REFERENCES) == pytest.approx(BY_SCIKIT_LEARN)


def test_all_scores_are_those_that_are_reckoned_by_hand():
    """scikit-learn computes both sides above. Of classes 0 to 2, 2, 2 and 1 of 4, 3 and 2 are found, among 4, 4, 2."""
    f1 = [0.5, 4 / 7, 0.5, 0]
    assert compute_scores(METRICS, PREDICTIONS, REFERENCES) == pytest.approx(
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
    scores = compute_scores(names, PREDICTIONS, REFERENCES)
    assert list(scores) == names
    assert all(type(score) is float for score in scores.values())


def test_one_score_alone():
    assert compute_scores(["accuracy"], PREDICTIONS, REFERENCES) == {"accuracy": 0.5}


def test_computing_twice_forgets_the_first():
    compute_scores(["accuracy"], PREDICTIONS, REFERENCES)
    assert compute_scores(["accuracy"], np.array([1, 1]), np.array([1, 1])) == {"accuracy": 1.0}


def test_scores_of_many_rows():
    generator = np.random.default_rng(0)
    references, predictions = generator.integers(0, 3, size=(2, 30_000))
    assert compute_scores(["accuracy"], predictions, references)["accuracy"] == pytest.approx(
        (references == predictions).mean()
    )


# Predictions


def predictions_of(logits, labels):
    return Predictions(np.array(logits, np.float32), np.array(labels))


def test_classes_are_the_highest_logits():
    assert predictions_of([[1, 2, 0], [3, -1, 2]], [0, 0]).classes.tolist() == [1, 0]


def test_probabilities_are_a_softmax():
    probabilities = predictions_of([[0.0, np.log(3.0)], [5.0, 5.0]], [0, 0]).probabilities
    assert probabilities.dtype == np.float64
    assert probabilities == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))


def test_probabilities_of_huge_logits():
    probabilities = predictions_of([[3e38, -3e38], [1000, 999]], [0, 0]).probabilities
    assert np.isfinite(probabilities).all()
    assert probabilities.sum(1) == pytest.approx([1, 1])


def test_loss_is_the_mean_cross_entropy():
    predictions = predictions_of([[0.0, np.log(3.0)], [5.0, 5.0]], [1, 0])
    assert predictions.loss == pytest.approx((-np.log(0.75) - np.log(0.5)) / 2)


def test_loss_equals_scikit_learn():
    generator = np.random.default_rng(0)
    predictions = predictions_of(generator.normal(size=(50, 4)), generator.integers(0, 4, 50))
    expected = sk.log_loss(predictions.labels, predictions.probabilities, labels=np.arange(4))
    assert predictions.loss == pytest.approx(expected)


def test_loss_of_a_sure_mistake_is_finite():
    loss = predictions_of([[10_000, 0]], [1]).loss
    assert np.isfinite(loss)
    assert loss > 100


def test_loss_of_not_a_number_is_not_a_number():
    assert np.isnan(predictions_of([[np.nan, 0], [1, 0]], [0, 0]).loss)


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
