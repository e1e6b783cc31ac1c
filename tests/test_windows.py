"""Long texts that are read in several windows: which, exactly, and that a text is one example everywhere."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import command, train, write_recipe
from run_results import read_csv
from same_training import assert_goes_on_exactly, assert_two_processes_train_as_one
from test_cutting import answers_as_judged, frame, plain, rows_of, texts_of, tokenizer
from tiny import write_model, write_texts
from transformers import AutoConfig, AutoModelForSequenceClassification, pipeline

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout
from accel_cls.data.texts import Texts
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.own.configurations import PooledConfig
from accel_cls.models.packing import make_packable
from accel_cls.models.windows import make_windowed
from accel_cls.recipe.sections.data import Windows
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.encode import are_cut, encode, encode_cached
from accel_cls.tokenization.encoded import Encoded


@pytest.mark.parametrize("kind", ["bert", "causal", "python"])
@pytest.mark.parametrize("truncate", ["end", "start", "middle"])
@pytest.mark.parametrize(("max_length", "overlap", "most"), [(16, 4, 3), (8, 4, 2), (16, 0, 40)])
def test_windows_cover_what_is_not_cut_off(
    kind: str, truncate: Any, max_length: int, overlap: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCEL_CLS_CACHE", str(tmp_path))
    by, texts = tokenizer(kind), texts_of(60, 1)
    before, after = frame(by, 1)
    special = len(before + after)
    room = max_length - special
    whole = room + (most - 1) * (room - overlap)
    cutting = Cutting(max_length, truncate, None, Windows(overlap=overlap, most=most))
    columns, bare = Texts.of({"text": texts}), plain(by, texts)
    for found in (encode(by, columns, cutting), *(encode_cached(by, columns, cutting, []) for _ in range(2))):
        assert found.starts is not None
        assert found.truncated == sum(len(row) > whole for row in bare)
        rows = rows_of(found)
        for (first, last), text in zip(pairwise(found.starts.tolist()), bare, strict=True):
            cut = len(text) - min(len(text), whole)
            head = {"end": whole, "start": 0, "middle": (whole + special) // 4}[truncate]
            text = text[:head] + text[head + cut :] if cut else text
            windows = [row[len(before) : len(row) - len(after)] for row in rows[first:last]]
            if rows[first] != [by.pad_token_id]:
                assert rows[first:last] == [before + w + after for w in windows]
                assert windows[0] + [one for w in windows[1:] for one in w[overlap:]] == text
            sizes = [len(w) for w in windows]
            assert max(sizes) <= room
            assert max(sizes) - min(sizes) <= 1
            assert len(sizes) == max(1, -(-(len(text) - overlap) // (room - overlap))) <= most
        assert are_cut(by, columns, cutting).sum() == found.truncated


def encoded() -> Encoded:
    """Nine texts of one to four windows."""
    draw = np.random.default_rng(0)
    windows = np.array([1, 3, 1, 4, 2, 1, 2, 3, 1])
    lengths = np.repeat(draw.integers(3, 40, 9), windows) + draw.integers(0, 2, windows.sum())
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = draw.integers(4, 90, offsets[-1]).astype(np.int32)
    return Encoded(ids, None, offsets, 0, starts=np.concatenate([[0], np.cumsum(windows)]))


def passed(model: Any, batches: Batches, layout: Layout) -> tuple[torch.Tensor, dict[str, torch.Tensor], set[int]]:
    """The logits of all texts, the gradients of a loss of them, and how many texts a micro-batch has."""
    model.zero_grad()
    sizes = batches.encoded
    found, counts = torch.empty(len(batches), 3, dtype=torch.float64), set()
    for part in layout.to_micro_batches(np.arange(len(batches)), sizes.lengths, 3, sizes.windows):
        assert part.tokens <= layout.tokens + 32
        batch = batches.make(part)
        logits = model(**batch.inputs).logits
        assert len(logits) == len(batch.labels) == len(batch.mask) == len(batch.examples)
        (logits**3).sum().backward()
        found[list(part.examples)] = logits.detach()
        counts.add(len(part.examples))
    return found, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, counts


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
@pytest.mark.parametrize("how", ["mean", "max", "attention"])
@pytest.mark.parametrize("native", [False, True])
def test_packed_windows_have_the_logits_and_gradients_of_padded_ones(family: str, how: str, native: bool) -> None:
    if native and how == "attention":
        return
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    if family == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    config = AutoConfig.for_model(family, vocab_size=90, pad_token_id=1, initializer_range=0.4, **sizes)
    if not native:
        attention = "attention" if how == "attention" else None
        config = PooledConfig(encoder=config, pooling="mean", window_pooling=attention)
    config.num_labels = 3
    torch.manual_seed(5)
    model = AutoModelForSequenceClassification.from_config(config).double().eval()
    for name, parameter in model.named_parameters():
        if "classifier" in name or "query" in name:
            torch.nn.init.normal_(parameter)
    make_windowed(model, how)
    everything, padding = encoded(), Padding(1, "right", (1,))
    device = torch.device("cpu")
    plain_batches = Batches(everything, np.zeros(9, np.int64), padding, device)
    logits, gradients, counts = passed(model, plain_batches, Layout(200, 48))
    assert max(counts) > 1
    first = make_packable(model)
    packed = Batches(everything, np.zeros(9, np.int64), padding, device, first_position=first)
    logits_packed, gradients_packed, _ = passed(model, packed, Layout(200, 48, packed=True))
    assert (logits - logits_packed).abs().max() < 1e-10 * logits.abs().max()
    assert logits.std(0).min() > 1e-3
    scale = max(g.abs().max() for g in gradients.values())
    for name, gradient in gradients.items():
        assert (gradient - gradients_packed[name]).abs().max() < 1e-10 * scale, name
    if how == "mean":  # by hand: the mean of the windows' own logits
        rows = Encoded(everything.ids, None, everything.offsets, 0)
        alone, _, _ = passed(model, Batches(rows, np.zeros(18, np.int64), padding, device), Layout(200, 48))
        by_hand = np.split(alone.numpy(), everything.starts[1:-1])
        assert np.allclose(logits.numpy(), [windows.mean(0) for windows in by_hand], atol=1e-10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny BERT encoder in `encoder`, with texts of one to six windows, of which four are read."""
    write_model(tmp_path / "encoder")
    write_texts(tmp_path / "texts.csv", 80, range(1, 70))
    write_recipe(
        tmp_path,
        data="{train: texts.csv, text: text, label: label, max_length: 16, windows: {overlap: 4, most: 4}}",
        model="{name: ./encoder}",
        train="{epochs: 2, batch_size: 16, micro_batch_tokens: 128, learning_rate: 5e-3, log_every: 1}",
    )
    return tmp_path


