"""`model.keep_layers`: an encoder without its top layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from conftest import cli, command, train, write_recipe
from safetensors.torch import load_file
from tiny import FAMILIES, KINDS, write_model, write_texts
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from accel_cls.errors import UserError
from accel_cls.models.kept_layers import check_kept, keep_layers
from accel_cls.models.layers import encoder_layers

_COUNTS = ("num_hidden_layers", "n_layers", "n_layer")


def config_of(family: str, layers: int) -> transformers.PreTrainedConfig:
    kind, _, options, _ = (FAMILIES | KINDS)[family]
    counts = {name: layers for name in _COUNTS if name in options}
    more = {"attention_window": [16] * layers} if family == "longformer" else {}
    return getattr(transformers, f"{kind}Config")(**{"vocab_size": 30, "pad_token_id": 0} | options | counts | more)


@pytest.mark.parametrize("family", [*FAMILIES, "gpt2", "qwen2", "squeezebert", "longformer", "fnet", "modernbert"])
def test_lowest_layers_stay_with_their_weights(family: str, tmp_path: Path) -> None:
    if family == "modernbert":
        sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
        whole_config = transformers.ModernBertConfig(vocab_size=30, pad_token_id=0, **sizes)
    else:
        whole_config = config_of(family, 3)
    AutoModel.from_config(whole_config).save_pretrained(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    assert keep_layers(config, 2, "it") == "2 of the encoder's 3 layers stay, the lowest"
    cut = AutoModelForSequenceClassification.from_pretrained(tmp_path, config=config)
    check_kept(cut, 2)
    saved = load_file(tmp_path / "model.safetensors")
    own = {name: weights for name, weights in cut.base_model.state_dict().items() if name in saved}
    assert len(encoder_layers(cut, "here")) == 2
    assert own
    assert all(torch.equal(weights, saved[name]) for name, weights in own.items())
    cut.save_pretrained(tmp_path / "cut")
    assert len(encoder_layers(AutoModelForSequenceClassification.from_pretrained(tmp_path / "cut"), "here")) == 2


def test_states_are_those_of_the_layer_that_is_the_last_now(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = AutoModel.from_config(config_of("bert", 3)).eval()
    whole.save_pretrained(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    keep_layers(config, 2, "it")
    cut = AutoModel.from_pretrained(tmp_path, config=config).eval()
    ids = torch.tensor([[3, 7, 9, 4]])
    states = whole(ids, output_hidden_states=True).hidden_states
    torch.testing.assert_close(cut(ids).last_hidden_state, states[2])


@pytest.mark.parametrize(
    ("family", "count", "words"),
    [
        ("bert", 4, "found 4; expected 3 at most, the layers of it"),
        ("t5", 1, "has 2 lists of layers"),
        ("canine", 1, "lists of layers"),
    ],
)
def test_model_that_has_not_so_many_or_does_not_tell_is_refused(family: str, count: int, words: str) -> None:
    def cut() -> None:
        config = config_of(family, 3)
        keep_layers(config, count, "it")
        check_kept(AutoModelForSequenceClassification.from_config(config), count)

    with pytest.raises(UserError, match=f"model.keep_layers: .*{words}"):
        cut()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A BERT of three layers, and a recipe that trains it."""
    write_texts(tmp_path / "a.csv", 64, (3, 5, 8))
    write_model(tmp_path / "m", num_hidden_layers=3)
    data, small = "{train: a.csv, max_length: 16}", "{epochs: 1, batch_size: 16, learning_rate: 5e-3}"
    write_recipe(tmp_path, data=data, model="{name: m, keep_layers: 1}", train=small)
    return tmp_path


@pytest.mark.parametrize("overrides", [(), ("model.pooling=attention",)])
def test_what_is_saved_has_so_many_layers_and_answers_alone(folder: Path, overrides: tuple[str, ...]) -> None:
    done = train(folder, *overrides)
    assert done.returncode == 0, done.stderr
    assert "1 of the encoder's 3 layers stay, the lowest" in done.stdout
    model = AutoModelForSequenceClassification.from_pretrained(folder / "run" / "model")
    assert len(encoder_layers(model, "here")) == 1
    said = command("python", "-m", "accel_cls.predict", "run", "--text", "good", cwd=folder)
    assert said.returncode == 0, said.stderr


def test_lower_layers_of_a_run_are_taught_by_all_of_it(folder: Path) -> None:
    """As recipes/food_small_best.yaml has it: its head is kept, and the student answers with the teacher's classes."""
    assert train(folder, "model.keep_layers=null", "output=whole").returncode == 0
    own = ("model.name=whole/model", "distill={teacher: whole, weight: 1, hidden: 1}")
    done = train(folder, *own)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "1 of the encoder's 3 layers stay, the lowest" in said
    assert "the head of model is kept: its classes are these" in said
    names = [
        AutoModelForSequenceClassification.from_pretrained(folder / run / "model").config.id2label
        for run in ("whole", "run")
    ]
    assert names[0] == names[1]


def test_pretraining_keeps_as_many_and_refuses_layers_that_are_shared(folder: Path) -> None:
    small = ("pretrain={epochs: 1}", "train.max_updates=1")
    done = command("python", "-m", "accel_cls.pretrain", "recipe.yaml", *small, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert len(encoder_layers(AutoModel.from_pretrained(folder / "run-pretrained" / "model"), "here")) == 1
    config = AutoConfig.from_pretrained(folder / "m")
    sizes = {"hidden_size": 16, "embedding_size": 8, "num_attention_heads": 2, "intermediate_size": 32}
    shared = transformers.AlbertConfig(
        vocab_size=config.vocab_size, num_hidden_layers=4, pad_token_id=config.pad_token_id, **sizes
    )
    AutoModel.from_config(shared).save_pretrained(folder / "m")
    more = ("model.keep_layers=2", "output=other")
    refused = command("python", "-m", "accel_cls.pretrain", "recipe.yaml", *small, *more, cwd=folder)
    assert refused.returncode == 2
    assert "model.keep_layers: " in refused.stderr
    assert "has 2 layers by its configuration, whose weights are those of 1" in refused.stderr


def test_plan_counts_what_stays(folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    memory = [
        next(
            line for line in cli(capsys, "plan", "recipe.yaml", layers)[1].splitlines() if line.startswith("  memory")
        )
        for layers in ("model.keep_layers=1", "model.keep_layers=3", "model.keep_layers=null")
    ]
    assert memory[0] != memory[1] == memory[2]


def test_mistakes_are_told_before_training(folder: Path) -> None:
    for override, words in (
        ("model.keep_layers=4", "model.keep_layers: found 4; expected 3 at most, the layers of "),
        ("model.name=null", "model.keep_layers: found 1; it is for a pretrained model"),
        ("model.freeze=2", "model.freeze: found 2; a BertForSequenceClassification has 1 layer"),
    ):
        done = train(folder, override)
        assert done.returncode == 2
        assert words in " ".join(done.stderr.split())
