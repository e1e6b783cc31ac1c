"""A model's layers: rates by layer, layers that stay as they are, layers that open one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from conftest import train, train_by, write_recipe
from run_results import interrupt, weights_of
from safetensors.torch import load_file
from tiny import FAMILIES, KINDS, write_model, write_texts
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from accel_cls.devices.cpu.linear import Bf16Linear
from accel_cls.errors import UserError
from accel_cls.models.layers import encoder_layers
from accel_cls.models.own.configurations import PooledConfig
from accel_cls.recipe.sections.train import Train
from accel_cls.training.optimizer import make_optimizer, set_rate

DECAY = 0.5


def classifier(family: str, **more: object) -> PreTrainedModel:
    kind, _, options, _ = (FAMILIES | KINDS)[family]
    config = getattr(transformers, f"{kind}Config")(**({"vocab_size": 30, "pad_token_id": 0} | options | more))
    return AutoModelForSequenceClassification.from_config(config)


def rates(model: PreTrainedModel, **values: object) -> dict[str, float]:
    """The rate of each parameter at the schedule's height, as a multiple of it."""
    optimizer = make_optimizer(model, Train(**values), torch.device("cpu"))
    set_rate(optimizer, 1.0)
    found = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    return {name: found[parameter] for name, parameter in model.named_parameters()}


def test_each_layer_has_the_rate_of_the_formula() -> None:
    found = rates(classifier("bert", num_hidden_layers=3), layer_decay=DECAY, head_rate=10.0)
    for name, rate in found.items():
        if name.startswith("bert.embeddings"):
            expected = DECAY**4
        elif name.startswith("bert.encoder.layer"):
            expected = DECAY ** (3 - int(name.split(".")[3]))
        else:
            expected = 10.0 if name.startswith("classifier") else 1.0  # the pooler stands above the layers
        assert rate == pytest.approx(expected), name


@pytest.mark.parametrize("family", [*FAMILIES, "gpt2", "qwen2", "squeezebert", "longformer", "fnet"])
def test_layers_are_asked_of_the_model(family: str) -> None:
    model = classifier(family)
    found = rates(model, layer_decay=DECAY)
    assert set(found.values()) == {1, DECAY, DECAY**2, DECAY**3}
    table = model.get_input_embeddings().weight
    assert next(found[name] for name, p in model.named_parameters() if p is table) == DECAY**3
    head = [rate for name, rate in found.items() if not name.startswith(f"{model.base_model_prefix}.")]
    assert set(head) == {1}
    if family == "deberta-v2":  # its tables of positions stand after its layers, which all read them
        assert found["deberta.encoder.rel_embeddings.weight"] == DECAY**3


def test_layers_of_an_encoder_with_a_head_of_ours_are_the_encoders() -> None:
    config = PooledConfig(encoder=transformers.BertConfig(vocab_size=30, **FAMILIES["bert"][2]), pooling="attention")
    found = rates(AutoModelForSequenceClassification.from_config(config), layer_decay=DECAY)
    assert found["pooling.query.weight"] == found["classifier.weight"] == 1
    assert found["encoder.encoder.layer.1.output.dense.weight"] == DECAY
    assert found["encoder.embeddings.word_embeddings.weight"] == DECAY**3


@pytest.mark.parametrize(("family", "words"), [("t5", "has 2 lists of layers"), ("canine", "lists of layers")])
def test_model_that_does_not_tell_its_layers_is_refused(family: str, words: str) -> None:
    with pytest.raises(UserError, match=f"train.layer_decay: .*{words}"):
        rates(classifier(family), layer_decay=DECAY)


