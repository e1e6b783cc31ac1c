"""Low-rank adapters: what is trained, what is saved, and that the saved model is a plain one that answers alike."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from conftest import command, train, train_by, write_recipe
from packed_texts import assert_packed_as_padded
from run_results import interrupt, metrics, weights_of
from safetensors.torch import load_file
from tiny import FAMILIES, KINDS, write_model, write_texts
from transformers import AutoConfig, AutoModelForSequenceClassification

from accel_cls.errors import UserError
from accel_cls.models.adapters import add_adapters
from accel_cls.recipe.rules import training as training_rules
from accel_cls.recipe.sections.model import Lora


def adapted(family: str, lora: Lora, **more: object):
    """A classifier with adapters whose B is not 0, and a copy from before; both answer only."""
    kind, _, options, _ = (FAMILIES | KINDS)[family]
    config = getattr(transformers, f"{kind}Config")(**({"vocab_size": 30, "pad_token_id": 0} | options | more))
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    before = copy.deepcopy(model)
    adapters = add_adapters(model, lora, seed=3)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval(), before, adapters


@pytest.mark.parametrize("family", ["bert", "distilbert", "deberta-v2", "gpt2", "qwen2"])
def test_merged_model_answers_as_the_one_with_adapters(family: str) -> None:
    model, before, adapters = adapted(family, Lora(rank=3, alpha=6.0, dropout=0.2))
    ids = torch.randint(4, 30, (5, 12), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    plain = copy.deepcopy(before)
    plain.load_state_dict(adapters.fold(model.state_dict()))
    with torch.no_grad():
        logits, merged, first = (one(**inputs).logits for one in (model, plain, before))
    assert (logits - merged).abs().max() < 1e-5
    assert (logits - first).abs().max() > 1e-3
    inside = {name for name, p in model.base_model.named_parameters() if p.requires_grad}
    assert all(".lora_" in name or "pooler" in name or name.startswith(("ln_f", "norm.")) for name in inside)


def test_targets_are_linear_layers_of_the_encoders_layers() -> None:
    assert {name.rpartition(".")[2] for name in adapted("bert", Lora())[2].layers} == {
        "query",
        "key",
        "value",
        "dense",
    }
    named = adapted("bert", Lora(targets=["query", "output.dense"]))[2].layers
    assert {".".join(name.split(".")[-2:]) for name in named} == {"self.query", "output.dense"}
    with pytest.raises(UserError, match=r"model\.lora\.targets: found q_proj; the layers of this model have"):
        adapted("bert", Lora(targets=["query", "q_proj"]))


def test_packed_texts_have_the_logits_and_gradients_of_padded_ones() -> None:
    options = FAMILIES["bert"][2] | {"vocab_size": 90, "max_position_embeddings": 160, "pad_token_id": 1}
    options |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.4}
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model("bert", **options, num_labels=3))
    add_adapters(model, Lora(rank=2), seed=3)
    model = model.double().train()
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.3)
    _, gradients = assert_packed_as_padded(model)
    assert any(".lora_A." in name for name in gradients)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a BERT of two layers, m, and a recipe that gives it adapters: 12 updates in 2 epochs."""
    write_texts(tmp_path / "a.csv", 96, (3, 5, 8))
    write_texts(tmp_path / "b.csv", 32, (3, 5, 8), seed=1)
    write_model(tmp_path / "m")
    write_recipe(
        tmp_path,
        data="{train: a.csv, validation: b.csv, max_length: 16}",
        model="{name: m, lora: {rank: 4, dropout: 0.1}}",
        train="{epochs: 2, batch_size: 16, micro_batch_tokens: 128, learning_rate: 5e-3}",
        checkpoint="{every: 1, keep: 20}",
        average="{ema: 0.8}",
    )
    return tmp_path


def test_only_adapters_and_head_are_trained_and_the_folder_is_a_plain_model(folder: Path) -> None:
    done = train(folder)
    assert done.returncode == 0, done.stderr
    assert "12 linear layers have an adapter" in " ".join(done.stdout.split())
    before = load_file(folder / "m" / "model.safetensors")
    last = folder / "run" / "checkpoints" / "update-000012"
    after = {name.replace(".base_layer", ""): w for name, w in load_file(last / "model.safetensors").items()}
    for name, weights in before.items():
        assert torch.equal(weights, after[f"bert.{name}"]) == ("pooler" not in name), name
    moments = {name.partition("/")[2] for name in load_file(last / "optimizer.safetensors")}
    assert moments == {name for name in after if ".lora_" in name or name.startswith(("classifier", "bert.pooler"))}
    kept = load_file(folder / "run" / "model" / "model.safetensors")
    assert not any("lora" in name or "base_layer" in name for name in kept)
    assert not torch.equal(
        kept["bert.encoder.layer.0.output.dense.weight"], before["encoder.layer.0.output.dense.weight"]
    )

    text = "from transformers import pipeline\nprint(pipeline('text-classification', 'run/model')('good')[0]['label'])"
    code = f"import sys\nsys.modules['peft'] = None\n{text}"
    plain = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    said = command("python", "-m", "accel_cls.predict", "run", "--text", "good", cwd=folder)
    assert plain.returncode == 0, plain.stderr
    assert said.stdout.split()[0] == plain.stdout.strip(), said.stderr

    model, log = weights_of(folder / "run" / "model" / "model.safetensors"), metrics(folder / "run")
    interrupt(folder / "run", 5)
    again = train(folder)
    assert "continues an unfinished run from update 5" in again.stdout, again.stderr
    assert weights_of(folder / "run" / "model" / "model.safetensors") == model
    assert [line.get("evaluation") for line in log] == [line.get("evaluation") for line in metrics(folder / "run")]


def test_two_processes_train_adapters_as_one(folder: Path) -> None:
    same = ("model.dropout=0", "model.lora.dropout=0", "train.min_micro_batches=2")
    assert train(folder, *same, "output=one").returncode == 0
    two = train_by(2, folder, *same, "output=two")
    assert two.returncode == 0, two.stderr
    one = load_file(folder / "one" / "model" / "model.safetensors")
    for name, weights in load_file(folder / "two" / "model" / "model.safetensors").items():
        torch.testing.assert_close(weights, one[name], rtol=1e-3, atol=2e-4)


def test_fitted_head_reads_an_encoder_with_adapters(folder: Path) -> None:
    done = train(folder, "train.head_init=probe", "~average", "train.max_updates=2")
    assert done.returncode == 0, done.stderr


def test_without_peft_it_is_said_before_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from accel_cls.recipe import RecipeError, load_to_train

    monkeypatch.chdir(folder)
    monkeypatch.setattr(training_rules, "find_spec", lambda _: None)
    with pytest.raises(RecipeError, match=r"model\.lora: peft is not installed here: pip install peft"):
        load_to_train("recipe.yaml")
