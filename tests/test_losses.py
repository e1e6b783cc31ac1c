"""Losses of a text: each against its formula, its gradient, its limits; class weights and smoothing; divergences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from accel_cls.data.labels import Classes
from accel_cls.recipe.sections.loss import Loss as Form
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks import MultiLabel, Ordinal, Regression, SingleLabel
from accel_cls.tasks.class_weights import effective_number
from accel_cls.tasks.losses import (
    BinaryCrossEntropy,
    BinaryFocalLoss,
    CrossEntropy,
    FocalLoss,
    GeneralizedCrossEntropy,
    logit_offsets,
)

CPU = torch.device("cpu")
WEIGHTS = np.array([1.0, 0.5, 4.0], np.float32)
LOGITS = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.0, -2.0], [-0.5, 3.0, 0.1], [0.0, 0.2, 0.1]])
LABELS = torch.tensor([0, 0, 1, 2])
SEVERAL = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])


def values(loss, logits=LOGITS, labels=LABELS):
    """The losses, and the gradient of their sum."""
    leaf = logits.clone().requires_grad_()
    losses = loss.losses(leaf, labels)
    return losses, torch.autograd.grad(losses.sum(), leaf)[0]


def by_formula(of_probability, smoothing=0.0, weights=WEIGHTS):
    """The label's weight × sum over the classes of smoothed label × loss of the class's probability, in float64."""
    leaf = LOGITS.double().requires_grad_()
    targets = (1 - smoothing) * one_hot(LABELS, 3) + smoothing / 3
    losses = (targets * of_probability(leaf.exp() / leaf.exp().sum(1, keepdim=True))).sum(1)
    losses = losses * torch.tensor(weights)[LABELS]
    return losses, torch.autograd.grad(losses.sum(), leaf)[0]


def assert_same(found, expected, tolerance=1e-5):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=tolerance, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_loss_and_its_gradient(gamma: float, smoothing: float) -> None:
    expected = by_formula(lambda p: -((1 - p) ** gamma) * p.log(), smoothing)
    assert_same(values(FocalLoss(WEIGHTS, smoothing, CPU, gamma)), expected)


def test_focal_loss_of_a_text_by_hand() -> None:
    """A class with probability 0.9: (1 - 0.9)² × -log 0.9, a hundredth of cross-entropy; one with 0.1: 0.81 of it."""
    logits = torch.tensor([[0.9, 0.1]]).log()
    loss = FocalLoss(None, 0.0, CPU, 2.0)
    assert loss.losses(logits, torch.tensor([0])).item() == pytest.approx(-0.01 * math.log(0.9), rel=1e-5)
    assert loss.losses(logits, torch.tensor([1])).item() == pytest.approx(-0.81 * math.log(0.1), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_loss_with_gamma_0_is_cross_entropy(weights: np.ndarray | None, smoothing: float) -> None:
    """To the bit without smoothing, whose mean torch adds up in another order."""
    found, expected = values(FocalLoss(weights, smoothing, CPU, 0.0)), values(CrossEntropy(weights, smoothing, CPU))
    if not smoothing:
        assert torch.equal(found[0], expected[0])
    assert_same(found, expected, 1e-6)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
def test_focal_loss_of_a_text_that_is_quite_right_or_quite_wrong_is_finite(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0, -200.0], [200.0, 0.0, -200.0]])
    losses, gradient = values(FocalLoss(None, 0.1, CPU, gamma), logits, torch.tensor([0, 2]))
    assert losses.isfinite().all()
    assert gradient.isfinite().all()
    losses, gradient = values(FocalLoss(None, 0.0, CPU, gamma), logits, torch.tensor([0, 2]))
    assert losses.tolist() == [0.0, 400.0]
    assert gradient.tolist()[0] == [0.0, 0.0, 0.0]
    several = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    losses, gradient = values(BinaryFocalLoss(None, 0.0, CPU, gamma), logits, several)
    assert losses.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("q", [0.2, 0.7, 1.0])
def test_generalized_cross_entropy_and_its_gradient(q: float, smoothing: float) -> None:
    assert_same(
        values(GeneralizedCrossEntropy(WEIGHTS, smoothing, CPU, q)), by_formula(lambda p: (1 - p**q) / q, smoothing)
    )


def test_generalized_cross_entropy_lies_between_cross_entropy_and_the_absolute_error() -> None:
    near_0, at_1 = (values(GeneralizedCrossEntropy(WEIGHTS, 0.1, CPU, q)) for q in (1e-6, 1.0))
    assert_same(near_0, values(CrossEntropy(WEIGHTS, 0.1, CPU)), 1e-4)
    plain = values(GeneralizedCrossEntropy(None, 0.0, CPU, 1.0))[0]
    absolute = (LOGITS.softmax(1) - one_hot(LABELS, 3)).abs().sum(1)  # of both sides: twice 1 - p
    assert_same([plain], [absolute / 2])
    assert at_1[0].max() <= WEIGHTS.max(), "however wrong, a text's loss is its weight at most"


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_focal_loss_of_several_classes_and_its_gradient(smoothing: float) -> None:
    """Lin et al.: -(1 - p)^gamma log p of the probability p of what is true of each class, averaged."""
    leaf = LOGITS.double().requires_grad_()
    p, targets = 1 / (1 + (-leaf).exp()), SEVERAL * (1 - smoothing) + smoothing / 2
    positive, negative = -((1 - p) ** 2) * p.log(), -(p**2) * (1 - p).log()
    losses = (targets * positive + (1 - targets) * negative) * torch.where(SEVERAL > 0, torch.tensor(WEIGHTS), 1.0)
    losses = losses.mean(1)
    expected = losses, torch.autograd.grad(losses.sum(), leaf)[0]
    assert_same(values(BinaryFocalLoss(WEIGHTS, smoothing, CPU, 2.0), labels=SEVERAL), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_focal_loss_of_several_classes_with_gamma_0_is_binary_cross_entropy(smoothing: float) -> None:
    found, expected = (
        values(loss, labels=SEVERAL)
        for loss in (BinaryFocalLoss(WEIGHTS, smoothing, CPU, 0.0), BinaryCrossEntropy(WEIGHTS, smoothing, CPU))
    )
    assert_same(found, expected, 1e-6)


def test_recipe_chooses_the_loss() -> None:
    classes = Classes(("a", "b", "c"), ("a", "b", "c"))
    focal = SingleLabel().loss(Train(), LABELS.numpy(), classes, CPU, Form(kind="focal", focal_gamma=1.0))
    assert torch.equal(values(focal)[0], values(FocalLoss(None, 0.0, CPU, 1.0))[0])
    generalized = SingleLabel().loss(Train(), LABELS.numpy(), classes, CPU, Form(kind="generalized_cross_entropy"))
    assert torch.equal(values(generalized)[0], values(GeneralizedCrossEntropy(None, 0.0, CPU, 0.7))[0])
    several = MultiLabel().loss(Train(), SEVERAL.numpy(), classes, CPU, Form(kind="focal"))
    assert torch.equal(
        values(several, labels=SEVERAL)[0], values(BinaryFocalLoss(None, 0, CPU, 2.0), labels=SEVERAL)[0]
    )


# Weights and smoothing together


@pytest.mark.parametrize("loss", [CrossEntropy, lambda *all: FocalLoss(*all, 2.0), BinaryCrossEntropy])
def test_a_weight_is_so_many_texts_of_the_class(loss) -> None:
    """torch weighs what smoothing gives to a class by that class's weight, in the texts of all others, too."""
    weights, labels = np.array([1.0, 1.0, 50.0], np.float32), SEVERAL if loss is BinaryCrossEntropy else LABELS
    weighted, plain = (values(loss(one, 0.1, CPU), labels=labels)[0] for one in (weights, None))
    if loss is BinaryCrossEntropy:
        has_not = SEVERAL[:, 2] == 0
        assert torch.equal(weighted[has_not], plain[has_not])
        assert (weighted[~has_not] > plain[~has_not]).all()
    else:
        torch.testing.assert_close(weighted, plain * torch.from_numpy(weights)[LABELS])


