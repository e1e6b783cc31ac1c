"""What a micro-batch contributes, and at what rate the weights follow."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from accel_cls.batching.batches import Batch
from accel_cls.data.labels import Classes
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks import SingleLabel
from accel_cls.training.objective import Supervised
from accel_cls.training.optimizer import make_optimizer, set_rate

LABELS = np.array([0, 1, 2, 1])


def supervised(**train):
    names = ("a", "b", "c")
    loss = SingleLabel().loss(Train.model_validate(train), LABELS, Classes(names, names), torch.device("cpu"))
    return Supervised(loss, LABELS)


def test_weight_of_an_update_is_the_sum_over_its_examples():
    assert supervised().weight(np.array([0, 1, 2])) == 3
    weighted = supervised(class_weights={"a": 1.0, "b": 0.5, "c": 4.0})
    assert weighted.weight(np.arange(4)) == pytest.approx(6.0)
    assert weighted.weight(np.array([3])) == pytest.approx(0.5)


def test_gradient_of_an_update_does_not_depend_on_its_cut():
    """The sum of the losses of all micro-batches, divided by the update's weight, is the weighted mean."""
    objective = supervised(class_weights={"a": 1.0, "b": 0.5, "c": 4.0}, label_smoothing=0.1)
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

    def model(rows):
        return SimpleNamespace(logits=logits[rows].to(torch.bfloat16))

    def mean(*cut):
        losses = [
            objective.losses(
                model, Batch({"rows": part}, torch.tensor(LABELS[part]), torch.ones(len(part)), tuple(part))
            )
            for part in cut
        ]
        assert all(one.dtype == torch.float32 for one in losses)
        return sum(one.sum() for one in losses).item() / objective.weight(np.arange(4))

    assert mean([0, 1, 2, 3]) == pytest.approx(mean([2, 0], [3], [1]), rel=1e-6)
    weights = torch.tensor([1.0, 0.5, 4.0])
    labels = torch.tensor(LABELS)
    each = cross_entropy(logits.to(torch.bfloat16).float(), labels, reduction="none", label_smoothing=0.1)
    expected = (each * weights[labels]).sum() / weights[labels].sum()
    assert mean([0, 1, 2, 3]) == pytest.approx(expected.item(), rel=1e-6)


def test_groups_follow_the_schedule_by_their_own_factor():
    optimizer = make_optimizer(torch.nn.Linear(3, 2), Train(), torch.device("cpu"))
    set_rate(optimizer, 0.2)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(0.2, 0.01), (0.2, 0.0)]
    optimizer.param_groups[1]["lr_scale"] = 0.5
    set_rate(optimizer, 0.3)
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.15]
