"""Updates of static shapes, which a CUDA device plays as graphs: the same training, without a wait for the device."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import train, write_recipe, write_reviews
from recorded_training import SAID
from run_results import metrics, numbers, weights_of
from same_training import assert_goes_on_exactly, assert_two_processes_train_as_one
from tiny import write_model, write_texts

from accel_cls.batching.layout import Layout, MicroBatch
from accel_cls.batching.plan import Plan
from accel_cls.batching.static_shapes import MOST_SHAPES, StaticShape, choose_shapes, shape_for
from accel_cls.devices.cuda.static_tensors import StaticTensors
from accel_cls.recipe import load_recipe
from accel_cls.recipe.errors import RecipeError
from tools import warm

_CPU = torch.device("cpu")


def _plan(lengths: np.ndarray, tokens: int, batch_size: int, min_micro_batches: int = 1) -> Plan:
    layout = Layout(tokens, int(lengths.max()), packed=True)
    kind: Any = (layout, batch_size, min_micro_batches, 2, None, 1e-3, 0, "linear", 3)
    return Plan(lengths, *kind)


def _sizes(plan: Plan, processes: int) -> Iterator[tuple[MicroBatch, int]]:
    for update in range(plan.updates):
        for part in plan.micro_batches(update, processes):
            yield part, int(plan.lengths[list(part.examples)].sum())


@pytest.mark.parametrize(("tokens", "batch_size"), [(4096, 16), (256, 32), (64, 50), (4096, 1)])
@pytest.mark.parametrize("processes", [1, 3])
def test_few_shapes_hold_all_micro_batches(tokens: int, batch_size: int, processes: int) -> None:
    draw = np.random.default_rng(2)
    plan = _plan(np.minimum(draw.geometric(1 / 25, 700) + 2, 60).astype(np.int32), tokens, batch_size)
    shapes = choose_shapes(plan, processes)
    assert 1 <= len(shapes) <= MOST_SHAPES
    for part, real in _sizes(plan, processes):
        shape, is_common = shape_for(shapes, real, len(part.examples))
        assert is_common
        filled = shape.filled_up(plan.lengths[list(part.examples)])
        assert (len(filled), filled.sum()) == (shape.texts, shape.tokens)
        assert filled.min() >= 1
        assert filled.max() <= shape.longest


def test_shapes_do_not_follow_from_where_a_run_ends() -> None:
    lengths = np.minimum(np.random.default_rng(2).geometric(1 / 25, 700) + 2, 60).astype(np.int32)
    plan = _plan(lengths, 4096, 16)
    shapes = choose_shapes(plan, 1)
    for change in ({"max_updates": 2}, {"epochs": 20}):
        assert choose_shapes(dataclasses.replace(plan, **change), 1) == shapes


def test_shapes_are_the_cut_with_the_least_padding() -> None:
    plan = _plan(np.repeat(np.array([10, 30, 31, 60, 61, 62], np.int32) * 8, [40, 4, 30, 3, 9, 20]), 600, 1)
    shapes = choose_shapes(plan, 1)
    sizes = [real for _, real in _sizes(plan, 1)]
    found = sum(shape_for(shapes, real, 1)[0].tokens for real in sizes)
    steps = [64 * k for k in range(1, 10)]
    least = min(
        sum(min(step for step in chosen if step > real) for real in sizes)
        for count in range(1, MOST_SHAPES + 1)
        for chosen in itertools.combinations(steps, count)
        if max(chosen) > max(sizes)
    )
    assert found <= least * 1.02 ** (MOST_SHAPES - 1)  # a shape that saves less than 2% is left out


def test_a_micro_batch_that_no_shape_holds_has_one_of_its_own() -> None:
    shapes = (StaticShape(64, 9, 40), StaticShape(192, 17, 40))
    assert shape_for(shapes, 63, 8) == (shapes[0], True)
    assert shape_for(shapes, 64, 8) == (shapes[1], True)
    assert shape_for(shapes, 10, 8)[0] != shapes[0]  # one text of padding can't have 54 tokens
    shape, is_common = shape_for(shapes, 190, 20)
    assert not is_common
    assert shape.holds(190, 20)


def test_tensors_keep_their_place_when_they_are_filled_anew() -> None:
    def arrays(k: int) -> dict[str, np.ndarray]:
        return {
            "ids": np.arange(k, k + 6).reshape(1, 6),
            "share": np.full(3, k / 2, np.float32),
            "weight": np.array(k, np.float32),
        }

    static = StaticTensors(arrays(1), _CPU)
    places = {name: tensor.data_ptr() for name, tensor in static.tensors.items()}
    for k in (5, 7):
        static.fill(arrays(k))
        for name, array in arrays(k).items():
            assert static.tensors[name].data_ptr() == places[name]
            assert np.array_equal(static.tensors[name].numpy(), array)
    with pytest.raises(AssertionError):
        static.fill(arrays(1) | {"share": np.zeros(4, np.float32)})


_STATIC = "train.cuda_graphs=true"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with reviews and a recipe over them."""
    write_reviews(tmp_path / "reviews.csv")
    write_recipe(tmp_path)
    return tmp_path


