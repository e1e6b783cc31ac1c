"""Updates of static shapes, which a CUDA device plays as graphs: the same training, without a wait for the device."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import train, write_recipe, write_reviews
from packed_texts import batches_of_texts
from recorded_training import SAID
from run_results import metrics, numbers, weights_of
from same_training import assert_goes_on_exactly, assert_two_processes_train_as_one
from test_packing import _CASES, _model
from tiny import write_model, write_texts
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from accel_cls.batching.batches import Batch
from accel_cls.batching.layout import Layout, MicroBatch
from accel_cls.batching.plan import Plan
from accel_cls.batching.static_batches import static_arrays, static_batch
from accel_cls.batching.static_shapes import MOST_SHAPES, StaticShape, choose_shapes, shape_for
from accel_cls.devices.cuda.flash import flash_attention, has_operator
from accel_cls.devices.cuda.static_tensors import StaticTensors
from accel_cls.errors import UserError
from accel_cls.models.compiling import compile_layers
from accel_cls.models.own.configurations import PooledConfig
from accel_cls.models.own.pooled import PooledForSequenceClassification
from accel_cls.models.packing import make_packable, spans
from accel_cls.tasks.losses import (
    BinaryCrossEntropy,
    BinaryFocalLoss,
    CrossEntropy,
    FocalLoss,
    GeneralizedCrossEntropy,
)
from accel_cls.tasks.ordinal import CumulativeCrossEntropy
from tools import warm

_CPU = torch.device("cpu")
_HEADS: list[dict[str, Any]] = [
    *({"pooling": pooling} for pooling in ("mean", "max", "attention")),
    *({"head": head} for head in ("cnn", "bilstm", "rcnn", "dpcnn")),
    {"pooling": "mean", "is_pair": True, "separator": 7, "special_tokens": [7, 8]},
    {"pooling": "mean", "last_layers": 2},
]


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


def _static(first_position: int, types: bool = False) -> tuple[Batch, MicroBatch]:
    """Nine texts in two micro-batches, the first of them filled up."""
    batches = batches_of_texts(first_position, types=types)
    part, _ = Layout(160, 160, packed=True).to_micro_batches(np.arange(9), batches.encoded.lengths)
    shape = StaticShape(256, len(part.examples) + 3, 70)
    arrays = static_arrays(batches, part, shape)
    return static_batch({name: torch.from_numpy(array) for name, array in arrays.items()}, shape), part


@pytest.mark.parametrize(("family", "more"), _CASES, ids=lambda case: str(case))
def test_texts_that_are_filled_up_have_the_logits_and_gradients_of_others(
    family: str, more: dict[str, object]
) -> None:
    model = _model(family, more).train()
    first, types = make_packable(model), getattr(model.config, "type_vocab_size", 0) > 1
    filled, part = _static(first, types)
    usual = batches_of_texts(first, types=types).make(part)
    answers = []
    for batch in (usual, filled):
        model.zero_grad()
        logits = model(**batch.inputs).logits
        (cross_entropy(logits, batch.labels, reduction="none") * batch.mask).sum().backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
        answers.append((logits[: len(part.examples)].detach(), gradients))
    (logits, gradients), (logits_filled, gradients_filled) = answers
    assert (logits - logits_filled).abs().max() < 1e-10 * logits.abs().max()
    scale = max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        assert (gradient - gradients_filled[name]).abs().max() < 1e-10 * scale, name


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_compiled_layers_have_the_logits_and_gradients_of_others(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Inductor takes a minute; what it is given, and what it gives back, is the same without it.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    model = _model(family, {}).train()
    batch, _ = _static(make_packable(model), getattr(model.config, "type_vocab_size", 0) > 1)
    answers = []
    for compiled in (False, True):
        if compiled:
            assert compile_layers(model, "train.compile", deterministic=True) >= 3  # layers
            torch._dynamo.utils.counters.clear()
        model.zero_grad()
        logits = model(**batch.inputs).logits
        cross_entropy(logits, batch.labels).backward()
        answers.append(torch.cat([logits.detach().flatten(), *(p.grad.flatten() for p in model.parameters())]))
    assert (answers[0] - answers[1]).abs().max() < 1e-10 * answers[0].abs().max()
    programs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    # Of each kind of part one for all layers, and one for the first tokens of the last layer.
    assert 2 <= programs <= 6
    assert not torch._dynamo.utils.counters["graph_break"]
    model.eval()(**batch.inputs)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == programs


def test_layers_that_are_one_layer_are_not_compiled() -> None:
    with pytest.raises(UserError, match="expected false for albert"):
        compile_layers(_model("albert", {}), "train.compile", deterministic=True)


class _Operators(TorchDispatchMode):
    """Counts the operators of a pass and of its backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("output_size") is None:  # with that, repeat_interleave need not ask for the sum
            self.seen.add(function.overloadpacket.__name__)
        return function(*args, **kwargs)


