"""What `accel-cls plan` says a training takes is what it takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import cli, train
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    RobertaConfig,
)

from accel_cls.authoring.forecast import forecast
from accel_cls.batching.plan import Plan
from accel_cls.data.loading import load_corpus
from accel_cls.memory.activations import activation_bytes
from accel_cls.memory.forecast import format_bytes
from accel_cls.recipe import load_recipe
from accel_cls.tasks import task_of
from accel_cls.tokenization.encode import encode_cached
from accel_cls.tokenization.tokenizer import load_tokenizer

TINY = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
FAMILIES = [
    BertConfig(**TINY),
    RobertaConfig(**TINY, pad_token_id=1),
    DistilBertConfig(vocab_size=100, dim=32, n_layers=2, n_heads=2, hidden_dim=64),
]


@pytest.mark.parametrize("config", FAMILIES, ids=lambda config: config.model_type)
def test_activations_are_what_autograd_keeps_on_a_real_device(config) -> None:
    model = AutoModelForSequenceClassification.from_config(config).train()
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    ids = torch.full((6, 48), 5)
    mask = torch.ones_like(ids)
    mask[0, 20:] = 0  # padding
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = model(input_ids=ids, attention_mask=mask).logits.float()
        cross_entropy(logits, torch.zeros(6, dtype=torch.int64), reduction="none").sum()
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    real = sum(storage.nbytes() for address, storage in kept.items() if address not in own)
    with torch.device("meta"):
        outline = AutoModelForSequenceClassification.from_config(config)
    assert activation_bytes(outline, 6, 48) == pytest.approx(real, rel=0.01)  # the mask may be kept, too


def test_family_whose_forward_pass_looks_at_values_is_not_guessed() -> None:
    with torch.device("meta"):
        outline = AutoModelForSequenceClassification.from_config(DebertaV2Config(**TINY, relative_attention=True))
    assert activation_bytes(outline, 6, 48) is None


def test_other_failures_of_the_forward_pass_are_not_hidden() -> None:
    model = AutoModelForSequenceClassification.from_config(FAMILIES[0])  # weights on the CPU, texts on meta
    model.forward = lambda **_: torch.zeros(2) @ torch.zeros(3)
    with pytest.raises(RuntimeError, match="size"):
        activation_bytes(model, 6, 48)


def test_sizes_and_updates_are_those_of_the_run(work: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    done = train(work)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(work)
    plan = json.loads(cli(capsys, "plan", "recipe.yaml", "--json")[1])
    results = json.loads((work / "run" / "results.json").read_text())
    assert plan["updates"] == results["updates"] == 12
    checkpoints = [folder for folder in (work / "run" / "checkpoints").iterdir() if folder.is_dir()]
    assert len(checkpoints) <= plan["checkpoints_kept"]
    weights = load_file(work / "run" / "model" / "model.safetensors")
    assert plan["model_bytes"] == sum(tensor.nbytes for tensor in weights.values())
    saved = [load_file(path) for path in checkpoints[0].glob("*.safetensors")]
    counts = "step/"  # AdamW's, of each weight: a number
    assert plan["checkpoint_bytes"] == sum(
        tensor.nbytes for file in saved for name, tensor in file.items() if not name.startswith(counts)
    )
    assert plan["disk_bytes"] == plan["checkpoints_kept"] * plan["checkpoint_bytes"] + plan["model_bytes"]
    assert plan["disk_peak_bytes"] == plan["disk_bytes"] + plan["checkpoint_bytes"] + plan["model_bytes"]


@pytest.mark.parametrize("updates", [3, 6, 8, 12])
def test_tokens_in_all_are_those_of_the_updates_that_are_made(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys, updates: int
) -> None:
    recipe = load_recipe(work / "recipe.yaml")
    corpus = load_corpus(recipe, task_of(recipe))
    lengths = encode_cached(load_tokenizer(recipe, corpus.train), corpus.train.texts, 32, []).lengths
    plan = Plan.of(recipe, lengths)
    tokens = sum(int(lengths[plan.examples(update)].sum()) for update in range(updates))
    monkeypatch.chdir(work)
    lines = cli(capsys, "plan", "recipe.yaml", f"train.max_updates={updates}")[1]
    assert f" with padding; {tokens:,} in all" in lines


def test_plan_for_a_tpu_is_that_of_the_run_there(work: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(work)
    options = ("plan", "recipe.yaml", "hardware=tpu", "data.max_length=256", "train.micro_batch_tokens=512")
    assert "at most 512 padded tokens" in cli(capsys, *options)[1]  # texts are not packed there
    plan = json.loads(cli(capsys, *options, "--json")[1])
    widths = {width for _, width in plan["cutting"]["shapes"]}
    assert all(width % 32 == 0 for width in widths)  # 8 widths of up to 256 tokens, since each is a program
    rows, width = plan["memory_bytes"]["shape"]
    assert width in widths
    assert rows == min(512 // width, 32)  # rows are filled up to that many


def test_without_activations_nothing_is_called_the_total(work: Path) -> None:
    with torch.device("meta"):
        outline = AutoModelForSequenceClassification.from_config(DebertaV2Config(**TINY, relative_attention=True))
    found = forecast(load_recipe(work / "recipe.yaml"), np.arange(5, 30), outline, None)
    memory = found.as_json()["memory_bytes"]
    assert memory["weights"] > 0
    assert (memory["activations"], memory["backward"], memory["total"]) == (None, None, None)
    line = dict(found.lines(load_recipe(work / "recipe.yaml")))["memory"]
    assert "AdamW" in line
    assert "activations can't be told for this family of models" in line
    assert " = " not in line


def test_sharding_divides_what_it_divides(work: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(work)
    one, fsdp, zero = (
        json.loads(cli(capsys, "plan", "recipe.yaml", "--json", "--processes", "4", *more)[1])["memory_bytes"]
        for more in ((), ("hardware=fsdp",), ("hardware=deepspeed",))
    )
    assert (one["gradients"], one["optimizer"]) == (one["weights"], 2 * one["weights"])
    assert fsdp["weights"] == pytest.approx(one["weights"] / 4, abs=1)
    assert fsdp["gradients"] == pytest.approx(one["gradients"] / 4, abs=1)
    assert fsdp["optimizer"] == pytest.approx(one["optimizer"] / 4, abs=1)
    # ZeRO-2 has whole weights in bf16, and a share of them in fp32.
    assert zero["weights"] == pytest.approx(one["weights"] / 2 + one["weights"] / 4, abs=1)
    assert zero["gradients"] == pytest.approx(one["gradients"] / 4, abs=1)
    assert zero["optimizer"] == pytest.approx(one["optimizer"] / 4, abs=1)
    assert fsdp["activations"] == zero["activations"] == one["activations"] > 0


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (123_456, "123 kB"),
        (4_500_000, "4.5 MB"),
        (2e13, "20.0 TB"),
    ],
)
def test_sizes_in_words(count: int, text: str) -> None:
    assert format_bytes(int(count)) == text


def test_warmup_that_would_eat_the_schedule_is_told(work: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(work)
    short = ("plan", "recipe.yaml", "train.warmup=0.9", "train.epochs=1", "train.batch_size=64")
    said = cli(capsys, *short)[1]
    assert "rises to 0.01 over 2 updates, then falls to 0; 0.9 of 3 would be all of them: one stays" in said
    plan = json.loads(cli(capsys, *short, "--json")[1])
    assert (plan["updates"], plan["warmup_updates"]) == (3, 2)
    assert plan["learning_rate"][-1] == {"update": 3, "rate": 0.01}
    plan = json.loads(cli(capsys, "plan", "recipe.yaml", "train.epochs=1", "train.batch_size=192", "--json")[1])
    assert (plan["warmup_updates"], plan["learning_rate"]) == (0, [{"update": 1, "rate": 0.01}])
