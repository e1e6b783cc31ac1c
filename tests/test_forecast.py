"""What `accel-cls plan` says a training takes is what it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import cli, train
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    RobertaConfig,
)

from accel_cls.memory.forecast import activations, in_bytes

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
    assert activations(outline, 6, 48) == pytest.approx(real, rel=0.01)  # the mask may be kept, too


def test_family_whose_forward_pass_looks_at_values_is_not_guessed() -> None:
    with torch.device("meta"):
        outline = AutoModelForSequenceClassification.from_config(DebertaV2Config(**TINY, relative_attention=True))
    assert activations(outline, 6, 48) is None


def test_other_failures_of_the_forward_pass_are_not_hidden() -> None:
    model = AutoModelForSequenceClassification.from_config(FAMILIES[0])  # weights on the CPU, texts on meta
    model.forward = lambda **_: torch.zeros(2) @ torch.zeros(3)
    with pytest.raises(RuntimeError, match="size"):
        activations(model, 6, 48)


def test_sizes_and_updates_are_those_of_the_run(work: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    done = train(work)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(work)
    plan = json.loads(cli(capsys, "plan", "recipe.yaml", "--json")[1])
    results = json.loads((work / "run" / "results.json").read_text())
    assert plan["updates"] == results["updates"] == 12
    checkpoints = [folder for folder in (work / "run" / "checkpoints").iterdir() if folder.is_dir()]
    assert len(checkpoints) <= plan["checkpoints_kept"]
    size = sum(file.stat().st_size for file in checkpoints[0].rglob("*") if file.is_file())
    assert plan["checkpoint_bytes"] == pytest.approx(size, rel=0.15)  # this small, headers weigh
    weights = (work / "run" / "model" / "model.safetensors").stat().st_size
    assert plan["model_bytes"] == pytest.approx(weights, rel=0.05)


def test_sharding_divides_what_it_divides(work: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(work)
    one, fsdp, zero = (
        json.loads(cli(capsys, "plan", "recipe.yaml", "--json", "--processes", "4", *more)[1])["memory_bytes"]
        for more in ((), ("hardware=fsdp",), ("hardware=deepspeed",))
    )
    assert (one["gradients"], one["optimizer"]) == (one["weights"], 2 * one["weights"])
    assert fsdp["weights"] == pytest.approx(one["weights"] / 4, abs=1)
    assert fsdp["optimizer"] == pytest.approx(one["optimizer"] / 4, abs=1)
    assert zero["weights"] == one["weights"]
    assert zero["gradients"] == pytest.approx(one["gradients"] / 4, abs=1)
    assert fsdp["activations"] == one["activations"] > 0


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
    assert in_bytes(int(count)) == text


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