# Adjusted logits


def adjusted(adjustment: float, **form):
    """A loss of the recipe's, of classes with 6, 3 and 1 of 10 examples."""
    names = Classes(("a", "b", "c"), ("a", "b", "c"))
    labels = np.repeat([0, 1, 2], [6, 3, 1])
    return SingleLabel().loss(Train(), labels, names, CPU, Form(logit_adjustment=adjustment, **form))


@pytest.mark.parametrize("form", [{}, {"kind": "focal"}, {"kind": "generalized_cross_entropy"}])
def test_adjusted_loss_is_that_of_logits_with_the_logarithms_of_the_shares(form: dict[str, str]) -> None:
    shares = torch.tensor([0.6, 0.3, 0.1]).log()
    assert_same(values(adjusted(0.5, **form)), values(adjusted(0, **form), LOGITS + 0.5 * shares))
    found = adjusted(0.5, **form).divergence(LOGITS[:2], LOGITS[2:])
    expected = adjusted(0, **form).divergence(LOGITS[:2] + 0.5 * shares, LOGITS[2:] + 0.5 * shares)
    torch.testing.assert_close(found, expected)


def test_what_minimizes_the_adjusted_loss_evens_out_the_classes() -> None:
    """Of texts that tell nothing apart: the shares themselves without it, all alike with 1, in between with 0.5."""
    for adjustment, expected in ((0.0, [0.6, 0.3, 0.1]), (1.0, [1 / 3] * 3), (0.5, None)):
        bias = torch.zeros(3, requires_grad=True)
        optimizer = torch.optim.LBFGS([bias], max_iter=50, tolerance_grad=1e-9, line_search_fn="strong_wolfe")
        loss = adjusted(adjustment)
        labels = torch.tensor([0] * 6 + [1] * 3 + [2])

        def value(bias=bias, loss=loss, optimizer=optimizer, labels=labels):
            optimizer.zero_grad()
            total = loss.losses(bias.expand(10, 3), labels).mean()
            total.backward()
            return total

        optimizer.step(value)
        roots = np.sqrt([0.6, 0.3, 0.1])
        assert bias.detach().softmax(0).tolist() == pytest.approx(expected or list(roots / roots.sum()), abs=1e-4)