@pytest.mark.parametrize("how", ["mean", "attention"])
def test_same_training_on_two_processes_and_after_a_stop(how: str, folder: Path) -> None:
    overrides = [f"data.windows.pooling={how}", "train.min_micro_batches=2"]
    said = assert_two_processes_train_as_one(folder, *overrides)
    assert "read in windows of data.max_length 16" in said
    (folder / "one").rename(folder / "run")
    answers_as_judged(folder)
    assert_goes_on_exactly(folder / "run", *overrides, update=4)


def test_saved_model_answers_one_window_by_pipeline_and_goes_on_without_any(folder: Path) -> None:
    done = train(folder, "train.head_init=probe", "data.windows.pooling=attention", "train.max_updates=2")
    assert done.returncode == 0, done.stderr
    config = json.loads((folder / "run" / "model" / "config.json").read_text(encoding="utf-8"))
    windows = {"overlap": 4, "most": 4, "pooling": "attention"}
    assert config["accel_cls"]["long_texts"] == {"truncate": "end", "head_tokens": None, "windows": windows}
    answers_as_judged(folder)
    (said,) = pipeline("text-classification", str(folder / "run" / "model"), top_k=None)(["good meal"])
    told = command("python", "-m", "accel_cls.predict", "run", cwd=folder, stdin="good meal\n")
    for one in said:
        assert json.loads(told.stdout)["probabilities"][one["label"]] == pytest.approx(one["score"], abs=1e-5)
    card = (folder / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "`pipeline` reads one window. `accel-cls predict` reads all, as training did." in card
    rows = read_csv(folder / "run" / "predictions.csv")
    results = json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))
    assert len(rows) == results["rows"]["validation"] == 16
    assert 0 < results["texts"]["truncated"]["training"] < 64
    other = train(folder, "model.name=run/model", "~data.windows", "output=other", "train.max_updates=1")
    assert other.returncode == 0, other.stderr
    config = json.loads((folder / "other" / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["window_pooling"] is None
    assert "long_texts" not in config["accel_cls"]


def test_frozen_encoder_has_features_of_texts_not_of_windows(folder: Path) -> None:
    done = train(folder, "model.freeze=encoder", "data.windows.pooling=max")
    assert done.returncode == 0, done.stderr
    assert "what the encoder makes of the 64 training texts as it is" in done.stdout
    answers_as_judged(folder)


def test_model_whose_last_layer_reads_tokens_is_told_what_to_do(folder: Path) -> None:
    write_model(folder / "other", "gpt2")
    done = train(folder, "model.name=./other")
    assert done.returncode == 2
    assert done.stderr.strip().startswith("data.windows: the last layer of a GPT2ForSequenceClassification reads each")
    assert "Set model.pooling to mean" in done.stderr