# What makes the host wait for a device's numbers, or brings it numbers from a place that a graph can't read again.
_WAITING = {
    *("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "is_nonzero", "equal", "_unique2"),
    *("unique_dim", "unique_consecutive", "repeat_interleave", "bincount"),
}


def _assert_waits_for_nothing(model: torch.nn.Module, types: bool = False) -> None:
    batch, _ = _static(make_packable(model), types)
    with _Operators() as operators:
        logits = model(**batch.inputs).logits
        (cross_entropy(logits, batch.labels, reduction="none") * batch.mask).sum().backward()
    assert "embedding" in operators.seen
    assert not operators.seen & _WAITING


@pytest.mark.parametrize(("family", "more"), _CASES, ids=lambda case: str(case))
def test_no_pass_of_a_family_waits_for_the_device(family: str, more: dict[str, object]) -> None:
    model = _model(family, more, dropout=0.1).train()
    _assert_waits_for_nothing(model, getattr(model.config, "type_vocab_size", 0) > 1)


def _with_head(head: dict[str, Any]) -> torch.nn.Module:
    options = {"pooling": "max"} | head
    config = PooledConfig(encoder=_model("bert", {}).config, **options, num_labels=3, classifier_dropout=0.1)
    return PooledForSequenceClassification(config).double().train()


@pytest.mark.parametrize("head", _HEADS, ids=str)
def test_no_pass_of_a_head_waits_for_the_device(head: dict[str, Any]) -> None:
    _assert_waits_for_nothing(_with_head(head))


def _pass_on_meta(model: torch.nn.Module, types: bool, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """A pass and its backward pass in bf16 on the meta device, by FlashAttention; the shapes of its queries.

    What mixes devices fails there, and so does whatever asks for a number.
    """
    monkeypatch.setattr(spans, "why_not_flash", lambda *_: None)
    shapes = []

    def flash(query: torch.Tensor, *rest: Any) -> torch.Tensor:
        shapes.append(tuple(query.shape))
        return flash_attention(query, *rest)

    monkeypatch.setattr(spans, "flash_attention", flash)
    batches = batches_of_texts(make_packable(model), types=types)
    part, _ = Layout(160, 160, packed=True).to_micro_batches(np.arange(9), batches.encoded.lengths)
    shape = StaticShape(256, len(part.examples) + 3, 70)
    arrays = static_arrays(batches, part, shape)
    tensors = {name: torch.from_numpy(array).to("meta") for name, array in arrays.items()}
    batch = static_batch(tensors, shape)
    model = model.to("meta", torch.bfloat16)
    logits = model(**batch.inputs).logits
    assert logits.shape == (shape.texts, 3)
    (cross_entropy(logits.float(), batch.labels, reduction="none") * batch.mask).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    return shapes


@pytest.mark.parametrize(("family", "more"), _CASES, ids=lambda case: str(case))
def test_a_pass_needs_only_what_lies_on_the_device(
    family: str, more: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model(family, more, dropout=0.1).train()
    shapes = _pass_on_meta(model, getattr(model.config, "type_vocab_size", 0) > 1, monkeypatch)
    # ALBERT's layers are one; ModernBERT's mean reads all tokens, and its last layer here has no window.
    reads_all = family == "albert" or "classifier_pooling" in more
    assert [rows == 256 for rows, *_ in shapes] == [True, True, reads_all]


@pytest.mark.parametrize("head", _HEADS, ids=str)
def test_a_head_needs_only_what_lies_on_the_device(head: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert _pass_on_meta(_with_head(head), False, monkeypatch)


def test_no_loss_waits_for_the_device() -> None:
    logits, labels = torch.randn(6, 3, requires_grad=True), torch.tensor([0, 1, 2, 0, 1, 2])
    weights = np.array([1, 2, 3], np.float32)
    single = (
        CrossEntropy(weights, 0.1, _CPU),
        FocalLoss(weights, 0.1, _CPU, 2.0),
        GeneralizedCrossEntropy(weights, 0.1, _CPU, 0.7),
        CumulativeCrossEntropy(weights, 0.1, _CPU),
    )
    several = BinaryCrossEntropy(weights, 0.1, _CPU), BinaryFocalLoss(weights, 0.1, _CPU, 2.0)
    flags = (torch.arange(18).view(6, 3) % 2).float()
    for losses, target in [*((loss, labels) for loss in single), *((loss, flags) for loss in several)]:
        with _Operators() as operators:
            losses.losses(logits, target).sum().backward()
        assert operators.seen
        assert not operators.seen & _WAITING, losses


def test_flash_attention_is_called_as_torch_has_it() -> None:
    assert has_operator()
    # Without memory: shapes and gradients are worked out, by the operator's own rules.
    query, key, value = (
        torch.empty(rows, 4, 64, dtype=torch.bfloat16, device="meta", requires_grad=True) for rows in (9, 200, 200)
    )
    offsets = [torch.empty(10, dtype=torch.int32, device="meta") for _ in range(2)]
    output = flash_attention(query, key, value, *offsets, 1, 70, 0.125, 0.1, None)
    assert output.shape == (9, 4, 64)
    assert output.dtype == torch.bfloat16
    gradients = torch.autograd.grad(output.sum(), [query, key, value])
    assert [gradient.shape for gradient in gradients] == [(9, 4, 64), (200, 4, 64), (200, 4, 64)]
    assert flash_attention(key, key, value, *offsets, 70, 70, 0.125, 0.0, 9).shape == (200, 4, 64)


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
    ("setting", "why"),
    [
        ("train.packing=false", "texts are padded"),
        ("train.kernels=plain", "train.kernels is plain"),
        ("train.gradient_checkpointing=true", "train.gradient_checkpointing"),
        ("train.unfreeze=1", "train.unfreeze"),
        ("loss.r_drop=1", "more of each example than one pass"),
        ("data.windows={overlap: 4}", "data.windows"),
        ("model.dropout_samples=2", "model.dropout_samples"),
    ],
)
def test_what_can_t_be_is_refused_with_its_reason(folder: Path, setting: str, why: str) -> None:
    refused = train(folder, _STATIC, setting)
    assert refused.returncode != 0
    assert "train.cuda_graphs: found true; expected auto, since" in refused.stderr
    assert why in refused.stderr
    assert "Traceback" not in refused.stderr


def test_layers_are_compiled_only_for_few_shapes(folder: Path) -> None:
    refused = train(folder, "train.compile=true")
    assert refused.returncode != 0
    assert (
        "train.compile: found true; expected false: micro-batches have many shapes, since on a CPU" in refused.stderr
    )
    assert "Traceback" not in refused.stderr
