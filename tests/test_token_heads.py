"""Heads that read all tokens, the mix of layers, and draws of dropout: what they mean, and that texts stay apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from packed_texts import assert_packed_as_padded, batches_of_texts
from test_deterministic import OF_ANY_ORDER, Operations
from test_pooling import _DISTIL, _PAIR, _SMALL
from tiny import write_model
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from accel_cls.batching.layout import Layout
from accel_cls.errors import UserError
from accel_cls.memory.activations import activation_bytes, saved_tensor_bytes
from accel_cls.models.capabilities.padding import right_padding
from accel_cls.models.own.configurations import PooledConfig
from accel_cls.models.own.heads import DPCNN, RCNN, BiLSTM, LayerMix, TextCNN
from accel_cls.models.own.pooled import PooledForSequenceClassification
from accel_cls.models.own.tokens import PaddedTokens
from accel_cls.models.packing import make_packable
from accel_cls.recipe.sections.model import POOLINGS_OF
from accel_cls.training.dropout_samples import MeanOverDraws, sample_dropout

_LENGTHS = (7, 1, 2, 3, 12, 0, 4)  # shorter than the widest convolution, too; of a pair, one text may have no token
_HEADS = [(head, pooling) for head, ways in POOLINGS_OF.items() for pooling in ways if head != "linear"]


def _classifier(
    head: str, pooling: str, layers: int = 1, family: str = "bert", **more
) -> PooledForSequenceClassification:
    encoder = AutoConfig.for_model(family, **_SMALL | (_DISTIL if family == "distilbert" else {}))
    options = {"classifier_dropout": 0.0, "head_size": 12, "initializer_range": 0.3} | more
    torch.manual_seed(5)
    return PooledForSequenceClassification(
        PooledConfig(encoder=encoder, head=head, pooling=pooling, last_layers=layers, num_labels=3, **options)
    )


@pytest.mark.parametrize(
    ("family", "head", "pooling", "layers", "pair"),
    [
        *(("bert", head, pooling, 1, {}) for head, pooling in _HEADS),
        *(("roberta", head, pooling, 2, _PAIR) for head, pooling in _HEADS),
        ("distilbert", "linear", "first", 2, {}),
        ("albert", "linear", "mean", 2, _PAIR),
        ("modernbert", "cnn", "max", 2, {}),
    ],
)
def test_packed_texts_have_the_logits_and_gradients_of_padded_ones(
    family: str, head: str, pooling: str, layers: int, pair: dict
) -> None:
    model = _classifier(head, pooling, layers, family, **pair).double().train()
    logits, _ = assert_packed_as_padded(model)
    assert logits.std(0).min() > 1e-3  # the texts differ in what the model says of them
    assert all(p.grad is not None for p in model.parameters()), "DDP would wait for the others"


def _texts(side: str = "right") -> tuple[torch.Tensor, torch.Tensor]:
    """States [texts, 12, 5] with noise at padding, and where the tokens are."""
    draw = torch.Generator().manual_seed(3)
    noise = torch.randn(len(_LENGTHS), 12, 5, generator=draw, dtype=torch.float64)
    real = torch.zeros(noise.shape[:2], dtype=torch.bool)
    states = 100 * noise
    for i, length in enumerate(_LENGTHS):
        places = slice(0, length) if side == "right" else slice(12 - length, 12)
        real[i, places] = True
        states[i, places] = torch.randn(length, 5, generator=torch.Generator().manual_seed(i), dtype=torch.float64)
    return states, real


def _read(head: torch.nn.Module, side: str = "right") -> torch.Tensor:
    states, real = _texts(side)
    return head(states, real, PaddedTokens(real))


def _each() -> list[torch.Tensor]:
    """The states of each text, [tokens, 5]; a text of no token is one of zeros."""
    states, real = _texts()
    return [text[mask] if mask.any() else torch.zeros(1, 5).double() for text, mask in zip(states, real, strict=True)]


def test_text_cnn_is_what_a_loop_over_texts_and_windows_makes() -> None:
    torch.manual_seed(1)
    head = TextCNN(5, 6, [2, 3, 4]).double()
    for text, found in zip(_each(), _read(head), strict=True):
        expected = []
        for convolution in head.convolutions:
            width = convolution.kernel_size[0]
            filled = torch.cat([text, torch.zeros(max(width - len(text), 0), 5)])
            windows = [filled[i : i + width] for i in range(len(filled) - width + 1)]
            weight = convolution.weight  # [filters, numbers, width]
            values = [(weight * window.T).sum((1, 2)) + convolution.bias for window in windows]
            expected.append(torch.stack(values).amax(0).relu())
        assert torch.allclose(found, torch.cat(expected), atol=1e-12)


def _lstm_of(head: torch.nn.Module) -> torch.nn.LSTM:
    """torch's own LSTM of both directions with the head's weights."""
    both = torch.nn.LSTM(5, 6, batch_first=True, bidirectional=True).double()
    for name, weight in head.lstm.from_left.named_parameters():
        getattr(both, name).data.copy_(weight.data)
    for name, weight in head.lstm.from_right.named_parameters():
        getattr(both, f"{name}_reverse").data.copy_(weight.data)
    return both


def test_bilstm_is_torchs_over_each_text() -> None:
    last, highest = BiLSTM(5, 6, "last").double(), BiLSTM(5, 6, "max").double()
    for i, text in enumerate(_each()):
        if not _LENGTHS[i]:
            continue
        _, (states, _) = _lstm_of(last)(text)
        assert torch.allclose(_read(last)[i], states.flatten(), atol=1e-12)
        every, _ = _lstm_of(highest)(text)
        assert torch.allclose(_read(highest)[i], every.amax(0), atol=1e-12)


def test_rcnn_reads_what_is_before_and_after_each_token() -> None:
    head = RCNN(5, 6).double()
    for i, text in enumerate(_each()):
        if not _LENGTHS[i]:
            continue
        states, _ = _lstm_of(head)(text)
        none = torch.zeros(1, 6).double()
        before, after = torch.cat([none, states[:-1, :6]]), torch.cat([states[1:, 6:], none])
        expected = head.dense(torch.cat([before, text, after], 1)).tanh().amax(0)
        assert torch.allclose(_read(head)[i], expected, atol=1e-12)


def test_dpcnn_is_a_pyramid_that_halves_each_text() -> None:
    head = DPCNN(5, 6, 4).double()
    levels: list[torch.Tensor] = []
    for block in head.blocks:
        block.register_forward_pre_hook(lambda _, given: levels.append(given[1]))
    found = _read(head)
    assert [level.tolist() for level in levels] == [
        [7, 1, 2, 3, 12, 1, 4],
        [4, 1, 1, 2, 6, 1, 2],
        [2, 1, 1, 1, 3, 1, 1],
        [1, 1, 1, 1, 2, 1, 1],
    ]
    for text, vector in zip(_each(), found, strict=True):
        states = head.region(text.T[None])[0]
        for level, block in enumerate(head.blocks):
            if level:
                starts = range(0, states.shape[1], 2)
                states = torch.stack([states[:, i : i + 3].amax(1) for i in starts], 1)
            states = states + block.second(block.first(states.relu()[None]).relu())[0]
        assert torch.allclose(vector, states.amax(1), atol=1e-12)


@pytest.mark.parametrize("head", [TextCNN(5, 6, [2, 3, 4]), BiLSTM(5, 6, "mean"), BiLSTM(5, 6, "last"), RCNN(5, 6)])
def test_padding_on_the_left_changes_nothing(head: torch.nn.Module) -> None:
    head = head.double()
    assert torch.allclose(_read(head, "left"), _read(head, "right"), atol=1e-12)


def test_mix_is_a_mean_of_layers_and_of_one_that_layer() -> None:
    states = [torch.full((2, 3), value) for value in (1.0, 2.0, 6.0)]
    assert torch.equal(LayerMix(3)(states), torch.full((2, 3), 3.0))
    assert torch.equal(LayerMix(1)(states[:1]), states[0])
    mix = LayerMix(3)
    mix.weights.data = torch.tensor([0.0, 100.0, 0.0])
    mix.scale.data.fill_(0.5)
    assert torch.equal(mix(states), 0.5 * states[1])


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_mix_reads_the_layers_from_the_top(family: str) -> None:
    """With all the weight on the last layer it is the model that reads that one."""
    one, two = _classifier("linear", "mean", 1, family), _classifier("linear", "mean", 2, family)
    two.load_state_dict(one.state_dict(), strict=False)
    ids = torch.arange(4, 24)[None]
    two.mix.weights.data = torch.tensor([0.0, 100.0])
    assert torch.allclose(two(ids).logits, one(ids).logits, atol=1e-5)
    two.mix.weights.data = torch.tensor([100.0, 0.0])
    below = one.encoder(ids, output_hidden_states=True).hidden_states[-2]
    assert torch.allclose(two(ids).logits, one.classifier(below.mean(1)), atol=1e-5)


@pytest.mark.parametrize("head", ["cnn", "bilstm", "rcnn", "dpcnn"])
def test_nothing_is_added_up_in_any_order(head: str) -> None:
    model = _classifier(head, "max", 2, classifier_dropout=0.1, **_PAIR).train()
    batches = batches_of_texts(make_packable(model))
    (part, *_) = Layout(160, 160, packed=True).to_micro_batches(np.arange(9), batches.encoded.lengths)
    with Operations() as seen:
        model(**batches.make(part).inputs).logits.sum().backward()
    assert "embedding_dense_backward" in seen.names, "the backward pass was seen"
    assert not seen.names & OF_ANY_ORDER


@pytest.mark.parametrize(("head", "counted"), [("cnn", 1), ("dpcnn", 1), ("bilstm", 0.85), ("rcnn", 0.85)])
def test_memory_is_forecast(head: str, counted: float) -> None:
    """But for about a half of what oneDNN's LSTM keeps: 5% of what a MiniLM 12×384 keeps in all."""
    # Without dropout a CPU has fused attention, which keeps less than the meta device counts.
    encoder = AutoConfig.for_model("bert", **_SMALL | {"attention_probs_dropout_prob": 0.1})
    model = PooledForSequenceClassification(PooledConfig(encoder=encoder, head=head, pooling="max", head_size=12))
    real = saved_tensor_bytes(model, {"input_ids": torch.zeros(6, 48, dtype=torch.int64)})
    with torch.device("meta"):
        outline = PooledForSequenceClassification(model.config)
    assert activation_bytes(outline, 6, 48) == pytest.approx(counted * real, rel=0.01 if counted == 1 else 0.15)