def test_class_without_examples_has_a_finite_offset() -> None:
    assert logit_offsets(np.array([3, 0]), 2.0) == pytest.approx([2 * math.log(0.75), 2 * math.log(0.25)])


# Weights by effective numbers


def test_effective_number_lies_between_one_and_the_count() -> None:
    """Of three draws with beta 0.9: 1 + 0.9 + 0.81."""
    assert effective_number(np.array([1, 3]), 0.9) == pytest.approx([1, 2.71])
    assert effective_number(np.array([10**6]), 0.9) == pytest.approx([10.0])
    assert effective_number(np.array([50]), 1 - 1e-9) == pytest.approx([50])


def test_effective_class_weights_are_inverse_to_effective_numbers() -> None:
    names = Classes(("a", "b"), ("a", "b"))
    labels = np.array([0] * 9 + [1])
    weights = SingleLabel().class_weights(Train(class_weights="effective", effective_beta=0.9), labels, names)
    numbers = [(1 - 0.9**9) / 0.1, 1.0]
    assert weights is not None
    assert weights[1] / weights[0] == pytest.approx(numbers[0] / numbers[1], rel=1e-5)
    assert weights[labels].mean() == pytest.approx(1), "as with balanced ones"
    balanced = SingleLabel().class_weights(Train(class_weights="balanced"), labels, names)
    nearly = SingleLabel().class_weights(Train(class_weights="effective", effective_beta=1 - 1e-9), labels, names)
    assert nearly == pytest.approx(balanced, rel=1e-4)


def test_effective_weights_of_several_classes_weigh_both_sides() -> None:
    labels = np.zeros((10, 3), np.float32)
    labels[0, 0] = labels[:4, 1] = 1  # the third class has no example, and nothing to be weighed against
    section = Train(class_weights="effective", effective_beta=0.9)
    loss = MultiLabel().loss(section, labels, Classes(("a", "b", "c"), ("a", "b", "c")), CPU)
    zeros, ones = torch.zeros(1, 3), torch.eye(3)
    found = [loss.losses(zeros, ones[i : i + 1]).item() * 3 / math.log(2) - 2 for i in range(3)]
    numbers = {n: (1 - 0.9**n) / 0.1 for n in (1, 4, 6, 9)}
    assert found == pytest.approx([numbers[9] / numbers[1], numbers[6] / numbers[4], 1], rel=1e-5)


# How far two answers are apart


def test_divergence_is_the_mean_of_both_kl_divergences() -> None:
    first, second = LOGITS[:2], LOGITS[2:]
    p, q = first.double().softmax(1), second.double().softmax(1)
    expected = ((p * (p / q).log()).sum(1) + (q * (q / p).log()).sum(1)) / 2
    names = Classes(("a", "b", "c"), ("a", "b", "c"))
    for task in (SingleLabel(), Ordinal()):
        loss = task.loss(Train(), LABELS.numpy(), names, CPU)
        assert_same([loss.divergence(first, second), loss.divergence(first, first)], [expected, torch.zeros(2)])
    p, q = first.double().sigmoid(), second.double().sigmoid()
    sides = [(p, q), (q, p), (1 - p, 1 - q), (1 - q, 1 - p)]
    each = sum((one * (one / other).log() for one, other in sides), start=torch.zeros(())) / 2
    several = MultiLabel().loss(Train(), SEVERAL.numpy(), names, CPU)
    assert_same([several.divergence(first, second)], [each.mean(1)])


def test_divergence_of_numbers_is_the_squared_difference_in_deviations() -> None:
    loss = Regression().loss(Train(), np.array([0.0, 4.0], np.float32), Classes(("x",), ("x",)), CPU)  # deviation 2
    assert loss.divergence(torch.tensor([[1.0]]), torch.tensor([[7.0]])).tolist() == [9.0]
