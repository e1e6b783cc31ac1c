"""Scores and predictions."""

import socket
import sys
from typing import get_args

import numpy as np
import pytest
from conftest import ROOT
from sklearn import metrics as sk

from accel_cls.errors import UserError
from accel_cls.evaluation.judged import Judged
from accel_cls.evaluation.metrics.scores import compute_scores, is_better
from accel_cls.evaluation.metrics.sums import ADDITIVE
from accel_cls.evaluation.predictions import _in_order
from accel_cls.recipe.metrics import METRICS, METRICS_OF, Named
from accel_cls.tasks import MultiLabel, SingleLabel

EXACT = 1e-9
SINGLE = SingleLabel()


def single(labels, logits, task=SINGLE) -> Judged:
    return Judged.of(task, np.asarray(labels), np.asarray(logits, np.float32))


def answers(labels, predicted, classes: int, task=SINGLE) -> Judged:
    """Answers whose probabilities do not matter."""
    return single(labels, np.eye(classes)[np.asarray(predicted)], task)


REFERENCES = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
PREDICTIONS = np.array([0, 0, 1, 2, 1, 1, 0, 2, 1, 0])  # class 3 is never predicted
HARD = answers(REFERENCES, PREDICTIONS, 4)


def random_judged(rows: int, classes: int, task=SINGLE, seed: int = 0) -> Judged:
    """Classes of all kinds but the last, which no row has."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes - 1, rows)
    return single(labels, generator.normal(size=(rows, classes)) + 2 * np.eye(classes)[labels], task)


def by_scikit_learn(judged: Judged) -> dict[str, float]:
    """What is known there of one class a text."""
    true, found, p = judged.labels, judged.predicted, judged.probabilities
    every = np.arange(judged.classes)
    there = [c for c in every if 0 < (true == c).sum() < len(true)]
    over = {"labels": every, "zero_division": 0}
    ranked = [1] if judged.classes == 2 else there
    scores = {
        "accuracy": sk.accuracy_score(true, found),
        "balanced_accuracy": sk.recall_score(true, found, labels=np.unique(true), average="macro"),
        "matthews_correlation": sk.matthews_corrcoef(true, found),
        "cohen_kappa": sk.cohen_kappa_score(true, found),
        "roc_auc": np.mean([sk.roc_auc_score(true == c, p[:, c]) for c in ranked]),
        "pr_auc": np.mean([sk.average_precision_score(true == c, p[:, c]) for c in ranked]),
        "log_loss": sk.log_loss(true, p, labels=every),
        "brier": sk.brier_score_loss(true, p if judged.classes > 2 else p[:, 1], labels=every),
    }
    for name, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        scores[name] = score(true, found, average="weighted", **over)
        scores[f"{name}_macro"] = score(true, found, average="macro", **over)
    for count in (3, 5):
        scores[f"top_{count}_accuracy"] = (
            sk.top_k_accuracy_score(true, p, k=count, labels=every) if count < judged.classes else 1.0
        )
    return scores


@pytest.fixture
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("judged", [random_judged(300, 7), random_judged(40, 4), random_judged(200, 3, seed=1)])
def test_scores_of_one_class_a_text_equal_scikit_learn(judged: Judged):
    expected = by_scikit_learn(judged)
    assert {*expected} == {*METRICS_OF["single_label"]} - {"ece"}, "which scikit-learn has not"
    assert compute_scores(expected, judged) == pytest.approx(expected, abs=EXACT)


def test_scores_of_two_classes_equal_scikit_learn():
    judged = random_judged(200, 3).select(np.arange(200))
    judged = single(judged.labels, judged.logits[:, :2])
    expected = by_scikit_learn(judged)
    assert compute_scores(expected, judged) == pytest.approx(expected, abs=EXACT)


def test_all_scores_are_those_that_are_reckoned_by_hand():
    """Of classes 0 to 3, 2, 2, 1 and none of 4, 3, 2 and 1 are found, among 4, 4, 2 and 0."""
    f1 = [0.5, 4 / 7, 0.5, 0]
    expected = {
        "accuracy": 5 / 10,
        "precision": 0.5 * (4 + 3 + 2) / 10,
        "recall": 5 / 10,
        "f1": (4 * f1[0] + 3 * f1[1] + 2 * f1[2]) / 10,
        "precision_macro": 1.5 / 4,
        "recall_macro": (1 / 2 + 2 / 3 + 1 / 2) / 4,
        "f1_macro": sum(f1) / 4,
        "balanced_accuracy": (1 / 2 + 2 / 3 + 1 / 2) / 4,
        "matthews_correlation": (10 * 5 - 32) / ((100 - 36) * (100 - 30)) ** 0.5,
        "cohen_kappa": (0.5 - 0.32) / (1 - 0.32),
    }
    assert compute_scores(expected, HARD) == pytest.approx(expected, abs=EXACT)


def test_calibration_error_is_of_15_bins_of_equal_width():
    """Two rows in the bin of 0.8 to 0.867, one right; one in that of 0.6 to 0.667; one, wrong, at 0.5."""
    p = np.array([0.81, 0.85, 0.62, 0.5])
    judged = single([1, 0, 1, 1], np.stack([np.log(1 - p), np.log(p)], axis=1).astype(np.float64))
    expected = (abs(0.81 + 0.85 - 1) + abs(0.62 - 1) + abs(0.5 - 0)) / 4
    assert compute_scores(["ece"], judged)["ece"] == pytest.approx(expected, abs=1e-6)


def test_scores_come_in_the_order_of_the_names():
    names = ["recall", "accuracy", "roc_auc", "f1_macro"]
    scores = compute_scores(names, HARD)
    assert list(scores) == names
    assert all(type(score) is float for score in scores.values())


# All classes count


def test_class_that_no_row_has_counts_in_macro_averages_predicted_or_not():
    """Left out, it would come in, and the score fall by a third, with one stray prediction."""
    references = np.array([0, 0, 0, 1, 1, 1])
    none, stray = (answers(references, found, 3) for found in ([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 2]))
    assert compute_scores(["recall_macro"], none)["recall_macro"] == pytest.approx(2 / 3)
    assert compute_scores(["recall_macro"], stray)["recall_macro"] == pytest.approx((1 + 2 / 3) / 3)
    assert compute_scores(["f1_macro"], none)["f1_macro"] == pytest.approx(2 / 3)


@pytest.mark.filterwarnings("error")
def test_balanced_accuracy_is_of_the_classes_that_have_rows():
    assert compute_scores(["balanced_accuracy"], answers([0, 0, 1, 1], [0, 2, 1, 1], 3)) == {"balanced_accuracy": 0.75}


@pytest.mark.filterwarnings("error")
def test_what_is_undefined_is_nan_without_a_warning():
    one_class = answers([1, 1, 1], [1, 1, 1], 2)
    scores = compute_scores(["roc_auc", "pr_auc", "cohen_kappa", "matthews_correlation", "f1"], one_class)
    assert np.isnan([scores.pop(name) for name in ("roc_auc", "pr_auc", "cohen_kappa")]).all()
    assert scores == {"matthews_correlation": 0.0, "f1": 1.0}, "by convention"


# Several labels


def several(rows: int = 200, classes: int = 5) -> Judged:
    """The last class is in no row, the one before in all."""
    generator = np.random.default_rng(0)
    labels = (generator.random((rows, classes)) < 0.3).astype(np.float32)
    labels[:, -1], labels[:, -2] = 0, 1
    return Judged.of(MultiLabel(), labels, (generator.normal(size=labels.shape) + 2 * labels - 1).astype(np.float32))


@pytest.mark.usefixtures("_no_network")
def test_scores_of_several_labels_equal_scikit_learn():
    judged = several()
    true, found, p = judged.labels, judged.predicted, judged.probabilities
    expected = {
        "accuracy": sk.accuracy_score(true, found),
        "hamming_loss": sk.hamming_loss(true, found),
        "roc_auc": sk.roc_auc_score(true[:, :-2], p[:, :-2]),
        "pr_auc": sk.average_precision_score(true[:, :-2], p[:, :-2]),
        "log_loss": np.mean([sk.log_loss(true[:, c], p[:, c], labels=[0, 1]) for c in range(5)]),
        "brier": np.mean([sk.brier_score_loss(true[:, c], p[:, c], pos_label=1) for c in range(5)]),
    }
    for name, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        for suffix, average in (("", "weighted"), ("_macro", "macro"), ("_micro", "micro")):
            expected[f"{name}{suffix}"] = score(true, found, average=average, zero_division=0)
    assert {*expected} == {*METRICS_OF["multi_label"]} - {"ece"}
    assert compute_scores(expected, judged) == pytest.approx(expected, abs=EXACT)


def test_calibration_error_of_several_labels_is_over_all_decisions():
    p = np.array([[0.81, 0.5], [0.85, 0.1]])
    judged = Judged.of(MultiLabel(), np.array([[1, 1], [0, 0]], np.float32), np.log(p / (1 - p)).astype(np.float32))
    expected = (abs(0.81 + 0.85 - 1) + abs(0.5 - 1) + 0.1) / 4
    assert compute_scores(["ece"], judged)["ece"] == pytest.approx(expected, abs=1e-6)


# Sums


@pytest.mark.parametrize("judged", [random_judged(60, 4), several(60)])
def test_sums_of_weighted_rows_give_the_score_of_rows_that_are_drawn_so_often(judged: Judged):
    drawn = np.random.default_rng(1).integers(0, len(judged), (3, len(judged)))
    weights = np.stack([np.bincount(rows, minlength=len(judged)) for rows in drawn])
    task = "multi_label" if judged.labels.ndim == 2 else "single_label"
    names = [name for name in METRICS_OF[task] if name in ADDITIVE]
    assert len(names) > 10
    for name in names:
        one = ADDITIVE[name]
        found = one.value(weights @ one.contributions(judged))
        expected = [compute_scores([name], judged.select(rows))[name] for rows in drawn]
        assert found == pytest.approx(expected, abs=EXACT), name
        assert found[0] == pytest.approx(one.score(judged.select(drawn[0])), abs=EXACT)


# A function of the user's

OWN = """
def cost(labels, predictions, probabilities):
    assert probabilities.shape == (len(labels), 4)
    return 10 * (labels != predictions).mean()

