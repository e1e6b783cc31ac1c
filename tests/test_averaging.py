"""Averaged weights: what they are after each update, what is judged and kept, and how a run with them goes on."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate import DistributedType
from conftest import train, train_by, write_recipe
from run_results import interrupt, metrics, results_of, weights_of
from safetensors.torch import load_file
from tiny import write_model, write_texts

from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.errors import UserError
from accel_cls.recipe import load_recipe, with_values
from accel_cls.training import evaluation
from accel_cls.training.averaging import (
    START_SHARE,
    Mean,
    _ExponentialAverage,
    describe_average,
    make_average,
    untried_average,
)

EACH = ("checkpoint.every=1", "checkpoint.keep=20")
PLAIN = ("model.dropout=0", "train.min_micro_batches=2")
AVERAGE = "average.safetensors"


def checkpoint(run: Path, update: int, file: str = "model.safetensors") -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"update-{update:06d}" / file)


def test_exponential_average_is_its_recurrence_and_what_is_judged_and_kept(work: Path) -> None:
    decay = 0.7
    done = train(work, f"average={{ema: {decay}}}", *EACH)
    assert done.returncode == 0, done.stderr
    assert train(work, "output=without", *EACH).returncode == 0
    total: dict[str, torch.Tensor] = {}
    for update in range(1, 13):
        weights = checkpoint(work / "run", update)
        # Training goes on from its own weights: those of a run that averages nothing, to the bit.
        without = checkpoint(work / "without", update)
        assert all(torch.equal(weights[name], without[name]) for name in weights)
        means = checkpoint(work / "run", update, AVERAGE)
        for name, mean in means.items():  # as Adam has it: from 0, and then divided by 1 - d^k
            total[name] = decay * total.get(name, 0) + (1 - decay) * weights[name].double()
            torch.testing.assert_close(mean.double(), total[name] / (1 - decay**update), rtol=1e-5, atol=1e-6)
    results = json.loads((work / "run" / "results.json").read_text(encoding="utf-8"))
    kept, best = (
        load_file(work / "run" / "model" / "model.safetensors"),
        checkpoint(work / "run", results["update"], AVERAGE),
    )
    assert all(torch.equal(kept[name], best[name]) for name in best)
    assert metrics(work / "run")[-1]["evaluation"]["loss"] != metrics(work / "without")[-1]["evaluation"]["loss"]

    before = [
        weights_of(work / "run" / "checkpoints" / "update-000012" / file) for file in (AVERAGE, "model.safetensors")
    ]
    log = metrics(work / "run")
    interrupt(work / "run", 5)
    again = train(work, f"average={{ema: {decay}}}", *EACH)
    assert "continues an unfinished run from update 5" in again.stdout, again.stderr
    assert before == [
        weights_of(work / "run" / "checkpoints" / "update-000012" / file) for file in (AVERAGE, "model.safetensors")
    ]
    assert [line.get("evaluation") for line in log] == [line.get("evaluation") for line in metrics(work / "run")]


PROBED = ("train.head_init=probe", "evaluate.best=loss", "train.learning_rate=3e-3")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A folder with an encoder, texts in its words, and a recipe of 12 updates with both."""
    write_model(tmp_path / "encoder", num_hidden_layers=1)
    write_texts(tmp_path / "reviews.csv", 240, (3, 5, 8))
    data = "{train: reviews.csv, text: text, label: label, max_length: 32}"
    write_recipe(tmp_path, data=data, model="{name: encoder, pooling: mean}")
    return tmp_path


