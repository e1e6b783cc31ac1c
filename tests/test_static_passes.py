"""Passes of static shape: what texts of padding change, and that nothing waits for the device or reads the host."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from packed_texts import FAMILY_CASES, batches_of_texts, logits_and_gradients, small_model
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from accel_cls.batching.batches import Batch
from accel_cls.batching.layout import Layout, MicroBatch
from accel_cls.batching.static_batches import static_arrays, static_batch
from accel_cls.batching.static_shapes import StaticShape
from accel_cls.devices.cuda import flash
from accel_cls.devices.cuda.flash import Spans, flash_attention, has_operator
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

_CPU = torch.device("cpu")
_HEADS: list[dict[str, Any]] = [
    *({"pooling": pooling} for pooling in ("mean", "max", "attention")),
    *({"head": head} for head in ("cnn", "bilstm", "rcnn", "dpcnn")),
    {"pooling": "mean", "is_pair": True, "separator": 7, "special_tokens": [7, 8]},
    {"pooling": "mean", "last_layers": 2},
]


def _static(
    first_position: int, types: bool = False, device: torch.device = _CPU
) -> tuple[Batch, MicroBatch, StaticShape]:
    """Nine texts in two micro-batches, the first of them filled up to a shape."""
    batches = batches_of_texts(first_position, types=types)
    part, _ = Layout(160, 160, packed=True).to_micro_batches(np.arange(9), batches.encoded.lengths)
    shape = StaticShape(256, len(part.examples) + 3, 70)
    tensors = {name: torch.from_numpy(one).to(device) for name, one in static_arrays(batches, part, shape).items()}
    return static_batch(tensors, shape), part, shape


@pytest.mark.parametrize(("family", "more"), FAMILY_CASES, ids=lambda case: str(case))
def test_texts_that_are_filled_up_have_the_logits_and_gradients_of_others(
    family: str, more: dict[str, object]
) -> None:
    model = small_model(family, more).train()
    first, types = make_packable(model), getattr(model.config, "type_vocab_size", 0) > 1
    filled, part, _ = _static(first, types)
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
    model = small_model(family, {}).train()
    batch, *_ = _static(make_packable(model), getattr(model.config, "type_vocab_size", 0) > 1)
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
        compile_layers(small_model("albert", {}), "train.compile", deterministic=True)


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
    batch, *_ = _static(make_packable(model), types)
    with _Operators() as operators:
        logits = model(**batch.inputs).logits
        (cross_entropy(logits, batch.labels, reduction="none") * batch.mask).sum().backward()
    assert "embedding" in operators.seen
    assert not operators.seen & _WAITING


@pytest.mark.parametrize(("family", "more"), FAMILY_CASES, ids=lambda case: str(case))
def test_no_pass_of_a_family_waits_for_the_device(family: str, more: dict[str, object]) -> None:
    model = small_model(family, more, dropout=0.1).train()
    _assert_waits_for_nothing(model, getattr(model.config, "type_vocab_size", 0) > 1)


def _with_head(head: dict[str, Any]) -> torch.nn.Module:
    options = {"pooling": "max"} | head
    config = PooledConfig(encoder=small_model("bert", {}).config, **options, num_labels=3, classifier_dropout=0.1)
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
    batch, _, shape = _static(make_packable(model), types, torch.device("meta"))
    model = model.to("meta", torch.bfloat16)
    logits = model(**batch.inputs).logits
    assert logits.shape == (shape.texts, 3)
    (cross_entropy(logits.float(), batch.labels, reduction="none") * batch.mask).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    return shapes


@pytest.mark.parametrize(("family", "more"), FAMILY_CASES, ids=lambda case: str(case))
def test_a_pass_needs_only_what_lies_on_the_device(
    family: str, more: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(family, more, dropout=0.1).train()
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


def _leaves_rows_of_no_text(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, where: Spans, *more: Any
) -> torch.Tensor:
    """As FlashAttention: rows behind the last text are whatever lay in their memory, in answers and gradients."""

    def garbage(rows: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        return torch.cat([rows[: int(offsets[-1])], torch.full_like(rows[int(offsets[-1]) :], torch.nan)])

    inputs = [(query, where.query_offsets), (key, where.key_offsets), (value, where.key_offsets)]
    watched = [tensor.view_as(tensor) for tensor, _ in inputs]
    for tensor, (_, offsets) in zip(watched, inputs, strict=True):
        tensor.register_hook(lambda gradient, offsets=offsets: garbage(gradient, offsets))
    return garbage(spans._dense(*watched, where, *more), where.query_offsets)


@pytest.mark.parametrize(("family", "more"), FAMILY_CASES, ids=lambda case: str(case))
def test_no_gradient_is_read_that_flash_attention_has_not_written(
    family: str, more: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of micro-batches with fillers, too: those of any shape."""
    model = small_model(family, more).train()
    batches = batches_of_texts(make_packable(model), types=getattr(model.config, "type_vocab_size", 0) > 1)
    parts = [Layout(1024, 128, packed=True).lay_out(range(9), batches.encoded.lengths)]
    assert not batches.make(parts[0]).inputs["packing"].is_full
    wanted = logits_and_gradients(model, batches, parts)
    monkeypatch.setattr(spans, "why_not_flash", lambda *_: None)
    monkeypatch.setattr(spans, "flash_attention", _leaves_rows_of_no_text)
    logits, gradients = logits_and_gradients(model, batches, parts)
    torch.testing.assert_close(logits, wanted[0], rtol=0, atol=1e-10)
    for name, gradient in wanted[1].items():
        torch.testing.assert_close(gradients[name], gradient, rtol=0, atol=1e-9, msg=name)


def test_flash_attention_is_called_as_torch_has_it() -> None:
    assert has_operator()
    # Without memory: shapes and gradients are worked out, by the operator's own rules.
    query, key, value = (
        torch.empty(rows, 4, 64, dtype=torch.bfloat16, device="meta", requires_grad=True) for rows in (9, 200, 200)
    )
    offsets = [torch.empty(10, dtype=torch.int32, device="meta") for _ in range(2)]
    output = flash_attention(query, key, value, Spans(*offsets, 1, 70), 0.125, 0.1, None)
    assert output.shape == (9, 4, 64)
    assert output.dtype == torch.bfloat16
    gradients = torch.autograd.grad(output.sum(), [query, key, value])
    assert [gradient.shape for gradient in gradients] == [(9, 4, 64), (200, 4, 64), (200, 4, 64)]
    assert flash_attention(key, key, value, Spans(*offsets, 70, 70), 0.125, 0.0, 9).shape == (200, 4, 64)


def test_flash_attention_is_tried_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> torch.Tensor:
        raise RuntimeError("no kernel image\nand so on")

    kinds = {
        spans._dense: None,
        fails: "FlashAttention failed in a trial: no kernel image",
        lambda *given: spans._dense(*given) * 1.1: "FlashAttention gave wrong answers in a trial",
        lambda *given: spans._dense(*given) * torch.nan: "FlashAttention gave wrong answers in a trial",
        # As if all tokens were one text.
        lambda q, k, v, where, *more: spans._dense(
            q, k, v, flash.Spans(where.query_offsets[[0, 2]], where.key_offsets[[0, 2]], 17, 17), *more
        ): "FlashAttention gave wrong answers in a trial",
    }
    for attend, said in kinds.items():
        monkeypatch.setattr(flash, "flash_attention", attend)
        assert flash.fault_in_trial(_CPU, torch.bfloat16, 64) == said