cost.less_is_better = True

def gain(labels, predictions, probabilities):
    return float((labels == predictions).sum())

def broken(labels, predictions, probabilities):
    raise KeyError("weight")

def words(labels, predictions, probabilities):
    return "good"

number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch) -> str:
    """The name of a module in the current folder."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


def test_function_of_the_users_is_a_metric(own: str):
    cost, gain = f"{own}:cost", f"{own}:gain"
    assert compute_scores([cost, "accuracy", gain], HARD) == {cost: 5.0, "accuracy": 0.5, gain: 5.0}
    assert is_better(cost, 1.0, 2.0)
    assert is_better(gain, 2.0, 1.0)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("broken", "broken raised KeyError: 'weight'; it is called with labels, predictions and probabilities"),
        ("words", "words returned 'good'; expected a number"),
        ("missing", r"missing can't be imported \(AttributeError: .*\); expected a function missing in own_"),
        ("number", "number is a int; expected a function"),
    ],
)
def test_function_that_gives_no_number_is_told(own: str, function: str, told: str):
    with pytest.raises(UserError, match=told):
        compute_scores([f"{own}:{function}"], HARD)


def test_module_of_evaluate_is_a_metric(tmp_path, monkeypatch):
    (tmp_path / "own_module.py").write_text(
        "import datasets, evaluate\n"
        "class Share(evaluate.Metric):\n"
        "    def _info(self):\n"
        "        number = datasets.Value('int64')\n"
        "        features = datasets.Features({'predictions': number, 'references': number})\n"
        "        return evaluate.MetricInfo(description='', citation='', features=features)\n"
        "    def _compute(self, predictions, references):\n"
        "        return {'share': sum(p == r for p, r in zip(predictions, references)) / len(references)}\n"
        f"share = Share(keep_in_memory=True, cache_dir={str(tmp_path)!r})\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert compute_scores(["own_module:share"], HARD) == {"own_module:share": 0.5}


# Which is better


def test_every_metric_has_a_direction_and_a_task():
    assert tuple(METRICS) == get_args(Named)
    assert all(about.tasks for about in METRICS.values())
    assert is_better("accuracy", 0.9, 0.8)
    assert not is_better("accuracy", 0.8, 0.8)
    assert is_better("hamming_loss", 0.1, 0.2)
    assert is_better("loss", 0.1, 0.2)
    assert not is_better("loss", 0.2, 0.1)


def test_gain_is_as_large_as_it_has_to_be():
    assert is_better("accuracy", 0.3, 0.2, by=0.1)
    assert not is_better("accuracy", 0.29, 0.2, by=0.1)
    assert is_better("loss", 0.2, 0.3, by=0.1)
    assert not is_better("loss", 0.21, 0.3, by=0.1)


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


def test_every_metric_is_explained():
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for name, about in METRICS.items():
        assert f"| `{name}` | " in page
        assert f" | {'less' if about.less_is_better else 'more'} | {about.meaning} |" in page