@pytest.mark.parametrize("head", ["cnn", "bilstm", "rcnn", "dpcnn"])
def test_pass_in_bf16(head: str) -> None:
    model = _classifier(head, "max").train()
    ids = torch.arange(4, 44).view(2, 20)
    expected = model(ids).logits
    with torch.autocast("cpu", torch.bfloat16):
        found = model(ids).logits
    found.float().sum().backward()
    assert (found.float() - expected).abs().max() < 0.1 * expected.abs().max()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert (model.to(torch.bfloat16)(ids).logits.float() - expected).abs().max() < 0.1 * expected.abs().max()


class _CrossEntropy:
    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits, labels, reduction="none")

    def weights(self, labels: np.ndarray) -> np.ndarray:
        return np.ones(len(labels))


def _loaded(folder: Path, family: str, **more: float) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """A tiny classifier whose dropout before the last layer is sampled, and two texts."""
    write_model(folder, family, **more)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3, **more)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.unk_token
    model.config.pad_token_id = tokenizer.pad_token_id
    sample_dropout(model, 4, tokenizer, right_padding(tokenizer))
    return model, tokenizer(["a b", "c"], padding=True, return_tensors="pt")


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "xlnet"])
def test_loss_of_dropout_samples_is_the_mean_over_the_draws(family: str, tmp_path: Path) -> None:
    rate = {"xlnet": "summary_last_dropout", "distilbert": "seq_classif_dropout"}.get(family, "hidden_dropout_prob")
    model, inputs = _loaded(tmp_path, family, **{rate: 0.5})
    assert model.eval()(**inputs).logits.shape == (2, 3)
    read: list[torch.Tensor] = []
    last = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    torch.nn.init.normal_(last.weight)
    last.register_forward_hook(lambda _, __, output: read.append(output))
    logits, labels = model.train()(**inputs).logits, torch.tensor([2, 0])
    assert logits.shape == (4, 2, 3)
    assert read[0] is logits, "the draws share one pass"
    assert len({tuple(draw.flatten().tolist()) for draw in logits}) == 4, "and differ"
    found = MeanOverDraws(_CrossEntropy()).losses(logits, labels)
    expected = sum(cross_entropy(draw, labels, reduction="none") for draw in logits) / 4
    assert torch.allclose(found, expected)
    assert not torch.allclose(found, cross_entropy(logits.mean(0), labels, reduction="none")), "not of the mean logits"


def test_dropout_without_a_rate_has_no_samples(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model.dropout_samples: found 4, but the dropout .* has the rate 0"):
        _loaded(tmp_path, "bert", hidden_dropout_prob=0.0)


def test_model_without_a_last_dropout_has_no_samples(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"in a GPT2ForSequenceClassification no dropout comes right before"):
        _loaded(tmp_path, "gpt2")