def test_model_that_shares_its_layers_is_refused() -> None:
    options = {"hidden_size": 16, "embedding_size": 8, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.AlbertConfig(vocab_size=30, num_hidden_layers=4, **options)
    with pytest.raises(UserError, match="has 4 layers by its configuration, whose weights are those of 1"):
        encoder_layers(AutoModelForSequenceClassification.from_config(config), "model.freeze")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a BERT of two layers, m, and a recipe that trains it: 12 updates in 2 epochs."""
    write_texts(tmp_path / "a.csv", 96, (3, 5, 8))
    write_texts(tmp_path / "b.csv", 32, (3, 5, 8), seed=1)
    write_model(tmp_path / "m")
    write_recipe(
        tmp_path,
        data="{train: a.csv, validation: b.csv, max_length: 16}",
        model="{name: m}",
        train="{epochs: 2, batch_size: 16, micro_batch_tokens: 128, learning_rate: 5e-3}",
        checkpoint="{every: 1, keep: 20}",
    )
    return tmp_path


def depth_of(name: str) -> int:
    """Of a weight of the BERT of two layers."""
    if ".embeddings." in name:
        return 0
    return 1 + int(name.split(".")[3]) if ".encoder.layer." in name else 3


def checkpoint(run: Path, update: int, file: str = "model.safetensors") -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"update-{update:06d}" / file)


@pytest.mark.parametrize(("freeze", "packing"), [("embeddings", "true"), ("1", "true"), ("1", "false"), ("2", "true")])
def test_what_is_frozen_stays_to_the_bit_and_has_no_moments(folder: Path, freeze: str, packing: str) -> None:
    done = train(folder, f"model.freeze={freeze}", f"train.packing={packing}")
    assert done.returncode == 0, done.stderr
    highest = 0 if freeze == "embeddings" else int(freeze)
    before = load_file(folder / "m" / "model.safetensors")
    after = checkpoint(folder / "run", 12)
    for name, weights in before.items():
        is_same = torch.equal(weights, after[f"bert.{name}"])
        # A bias of attention's keys has no gradient: the softmax takes it out.
        assert is_same == (depth_of(f"bert.{name}") <= highest) or "key.bias" in name, name
    moments = {name.partition("/")[2] for name in checkpoint(folder / "run", 12, "optimizer.safetensors")}
    assert moments == {name for name in after if depth_of(name) > highest and name != "bert.embeddings.position_ids"}


def test_layers_frozen_are_no_more_than_there_are(folder: Path) -> None:
    done = train(folder, "model.freeze=3")
    assert done.returncode == 2
    assert "model.freeze: found 3; a BertForSequenceClassification has 2 layers. Expected no more" in done.stderr


def test_frozen_layer_in_bf16_takes_no_gradient() -> None:
    frozen, trained = torch.nn.Linear(8, 8).requires_grad_(False), torch.nn.Linear(8, 8)
    for layer in (frozen, trained):
        layer.__class__ = Bf16Linear
    values = torch.randn(3, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        frozen(trained(values)).float().sum().backward()
    assert frozen.weight.grad is None
    assert frozen.bias.grad is None
    assert trained.weight.grad is not None
    assert values.grad is not None


def test_layers_open_one_after_the_other_from_the_top(folder: Path) -> None:
    done = train(folder, "train.unfreeze=0.5")
    assert done.returncode == 0, done.stderr
    told = "layer 2 from update 4 on, layer 1 from update 7 on, the embeddings from update 10 on"
    assert told in " ".join(done.stdout.split())
    start = {f"bert.{name}": weights for name, weights in load_file(folder / "m" / "model.safetensors").items()}
    for update in range(1, 13):
        after = checkpoint(folder / "run", update)
        moments = {name.partition("/")[2] for name in checkpoint(folder / "run", update, "optimizer.safetensors")}
        for name in start:
            is_open = update > (3 - depth_of(name)) * 3
            assert (name in moments) == is_open, (update, name)
            if "key.bias" not in name and "position_embeddings" not in name:
                assert torch.equal(start[name], after[name]) != is_open, (update, name)

    before = weights_of(folder / "run" / "model" / "model.safetensors"), checkpoint(folder / "run", 12)
    interrupt(folder / "run", 5)
    again = train(folder, "train.unfreeze=0.5")
    assert "continues an unfinished run from update 5" in again.stdout, again.stderr
    assert weights_of(folder / "run" / "model" / "model.safetensors") == before[0]
    assert all(torch.equal(weights, before[1][name]) for name, weights in checkpoint(folder / "run", 12).items())


def test_two_processes_open_layers_as_one(folder: Path) -> None:
    same = ("model.dropout=0", "train.min_micro_batches=2", "train.unfreeze=0.5", "train.layer_decay=0.8")
    assert train(folder, *same, "output=one").returncode == 0
    two = train_by(2, folder, *same, "output=two")
    assert two.returncode == 0, two.stderr
    one = checkpoint(folder / "one", 12)
    for name, weights in checkpoint(folder / "two", 12).items():
        torch.testing.assert_close(weights, one[name], rtol=1e-3, atol=2e-4)


def test_what_never_opens_is_told(folder: Path) -> None:
    done = train(folder, "train.unfreeze=1", "train.max_updates=2")
    assert "the run ends before layer 2, layer 1, the embeddings would open" in " ".join(done.stdout.split())
