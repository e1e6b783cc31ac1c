"""One recipe trained in several ways is one training: by `accel-cls parity`, which must also see when it is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import cli, command, fsdp_on_cpu, write_recipe, write_reviews

from accel_cls.parity.cases import Case, Launch, Pair, make_control, make_pairs
from accel_cls.parity.compare import TrainedRun, compare
from accel_cls.parity.options import ParityOptions, parse_options
from accel_cls.parity.verdict import assess
from accel_cls.profiles import find_profile
from accel_cls.recipe import Recipe
from accel_cls.training.trace import TracedPart, TracedUpdate, read_trace

# The real thing ----------------------------------------------------------------------------------------


def parity(folder: Path, *arguments: str) -> tuple[int, list[dict], str]:
    done = command("accel-cls", "parity", "recipe.yaml", *arguments, "--json", cwd=folder)
    return done.returncode, json.loads(done.stdout) if done.stdout else [], done.stderr


@pytest.mark.usefixtures("warm_trainings")
def test_any_number_of_processes_sharded_or_continued_is_one_training(tmp_path: Path, monkeypatch, capsys) -> None:
    """72 updates with dropout and class weights; 81 examples in updates of 15, the last of 6; 20 for validation.

    An update has 3 to 6 micro-batches: three processes have unlike shares, and one adds several up.
    """
    monkeypatch.chdir(tmp_path)
    write_reviews(tmp_path / "reviews.csv", count=101)
    size, rate = "epochs: 12, batch_size: 15, micro_batch_tokens: 64", "learning_rate: 1e-3, adam_epsilon: 1e-5"
    write_recipe(tmp_path, train=f"{{{size}, {rate}, class_weights: balanced}}")
    fsdp_on_cpu(tmp_path)
    status, said, errors = cli(
        capsys,
        *("parity", "recipe.yaml", "--json", "--updates", "999", "--keep", "kept", "--resume"),
        *("--processes", "1,3", "--hardware", "cpu,./fsdp_cpu.yaml", "--micro-batches", "1,4"),
    )
    assert status == 0, errors
    pairs = json.loads(said)
    assert [pair["case"] for pair in pairs] == [
        "3 processes on CPU, precision fp32",
        "fsdp_cpu, 2 processes on CPU with FSDP, precision fp32",
        "1 process on CPU, precision fp32, micro-batches × 4, no dropout",
        "1 process on CPU, precision fp32, continued after update 36 by 1 process",
        "1 process on CPU, precision fp32, continued after update 36 by 3 processes",
    ]
    for pair in pairs:
        assert pair["verdict"] == "the same", pair
        assert pair["updates"] == 72
        assert max(pair["loss"], pair["gradient_norm"]) <= 1e-5
        assert max(pair["weights"], pair["largest_weight"]) <= 1e-4
        assert pair["first_other_examples"] is None
        assert pair["same_validation_rows"]
        assert (pair["first_other_cut"] is None) == ("micro-batches" not in pair["case"])
    (alone,) = [pair for pair in pairs if pair["case"].endswith("by 1 process")]
    assert alone["loss"] == alone["gradient_norm"] == alone["weights"] == 0, "bit for bit"
    # Each process did its share: what is compared was not done by one of them alone.
    parts = [part for update in read_trace(tmp_path / "kept" / "02" / "trace") for part in update.parts]
    assert {part.process for part in parts} == {0, 1, 2}


def test_dropout_that_draws_otherwise_is_seen(tmp_path: Path) -> None:
    """With fewer micro-batches than processes updates are cut finer: that is another training, and said to be one."""
    write_reviews(tmp_path / "reviews.csv", count=60)
    write_recipe(tmp_path)
    whole = "train.micro_batch_tokens=4096"
    status, (pair,), errors = parity(tmp_path, whole, "train.min_micro_batches=1", "--updates", "3")
    assert status == 1, errors
    assert not pair["same"]
    assert pair["first_other_examples"] is None
    assert pair["first_other_cut"] == pair["first_diverging_update"]
    assert f"DIFFERENT: update {pair['first_other_cut']} is cut into other micro-batches" in pair["verdict"]


# What is asked for -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--processes", "1"], "there is nothing to compare"),
        (["--processes", "1,two"], "--processes: found '1,two'; expected whole numbers"),
        (["--processes", "1,2,1"], "--processes: 1 stands twice in '1,2,1'; expected each once"),
        (["--hardware", "cpu,cpu"], "--hardware: cpu stands twice"),
        (["--resume", "--updates", "1"], "--resume: found --updates 1; expected 2 or more"),
        (["train.micro_batch_tokens=auto"], "train.micro_batch_tokens: auto: each training would find its own number"),
        (["--precision", "fp32,fp64"], "--precision: found 'fp64'; expected a list of fp32, bf16, fp16"),
        (["--hardware", "cpu,gpu"], "this machine has no GPU that torch can use"),
        (["--keep", "."], "--keep: . is there already"),
        (["train.epoch=2"], "train.epoch: unknown key; did you mean epochs?"),
    ],
)
def test_mistakes_are_explained(work: Path, monkeypatch, capsys, arguments: list[str], words: str) -> None:
    monkeypatch.chdir(work)
    status, _, errors = cli(capsys, "parity", "recipe.yaml", *arguments)
    assert status == 2
    assert words in errors


@pytest.mark.usefixtures("warm_trainings")
def test_training_that_fails_is_shown(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    (work / "encoder").mkdir()
    status, _, errors = cli(capsys, "parity", "recipe.yaml", "model.name=./encoder")
    assert status == 2
    assert "1 process on CPU, precision fp32: its training ended with an error" in errors
    assert "model.name: the tokenizer of the folder" in errors


@pytest.mark.parametrize(
    ("options", "processes"),
    [
        ({}, [1, 2]),
        ({"precision": "bf16"}, [1, 2]),
        ({"precision": "fp32,bf16"}, [1]),
        ({"hardware": "cpu,gpu"}, [1]),
        ({"micro_batches": "1,2"}, [1]),
        ({"resume": True}, [1]),
        ({"processes": "2,3", "resume": True}, [2, 3]),
    ],
)
def test_one_and_two_processes_unless_something_else_is_asked_for(options: dict, processes: list[int]) -> None:
    given = {"processes": "", "hardware": "", "precision": "", "micro_batches": "", "resume": False, "updates": 9}
    assert parse_options(**(given | options)).processes == processes


CPU = find_profile("cpu")
RECIPE = Recipe.model_validate({"name": "a", "output": "o", "data": {"train": "a.csv"}, "hardware": "cpu"})


def names(**options) -> list[tuple[str, str]]:
    return [(pair.reference.name, pair.case.name) for pair in make_pairs(RECIPE, ParityOptions(**options))]


def test_dropout_is_on_wherever_its_draws_can_be_the_same() -> None:
    one, none = "1 process on CPU, precision fp32", "1 process on CPU, precision fp32, no dropout"
    assert names(processes=[1, 2]) == [(one, "2 processes on CPU, precision fp32")]
    assert names(hardware=["cpu", "cpu_multi"]) == [(one, "cpu_multi, 2 processes on CPU, precision fp32")]
    assert names(precisions=["fp32", "bf16"]) == [(none, "1 process on CPU, precision bf16, no dropout")]
    assert names(micro_batches=[1, 2]) == [(none, f"{one}, micro-batches × 2, no dropout")]
    assert names(processes=[2], resume=True) == [
        (
            "2 processes on CPU, precision fp32",
            "2 processes on CPU, precision fp32, continued after update 100 by 2 processes",
        )
    ]


def test_one_precision_goes_for_all() -> None:
    (pair,) = make_pairs(RECIPE, ParityOptions(processes=[1, 2], precisions=["bf16"]))
    assert {launch.profile.mixed_precision for case in (pair.reference, pair.case) for launch in case.launches} == {
        "bf16"
    }


# The verdict -------------------------------------------------------------------------------------------

UPDATES = 60


def trained(loss=1.0, examples=(0, 1, 2), width=16, rate=1e-3, weight=0.5, rows=("a", "b"), grow=None) -> TrainedRun:
    """A made-up training of 60 updates; `grow` is the relative error of its loss and gradient at the last one."""
    errors = np.zeros(UPDATES) if grow is None else 1e-8 * (grow / 1e-8) ** np.linspace(0, 1, UPDATES)
    updates = [
        TracedUpdate(
            k + 1, rate, 2.0 * loss * (1 + errors[k]), [TracedPart(0, width, list(examples), loss * (1 + errors[k]))]
        )
        for k in range(UPDATES)
    ]
    return TrainedRun(updates, {"w": np.full(4, weight, np.float32)}, list(rows), np.array([[0.25, 0.75]] * len(rows)))


def pair_of(same_cut: bool = True, precision: str = "no") -> Pair:
    other = Launch(CPU.changed(mixed_precision=precision))
    return Pair(Case("reference", (Launch(CPU),)), Case("case", (other,), same_cut=same_cut))


def verdict(other: TrainedRun, control: TrainedRun | None = None, reference: TrainedRun | None = None, **pair):
    reference = reference or trained()
    return assess(pair_of(**pair), compare(reference, other), None if control is None else compare(reference, control))


def test_equal_trainings_are_the_same() -> None:
    assert str(verdict(trained())) == "the same"
    assert str(verdict(trained(loss=1 + 5e-6, weight=0.5 * (1 + 5e-5)))) == "the same"


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        (trained(loss=1 + 3e-5), "update 1 has a loss 3e-05"),
        (trained(examples=(0, 1, 3)), "update 1 is made of other examples"),
        (trained(examples=(0, 2, 1)), "update 1 is cut into other micro-batches"),
        (trained(width=32), "update 1 is cut into other micro-batches"),
        (trained(rate=1.1e-3), "update 1 has another learning rate"),
        (trained(weight=0.5 * 1.001), "the weights differ by 1e-03"),
        (trained(rows=("b", "a")), "other validation rows were evaluated"),
        (trained(rows=("a", "a")), "other validation rows were evaluated"),
        (trained(loss=float("nan")), "update 1 has a loss nan"),
    ],
)
def test_each_difference_is_found(other: TrainedRun, fault: str) -> None:
    found = verdict(other)
    assert str(found).startswith(f"DIFFERENT: {fault}")
    assert not found.as_json()["same"]


def test_rows_evaluated_twice_are_a_fault_even_where_both_do_it() -> None:
    twice = trained(rows=("a", "a"))
    assert verdict(twice, reference=twice).mismatches


def test_differences_that_the_control_has_too_are_rounding() -> None:
    found = verdict(trained(grow=1e-2), control=trained(grow=5e-3))
    assert str(found).startswith("the same but for rounding")
    assert found.diverges == 31, "1e-8 grows a million times over 59 updates, and by then a thousand times"


def test_difference_that_jumps_is_no_rounding_though_the_control_ends_far_off() -> None:
    """A loss that is off by 1e-3 from the first update on, as by a wrong divisor; the control ends off by 1."""
    found = verdict(trained(loss=1.001), control=trained(grow=1.0))
    assert str(found).startswith("DIFFERENT: update 1 has a loss 1e-03")


def test_difference_far_beyond_the_control_is_no_rounding() -> None:
    assert "DIFFERENT: update" in str(verdict(trained(grow=1e-1), control=trained(grow=1e-4)))


def test_low_precision_has_a_tolerance_of_its_own() -> None:
    off = trained(loss=1.01)
    assert verdict(off).mismatches
    assert not verdict(off, precision="bf16").mismatches
    assert verdict(trained(loss=1.05), precision="bf16").mismatches


def test_micro_batches_that_stayed_the_same_prove_nothing() -> None:
    assert "which proves nothing" in str(verdict(trained(), same_cut=False))
    assert str(verdict(trained(width=32), same_cut=False)) == "the same"


def test_control_is_the_reference_with_its_last_digit_off() -> None:
    control = make_control(pair_of(), RECIPE)
    ((override,),) = (launch.overrides for launch in control.launches)
    assert float(override.removeprefix("train.learning_rate=")) == pytest.approx(2e-5 * (1 + 2**-24), rel=1e-12)
    assert replace(control, name="reference", launches=pair_of().reference.launches) == pair_of().reference


# Traces ------------------------------------------------------------------------------------------------


def write_trace(folder: Path, process: int, *lines: tuple[int, list[int]]) -> None:
    """A process's trace: (update, indices of its micro-batches) for each line."""
    text = "".join(
        json.dumps(
            {
                "update": update,
                "learning_rate": 1e-3,
                "grad_norm": 1.0,
                "parts": [
                    {"index": i, "width": 16, "examples": [i], "loss": 0.5, "process": process} for i in indices
                ],
            }
        )
        + "\n"
        for update, indices in lines
    )
    (folder / f"process-{process}.jsonl").write_text(text)


def test_trace_is_put_together_from_all_processes(tmp_path: Path) -> None:
    write_trace(tmp_path, 0, (1, [0, 2]), (2, [0]))
    write_trace(tmp_path, 1, (1, [1]))
    first, second = read_trace(tmp_path)
    assert [(part.index, part.process) for part in first.parts] == [(0, 0), (1, 1), (2, 0)]
    assert first.loss == 1.5
    assert second.loss == 0.5


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([(1, [0]), (3, [0])], "update 2 is missing"),
        ([(1, [0]), (1, [0])], "update 1 has micro-batches"),
        ([(1, [0, 2])], "update 1 has micro-batches"),
    ],
)
def test_trace_that_is_not_whole_is_refused(tmp_path: Path, lines, words: str) -> None:
    write_trace(tmp_path, 0, *lines)
    with pytest.raises(ValueError, match=words):
        read_trace(tmp_path)
