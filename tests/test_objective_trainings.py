"""Objectives of several passes in whole trainings: what they ask of model and hardware, processes, resume, FSDP."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.utils import DistributedType
from conftest import command, fsdp_on_cpu, train, write_recipe, write_reviews
from run_results import metrics, numbers
from same_training import assert_goes_on_exactly, assert_two_processes_train_as_one
from tiny import write_model

from accel_cls.errors import UserError
from accel_cls.models.packing import pack
from accel_cls.models.windows import Windows
from accel_cls.recipe.sections.distill import Distill
from accel_cls.recipe.sections.loss import Loss as Form
from accel_cls.training.objectives import require_objective
from accel_cls.training.objectives.adversarial import _Texts


@pytest.mark.parametrize("kind", ["DEEPSPEED", "XLA"])
def test_hardware_where_it_was_never_run_is_refused(kind: str) -> None:
    there = SimpleNamespace(
        distributed_type=DistributedType(kind),
        device=torch.device("meta") if kind != "XLA" else SimpleNamespace(type="xla"),
    )

    def recipe(form: Form, hidden: float = 0.0) -> SimpleNamespace:
        return SimpleNamespace(loss=form, distill=Distill(teacher="teacher", hidden=hidden))

    refused = {
        "loss.r_drop": recipe(Form(r_drop=1)),
        "loss.adversarial": recipe(Form(adversarial="fgm")),
        "distill.hidden": recipe(Form(), 0.5),
    }
    for key, one in refused.items():
        with pytest.raises(UserError, match=rf"{key}: found .* under {kind}; expected a profile with DDP or FSDP"):
            require_objective(one, there)
    require_objective(recipe(Form(kind="focal")), there)


@pytest.mark.parametrize(
    ("family", "settings", "said"),
    [
        ("bert", ["model.dropout=0.1", "loss.r_drop=1"], None),
        (
            "bert",
            ["loss.r_drop=1"],
            "loss.r_drop: two passes through this BertForSequenceClassification answer the same",
        ),
        ("bert", ["loss.adversarial=fgm"], None),
        (
            "bart",  # whose encoder and decoder have a table each, with the same weights
            ["loss.adversarial=fgm"],
            "loss.adversarial: a BartForSequenceClassification does not make a vector",
        ),
    ],
)
def test_model_is_asked_before_it_is_trained(
    family: str, settings: list[str], said: str | None, tmp_path: Path
) -> None:
    write_reviews(tmp_path / "reviews.csv")
    write_model(tmp_path / "encoder", family, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    write_recipe(tmp_path)
    done = train(tmp_path, "model.name=./encoder", "~model.scratch", "train.max_updates=2", *settings)
    if said is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


# Whole trainings

EVERYTHING = ("loss.r_drop=1", "loss.contrastive=0.5", "loss.adversarial=pgd", "loss.adversarial_steps=2")
SAME_CUT = ("train.min_micro_batches=2", "train.sampling=balanced")


@pytest.mark.parametrize("packing", ["true", "false"])
def test_same_training_on_two_processes_and_after_a_stop(packing: str, work: Path) -> None:
    overrides = [*EVERYTHING, *SAME_CUT, f"train.packing={packing}"]
    assert_two_processes_train_as_one(work, *overrides, rel=1e-3)
    assert_goes_on_exactly(work / "one", *overrides, update=6)


def test_fsdp_makes_the_same_training(work: Path) -> None:
    fsdp_on_cpu(work)
    overrides = [*EVERYTHING, *SAME_CUT, "train.max_updates=2"]
    one = train(work, *overrides, "output=one")
    assert one.returncode == 0, one.stderr
    said = command("accel-cls", "launch", "recipe.yaml", "hardware=./fsdp_cpu.yaml", *overrides, cwd=work)
    assert said.returncode == 0, said.stderr
    for left, right in zip(metrics(work / "one"), metrics(work / "run"), strict=True):
        assert numbers(left) == pytest.approx(numbers(right), rel=1e-3)


def test_log_has_the_whole_objective(work: Path) -> None:
    """Of adversarial training the sum of both losses; what is validated is the task's loss, and stays comparable."""
    plain = train(work, "model.dropout=0", "train.max_updates=1", "output=plain")
    moved = train(
        work,
        "model.dropout=0",
        "train.max_updates=1",
        "loss.adversarial=fgm",
        "loss.adversarial_size=1e-6",
        "output=moved",
    )
    assert plain.returncode == 0, plain.stderr
    assert moved.returncode == 0, moved.stderr
    loss, twice = (metrics(work / name)[0]["loss"] for name in ("plain", "moved"))
    assert twice == pytest.approx(2 * loss, rel=1e-5)
    one, other = (metrics(work / name)[-1]["evaluation"]["loss"] for name in ("plain", "moved"))
    assert other == pytest.approx(one, rel=1e-3)


@pytest.mark.parametrize("packed", [True, False])
def test_norm_of_a_long_text_is_over_all_its_windows(packed: bool) -> None:
    """Three windows of 2, 1 and 1 tokens; the first and the last are of one text."""
    vectors = torch.tensor([[3.0], [4.0], [2.0], [12.0], [9.0]])
    windows = Windows.of(np.array([1, 0, 2]), np.array([1, 2]), torch.device("cpu"))
    expected = [3 / 13, 4 / 13, 1.0, 12 / 13, 0.0]
    if packed:
        packing = pack(np.array([2, 1, 1]), 5, torch.device("cpu"))[0]
        inputs, given = {"packing": packing, "windows": windows}, vectors[None]
        at = torch.ones(1, 5, dtype=torch.bool)
    else:
        mask = torch.tensor([[1, 1], [1, 0], [1, 0]])
        inputs, given = {"attention_mask": mask, "windows": windows}, torch.zeros(3, 2, 1)
        given[mask.bool()] = vectors[:4]
        expected, at = expected[:4], mask.bool()
    found = _Texts(SimpleNamespace(inputs=inputs)).direction(given)
    assert found[at].flatten().tolist() == pytest.approx(expected)


def test_objectives_go_with_several_draws_of_the_last_dropout(work: Path) -> None:
    done = train(work, *EVERYTHING, "model.dropout_samples=3", "train.max_updates=2")
    assert done.returncode == 0, done.stderr
