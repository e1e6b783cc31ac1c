"""Which examples an epoch has where each class is to have equally many."""

import numpy as np
import pytest
from conftest import cli
from test_plan import plan_of

from accel_cls.batching.plan import Plan
from accel_cls.batching.sampling import ClassesAlike
from accel_cls.recipe import Recipe


def balanced(classes: np.ndarray, **changes) -> Plan:
    return plan_of([9] * len(classes), sampling=ClassesAlike(classes), **changes)


def epoch_of(made: Plan, epoch: int) -> np.ndarray:
    first = epoch * made.updates_per_epoch
    return np.concatenate([made.examples(first + k) for k in range(made.updates_per_epoch)])


def test_epoch_of_classes_alike_has_equally_many_examples_of_each():
    classes = np.array([0] * 70 + [1] * 25 + [2] * 5)
    made = balanced(classes, epochs=3, batch_size=7)
    counts = []
    for epoch in range(3):
        examples = epoch_of(made, epoch)
        assert len(examples) == 100
        counts.append(np.bincount(classes[examples]))
        assert sorted(counts[-1].tolist()) == [33, 33, 34]
        times = np.bincount(examples, minlength=100)
        assert set(times[:70]) == {0, 1}, "of a large class some, none of them twice"
        assert set(times[95:]) <= {6, 7}, "of a small class all, as often as each other"
    assert not np.array_equal(epoch_of(made, 0), epoch_of(made, 1))
    chosen = [set(examples[examples < 70].tolist()) for examples in (epoch_of(made, 0), epoch_of(made, 1))]
    assert chosen[0] != chosen[1], "other ones in each epoch"
    assert np.array_equal(epoch_of(made, 1), epoch_of(balanced(classes, epochs=3, batch_size=7), 1))
    assert not np.array_equal(epoch_of(made, 1), epoch_of(balanced(classes, epochs=3, batch_size=7, seed=8), 1))


def test_the_example_more_is_drawn_among_the_classes():
    classes = np.array([0, 0, 0, 1])
    third = np.array([0, 0, 1, 2, 2])  # 5 examples of 3 classes: two classes have two of them
    assert all(np.bincount(classes[epoch_of(balanced(classes), k)]).tolist() == [2, 2] for k in range(3))
    more = np.zeros(3)
    made = balanced(third, epochs=300)
    for epoch in range(300):
        more += np.bincount(third[epoch_of(made, epoch)], minlength=3) - 1
    assert more.sum() == 600
    assert abs(more - 200).max() < 40, "each as often as the others, but for chance: 5 deviations"


def test_plan_of_a_recipe_that_samples_tells_it():
    values = {"name": "a", "output": "o", "data": {"train": "a.csv"}, "train": {"sampling": "balanced"}}
    recipe = Recipe.model_validate(values)
    made = Plan.of(recipe, np.full(40, 9, np.int32), classes=np.repeat([0, 1], 20))
    assert made.sampling is not None
    assert "; an epoch has about 20 examples of each class, drawn anew" in dict(made.describe(recipe, 1))["updates"]
    assert made.tokens_per_epoch == 360


@pytest.mark.parametrize("what", ["plan", "check"])
def test_commands_know_what_is_sampled_and_how_many_passes_are_kept(what, work, capsys, monkeypatch):
    monkeypatch.chdir(work)
    wanted = ["train.sampling=balanced", "loss.r_drop=1", "loss.adversarial=fgm"]
    said = " ".join(cli(capsys, what, "recipe.yaml", *wanted)[1].split())
    assert "examples of each class, drawn anew" in said
    assert "tokens, 4 passes)" in said