@pytest.mark.parametrize("tokens", [256, 4096], ids=["several micro-batches", "one micro-batch"])
def test_trains_as_updates_of_any_shape_do(folder: Path, tokens: int) -> None:
    settings = ["model.dropout=0", f"train.micro_batch_tokens={tokens}", "train.class_weights=balanced"]
    usual = train(folder, *settings, "output=usual")
    static = train(folder, *settings, _STATIC, "output=static")
    assert usual.returncode == 0, usual.stderr
    assert static.returncode == 0, static.stderr
    assert "filled up to" in static.stdout
    assert "filled up to" not in usual.stdout
    for left, right in zip(metrics(folder / "usual"), metrics(folder / "static"), strict=True):
        assert numbers(left) == pytest.approx(numbers(right), rel=1e-4)


def test_same_training_on_two_processes_and_after_a_stop(folder: Path) -> None:
    settings = [
        _STATIC,
        "train.min_micro_batches=2",
        "checkpoint.every=4",
        "train.batch_size=31",
        "average={ema: 0.9}",
    ]
    assert_two_processes_train_as_one(folder, *settings)  # with dropout
    assert_goes_on_exactly(folder / "one", *settings, update=7)


@pytest.mark.parametrize(
    "settings",
    [
        ["train.micro_batch_tokens=4096", "train.class_weights=balanced", "loss.kind=focal", "model.pooling=mean"],
        ["train.layer_decay=0.8", "model.freeze=embeddings", "average={ema: 0.9}", "train.weight_decay=0.3"],
        ["model.head=cnn", "train.micro_batch_tokens=4096", "train.max_grad_norm=0.05", "train.schedule=cosine"],
        ["model.lora={rank: 2}", "train.label_smoothing=0.1", "train.batch_size=31"],
    ],
    ids=lambda settings: settings[0],
)
def test_nothing_but_operators_on_tensors_in_their_place_makes_an_update(folder: Path, settings: list[str]) -> None:
    # With dropout; at a rate that the CPU's masks do not round by a draw, at whose number they look.
    settings = [_STATIC, "model.scratch={layers: 2, hidden: 32, heads: 2, vocabulary: 200, dropout: 0.125}", *settings]
    played = warm.run("tests.recorded_training", ["recipe.yaml", *settings, "output=played"], folder, None)
    assert played.returncode == 0, played.stderr
    assert played.stdout.count(SAID) >= 2  # shapes, or a shape and the step
    called = train(folder, *settings, "output=called")
    assert called.returncode == 0, called.stderr
    assert [*map(numbers, metrics(folder / "played"))] == [*map(numbers, metrics(folder / "called"))]
    weights = [weights_of(folder / run / "model" / "model.safetensors") for run in ("played", "called")]
    assert weights[0] == weights[1]


def test_a_head_of_ours_is_trained_so(tmp_path: Path) -> None:
    write_model(tmp_path / "encoder", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    write_texts(tmp_path / "texts.csv", 60, range(1, 9))
    data, model = "{train: texts.csv, text: text, label: label, max_length: 32}", "{name: ./encoder, pooling: mean}"
    write_recipe(tmp_path, data=data, model=model)
    static, usual = train(tmp_path, _STATIC, "output=static"), train(tmp_path, "output=usual")
    assert static.returncode == 0, static.stderr
    assert usual.returncode == 0, usual.stderr
    for left, right in zip(metrics(tmp_path / "static"), metrics(tmp_path / "usual"), strict=True):
        assert numbers(left) == pytest.approx(numbers(right), rel=1e-4)


@pytest.mark.parametrize(
    "setting",
    [
        "train.packing=false",
        "train.kernels=plain",
        "train.gradient_checkpointing=true",
        "train.unfreeze=1",
        "loss.r_drop=1",
        "loss.contrastive=0.5",
        "loss.adversarial=fgm",
        "data.windows={overlap: 4}",
        "model.dropout_samples=2",
        "model.scratch.architecture=ngrams",
        "distill={teacher: somewhere}",
        "few_shot={examples: 8}",
    ],
)
def test_what_has_no_static_shape_is_refused_beside_it(folder: Path, setting: str) -> None:
    path, key = folder / "recipe.yaml", setting.partition("=")[0]
    settings = [setting, "model.name=./encoder"] if key == "few_shot" else [setting]
    load_recipe(path, settings)
    for asked, instead in ((_STATIC, "auto"), ("train.compile=true", "false")):
        with pytest.raises(RecipeError) as refused:
            load_recipe(path, [*settings, asked])
        assert f"found true beside {key}" in str(refused.value)
        assert f"expected {instead}, or leave that out" in str(refused.value)


def test_a_family_that_is_padded_is_refused_before_training(tmp_path: Path) -> None:
    write_model(tmp_path / "encoder", "deberta-v2")
    write_texts(tmp_path / "texts.csv", 60, range(1, 9))
    data = "{train: texts.csv, text: text, label: label, max_length: 32}"
    write_recipe(tmp_path, data=data, model="{name: ./encoder}")
    refused = train(tmp_path, _STATIC)
    assert refused.returncode != 0
    assert "train.cuda_graphs: found true; expected auto, since texts of this family are padded" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_layers_are_compiled_only_for_few_shapes(folder: Path) -> None:
    refused = train(folder, "train.compile=true")
    assert refused.returncode != 0
    assert (
        "train.compile: found true; expected false: micro-batches have many shapes, since on a CPU" in refused.stderr
    )
    assert "Traceback" not in refused.stderr