def test_mean_with_the_start_is_between_the_two_and_training_goes_on_from_its_own_weights(encoder: Path) -> None:
    work = encoder
    share, both = 0.25, (*PROBED, *EACH)
    done = train(work, f"average={{start: {share}}}", *both)
    assert done.returncode == 0, done.stderr
    assert "kept is a mean in which the weights before the first update count 0.25" in " ".join(done.stdout.split())
    assert train(work, "output=without", *both).returncode == 0
    still = ("train.learning_rate=1e-30", "train.max_updates=1")
    assert train(work, "output=start", *PROBED, *EACH, *still).returncode == 0
    start = checkpoint(work / "start", 1)
    for update in range(1, 13):
        weights, without = checkpoint(work / "run", update), checkpoint(work / "without", update)
        assert all(torch.equal(weights[name], without[name]) for name in weights)
        for name, one in checkpoint(work / "run", update, AVERAGE).items():
            torch.testing.assert_close(one, start[name], rtol=0, atol=1e-12)
    results = json.loads((work / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["update"] > 0
    best = checkpoint(work / "run", results["update"])
    for name, kept in load_file(work / "run" / "model" / "model.safetensors").items():
        torch.testing.assert_close(kept, (1 - share) * best[name] + share * start[name])
    first, plain = metrics(work / "run")[0], metrics(work / "without")[0]
    assert first["evaluation"] == plain["evaluation"], "before the first update there is one model"
    assert metrics(work / "run")[-1]["evaluation"]["loss"] != metrics(work / "without")[-1]["evaluation"]["loss"]

    log, model = metrics(work / "run"), weights_of(work / "run" / "model" / "model.safetensors")
    interrupt(work / "run", 7)
    again = train(work, f"average={{start: {share}}}", *both)
    assert "continues an unfinished run from update 7" in again.stdout, again.stderr
    assert [line.get("evaluation") for line in metrics(work / "run")] == [line.get("evaluation") for line in log]
    assert weights_of(work / "run" / "model" / "model.safetensors") == model


def test_mean_with_the_start_is_what_a_refit_leaves_too(encoder: Path) -> None:
    work = encoder
    one, other = ("output=one", "average={start: 0.5}"), ("output=other", "average={start: 0.01}")
    for overrides in (one, other):
        done = train(work, *PROBED, "refit=true", *overrides)
        assert done.returncode == 0, done.stderr
        results = json.loads((work / overrides[0].partition("=")[2] / "results.json").read_text(encoding="utf-8"))
        assert results["refit"]["updates"] > 0
    refitted = [load_file(work / name / "model" / "model.safetensors") for name in ("one", "other")]
    assert any(not torch.equal(refitted[0][name], refitted[1][name]) for name in refitted[0])


AUTO = "average={start: auto}"


# Tiny steps leave the fitted head about as good as what comes of it; with large ones it is far behind.
CLOSE = (*PROBED, "train.learning_rate=1e-5", "evaluate.every=6", "refit=true", "evaluate.best=accuracy")
FAR = (*PROBED, "train.learning_rate=3e-2", "evaluate.every=6", "refit=true")


def test_mean_with_a_start_that_is_about_as_good_is_made_at_the_end_kept_and_refitted(encoder: Path) -> None:
    work = encoder
    done = train(work, AUTO, *CLOSE, *EACH, "train.epochs=3")
    assert done.returncode == 0, done.stderr
    results, (tried,) = results_of(work / "run"), [line for line in metrics(work / "run") if "averaged" in line]
    assert (tried["update"], tried["averaged"], tried["start_share"], tried["kept"]) == (18, 1, START_SHARE, True)
    assert (results["start_share"], results["update"], results["scores"]) == (START_SHARE, 18, tried["scores"])
    told = f"a mean in which those before the first update count {START_SHARE:g}"
    assert told in " ".join(done.stdout.split())
    assert "at the end the mean with the weights before the first update, kept where" in " ".join(done.stdout.split())
    assert told in " ".join((work / "run" / "report.md").read_text(encoding="utf-8").split())

    assert train(work, "output=plain", *CLOSE, *EACH, "refit=false", "train.epochs=3").returncode == 0
    weights, plain = (checkpoint(work / run, 18) for run in ("run", "plain"))
    assert all(torch.equal(weights[name], plain[name]) for name in weights), "training goes on from its own weights"
    start = checkpoint(work / "run", 18, AVERAGE)
    for name, one in load_file(work / "run" / "selected_model" / "model.safetensors").items():
        torch.testing.assert_close(one, torch.lerp(weights[name], start[name], START_SHARE))

    inner = work / "run" / "refit"
    end = max(int(path.name[-6:]) for path in (inner / "checkpoints").glob("update-*"))
    assert (end, results["refit"]["epoch"]) == (results["refit"]["updates"], 3)
    again, first = checkpoint(inner, end), checkpoint(inner, end, AVERAGE)
    for name, one in load_file(work / "run" / "model" / "model.safetensors").items():
        torch.testing.assert_close(one, torch.lerp(again[name], first[name], START_SHARE))


def test_mean_with_a_start_that_is_much_worse_is_not_tried_and_the_best_evaluation_is_refitted(encoder: Path) -> None:
    tried, plain = (train(encoder, *FAR, *more) for more in ((AUTO, "output=tried"), ("output=plain",)))
    assert (tried.returncode, plain.returncode) == (0, 0), tried.stderr + plain.stderr
    scores = [line["evaluation"]["loss"] for line in metrics(encoder / "tried") if "evaluation" in line]
    said = f"is not tried: loss was {scores[0]:.4f} there, and is {min(scores):.4f} at the best"
    assert said in " ".join(tried.stdout.split())
    assert not [line for line in metrics(encoder / "tried") if "averaged" in line]
    ended = [results_of(encoder / run) for run in ("tried", "plain")]
    assert [one["start_share"] for one in ended] == [0, 0]
    assert [ended[0][key] for key in ("update", "scores")] == [ended[1][key] for key in ("update", "scores")]
    models = [weights_of(encoder / run / "model" / "model.safetensors") for run in ("tried", "plain")]
    assert models[0] == models[1]


@pytest.mark.parametrize(
    ("average", "said"),
    [
        ("{ema: 0.9}", "judged and kept is an exponential moving average of the weights, by 0.9"),
        ("{last: 2}", "at the end the mean of the weights at 2 evaluations, kept where none of them was better"),
    ],
)
def test_two_processes_average_as_one(work: Path, average: str, said: str) -> None:
    alone = train(work, f"average={average}", *PLAIN, "output=one")
    assert alone.returncode == 0, alone.stderr
    assert said in " ".join(alone.stdout.split())
    two = train_by(2, work, f"average={average}", *PLAIN, "output=two")
    assert two.returncode == 0, two.stderr
    one = checkpoint(work / "one", 12, AVERAGE)
    for name, mean in checkpoint(work / "two", 12, AVERAGE).items():
        torch.testing.assert_close(mean, one[name], rtol=1e-3, atol=1e-4)
    for left, right in zip(metrics(work / "one"), metrics(work / "two"), strict=True):
        for key in ("evaluation", "scores"):
            assert right.get(key, {}) == pytest.approx(left.get(key, {}), rel=1e-3)


def test_mean_with_the_start_is_the_same_with_two_processes_and_after_a_stop(encoder: Path) -> None:
    both = (AUTO, *CLOSE, *EACH, "refit=false", "train.min_micro_batches=2")
    assert train(encoder, *both, "output=one").returncode == 0
    two = train_by(2, encoder, *both, "output=two")
    assert two.returncode == 0, two.stderr
    log, model = metrics(encoder / "one"), weights_of(encoder / "one" / "model" / "model.safetensors")
    assert log[-1]["kept"]
    for left, right in zip(log, metrics(encoder / "two"), strict=True):
        for key in ("evaluation", "scores"):
            assert right.get(key, {}) == pytest.approx(left.get(key, {}), rel=1e-3)
    interrupt(encoder / "one", 7)
    again = train(encoder, *both, "output=one")
    assert "continues an unfinished run from update 7" in again.stdout, again.stderr
    assert metrics(encoder / "one")[-1] == log[-1]
    assert weights_of(encoder / "one" / "model" / "model.safetensors") == model


def test_where_weights_are_divided_no_mean_with_the_start_is_made_unless_a_share_is_given(encoder: Path) -> None:
    base, fsdp = load_recipe(encoder / "recipe.yaml"), SimpleNamespace(distributed_type=DistributedType.FSDP)
    auto, given = (with_values(base, {"train.head_init": "probe", "average": {"start": s}}) for s in ("auto", 0.5))
    said = "average.start is auto, but no mean is tried: with FSDP no process has all weights"
    assert (untried_average(auto, fsdp), untried_average(given, fsdp)) == ([said], [])
    assert describe_average(auto, fsdp) == []
    assert make_average(auto, torch.nn.Linear(2, 2), fsdp).at_end() is None
    with pytest.raises(UserError, match="average: works where each process has all weights, not with FSDP"):
        make_average(given, torch.nn.Linear(2, 2), fsdp)


def test_mean_of_the_last_evaluations_is_tried_at_the_end_and_after_a_stop_too(work: Path) -> None:
    overrides = (
        "average={last: 2}",
        "evaluate.every=4",
        "checkpoint.every=1",
        "checkpoint.keep=20",
        "evaluate.best=loss",
    )
    done = train(work, *overrides)
    assert done.returncode == 0, done.stderr
    (tried,) = [line for line in metrics(work / "run") if "averaged" in line]
    best = min(line["evaluation"]["loss"] for line in metrics(work / "run") if "evaluation" in line)
    assert (tried["averaged"], tried["kept"]) == (2, tried["scores"]["loss"] <= best)
    assert "the mean of the weights at 2 evaluations has loss" in " ".join(done.stdout.split())
    results = json.loads((work / "run" / "results.json").read_text(encoding="utf-8"))
    kept = load_file(work / "run" / "model" / "model.safetensors")
    first, last = checkpoint(work / "run", 8), checkpoint(work / "run", 12)
    means = {name: torch.stack([first[name], last[name]]).mean(0) for name in first if first[name].is_floating_point()}
    assert all(torch.equal(kept[name], mean) for name, mean in means.items()) == tried["kept"]
    assert results["averaged"] == (2 if tried["kept"] else 1)
    assert (results["scores"]["loss"] == tried["scores"]["loss"]) == tried["kept"]

    log, model = metrics(work / "run"), weights_of(work / "run" / "model" / "model.safetensors")
    interrupt(work / "run", 9)
    assert train(work, *overrides).returncode == 0
    assert [line for line in metrics(work / "run") if "averaged" in line] == [tried]
    assert len(metrics(work / "run")) == len(log)
    assert weights_of(work / "run" / "model" / "model.safetensors") == model


@pytest.mark.parametrize(
    ("best", "score", "found", "has_start", "kept"),
    [
        ("accuracy", 0.9, 0.9, False, True),
        ("accuracy", 0.9, 0.91, False, True),
        ("accuracy", 0.9, 0.89, False, False),
        ("loss", 0.3, 0.31, False, False),
        ("loss", 0.3, float("nan"), True, False),
        ("loss", None, 0.3, False, True),
        ("accuracy", 0.9, 0.89, True, True),  # a point
        ("accuracy", 0.9, 0.889, True, False),
        ("accuracy", 0.98, 0.977, True, True),  # 15% more errors
        ("accuracy", 0.98, 0.976, True, False),
        ("loss", 0.3, 0.315, True, True),
        ("loss", 0.3, 0.316, True, False),
    ],
)
def test_mean_is_kept_where_it_is_good_enough(monkeypatch, best, score, found, has_start, kept) -> None:
    monkeypatch.setattr(evaluation, "_predict", lambda *_: object())
    logged, models = [], []
    artifacts = SimpleNamespace(
        best_by=best, score=lambda _: {best: found}, log=logged.append, keep=lambda _, model, __: models.append(model)
    )
    accelerator = SimpleNamespace(device=torch.device("cpu"), is_main_process=True, reduce=lambda tensor, _: tensor)
    told = SimpleNamespace(note=lambda _: None)
    plan, progress = SimpleNamespace(updates_per_epoch=4), Progress(update=8, best_score=score)
    t = SimpleNamespace(accelerator=accelerator, model="model", plan=plan, artifacts=artifacts, console=told)
    assert evaluation.evaluate_average(t, progress, Mean("the mean", {"averaged": 3}, {}, dict, has_start)) is None
    assert models == ["model"] * kept
    assert logged == [
        {"update": 8, "epoch": 2.0, "averaged": 3, "scores": {best: pytest.approx(found, nan_ok=True)}, "kept": kept}
    ]


def test_trained_weights_are_back_after_a_failed_evaluation() -> None:
    layer = torch.nn.Linear(2, 2)
    average = _ExponentialAverage(dict(layer.named_parameters()), 0.9)
    first = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.add_(1)

    inside = []
    with pytest.raises(ZeroDivisionError), average.judged():
        inside.append(layer.weight.detach().clone()) or 1 / 0
    assert torch.equal(inside[0], first)
    assert torch.equal(layer.weight, first + 1)
    assert torch.equal(average.tensors()["weight"], first)
