"""Heads that pool an encoder's tokens: the recipe's choice, what lies beside a model, exactness, and what can't be."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import command, train, write_recipe
from packed_texts import assert_packed_as_padded
from run_results import read_csv
from safetensors.torch import load_file
from same_training import assert_goes_on_exactly, assert_two_processes_train_as_one
from tiny import write_model, write_texts
from transformers import AutoConfig

from accel_cls.models.configuration import hidden_size_of
from accel_cls.models.own.configurations import PooledConfig
from accel_cls.models.own.pooled import PooledForSequenceClassification
from accel_cls.models.packing import can_pack
from accel_cls.recipe.sections.model import POOLINGS_OF

_SMALL = {
    "vocab_size": 90,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 160,
    "pad_token_id": 1,
    "initializer_range": 0.4,  # so that each token matters to each
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
_DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "dropout": 0.0, "attention_dropout": 0.0}
# Ids from 4 to 89: some of the texts are of one part only.
_PAIR = {"is_pair": True, "separator": 50, "special_tokens": [1, 50, 51]}


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "albert"])
@pytest.mark.parametrize(
    ("pooling", "pair"), [*((how, {}) for how in POOLINGS_OF["linear"]), ("mean", _PAIR), ("attention", _PAIR)]
)
def test_packed_texts_have_the_logits_and_gradients_of_padded_ones(family: str, pooling: str, pair: dict) -> None:
    encoder = AutoConfig.for_model(family, **_SMALL | (_DISTIL if family == "distilbert" else {}))
    config = PooledConfig(encoder=encoder, pooling=pooling, num_labels=3, classifier_dropout=0.0, **pair)
    torch.manual_seed(5)
    model = PooledForSequenceClassification(config).double().train()
    torch.nn.init.normal_(model.classifier.weight)
    if model.pooling.query is not None:
        torch.nn.init.normal_(model.pooling.query.weight)
    assert can_pack(config)
    logits, _ = assert_packed_as_padded(model)
    assert logits.std(0).min() > 1e-3  # the texts differ in what the model says of them
    assert all(p.grad is not None for p in model.parameters()), "DDP would wait for the others"


def _sentence_transformer(folder: Path, settings: object) -> None:
    """The files that sentence-transformers writes beside an encoder."""
    (folder / "1_Pooling").mkdir()
    modules = [{"path": "", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.models.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    text = settings if isinstance(settings, str) else json.dumps(settings)
    (folder / "1_Pooling" / "config.json").write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny BERT encoder in `encoder`, with texts and a recipe for it."""
    write_model(tmp_path / "encoder")
    write_texts(tmp_path / "texts.csv", 120, range(1, 9))
    write_recipe(
        tmp_path,
        data="{train: texts.csv, text: text, label: label, max_length: 32}",
        model="{name: ./encoder, dropout: 0}",
        train="{epochs: 2, batch_size: 16, micro_batch_tokens: 256, learning_rate: 5e-3, log_every: 1}",
    )
    return tmp_path


def _config(run: Path) -> dict:
    return json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, None),  # BERT's own head does that
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, None),  # both, one beside the other
        ({"pooling_mode_lasttoken": True}, None),
    ],
)
def test_auto_reads_what_sentence_transformers_wrote(settings: object, pooling: str | None, folder: Path) -> None:
    _sentence_transformer(folder / "encoder", settings)
    done = train(folder, "train.max_updates=1")
    assert done.returncode == 0, done.stderr
    config = _config(folder / "run")
    assert config.get("pooling") == pooling
    assert config["model_type"] == ("bert" if pooling is None else "accel-cls-pooled")
    assert "1_Pooling/config.json of encoder" in done.stdout


@pytest.mark.parametrize("broken", ["{", '{"pooling_mode_mean_tokens": tru}', "[1]", None])
def test_files_that_cannot_be_read_are_named(broken: str | None, folder: Path) -> None:
    _sentence_transformer(folder / "encoder", broken or "{}")
    if broken is None:
        shutil.rmtree(folder / "encoder" / "1_Pooling")
    done = train(folder)
    assert done.returncode == 2
    assert "1_Pooling/config.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert train(folder, "model.pooling=mean", "train.max_updates=1").returncode == 0, "a recipe's word is enough"


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_same_training_on_two_processes_and_after_a_stop(pooling: str, folder: Path) -> None:
    overrides = [f"model.pooling={pooling}", "train.head_rate=5"]
    assert_two_processes_train_as_one(folder, *overrides)
    assert_goes_on_exactly(folder / "one", *overrides, update=7)


def test_model_is_found_by_transformers_whoever_is_imported_first(folder: Path) -> None:
    assert train(folder, "model.pooling=mean", "train.max_updates=3").returncode == 0
    row = read_csv(folder / "run" / "predictions.csv")[0]
    for imports in ("import accel_cls\nimport transformers", "import transformers\nimport accel_cls"):
        code = (
            f"{imports}\n"
            "said = transformers.pipeline('text-classification', 'run/model', top_k=None)([TEXT])[0]\n"
            "print({one['label']: one['score'] for one in said})"
        ).replace("TEXT", repr(row["text"]))
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout.replace("'", '"'))
        for name, score in said.items():
            assert score == pytest.approx(float(row[f"p({name})"]), abs=1e-5)


def test_importing_this_package_imports_neither_torch_nor_transformers() -> None:
    code = "import sys, accel_cls; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_trained_classifier_keeps_its_pooling_and_head(folder: Path) -> None:
    assert train(folder, "model.pooling=max", "output=first").returncode == 0
    assert hidden_size_of(str(folder / "first" / "model")) == 16  # of the encoder: by it rates are tried
    again = train(folder, "model.name=first/model", "output=second", "train.max_updates=1")
    assert again.returncode == 0, again.stderr
    assert _config(folder / "second")["pooling"] == "max"
    assert "the head of model is kept: its classes are these" in again.stdout
    other = train(folder, "model.name=first/model", "model.pooling=attention", "output=third", "train.max_updates=1")
    assert other.returncode == 0, other.stderr
    assert _config(folder / "third")["pooling"] == "attention"
    assert "start fresh: pooling.query.weight" in other.stdout


def test_native_heads_are_kept_where_they_pool_so(folder: Path) -> None:
    assert train(folder, "model.pooling=first", "train.max_updates=1").returncode == 0
    assert _config(folder / "run")["architectures"] == ["BertForSequenceClassification"]


def test_texts_of_a_pair_are_pooled_each_by_itself(tmp_path: Path) -> None:
    write_model(tmp_path / "encoder", "roberta")
    write_texts(tmp_path / "texts.csv", 120, range(1, 9), pairs=True)
    write_recipe(
        tmp_path,
        data="{train: texts.csv, text: [text, pair], label: label, max_length: 32}",
        model="{name: ./encoder, freeze: encoder}",
    )
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    config = _config(tmp_path / "run")
    assert config["is_pair"]
    assert load_file(tmp_path / "run" / "model" / "model.safetensors")["classifier.weight"].shape == (2, 4 * 16)
    row = read_csv(tmp_path / "run" / "predictions.csv")[0]
    pair = ("--text", row["text"], "--pair", row["pair"])
    said = command("python", "-m", "accel_cls.predict", "run", *pair, cwd=tmp_path)
    assert row["predicted"] in said.stdout, said.stderr
    single = train(tmp_path, "model.name=run/model", "~model.freeze", "data.text=text", "output=other")
    assert single.returncode == 2
    assert "compares two texts; expected data.text to name two columns" in single.stderr


def test_encoder_from_nothing_can_pool(work: Path) -> None:
    done = train(work, "model.pooling=mean", "model.scratch.dropout=0.2", "train.max_updates=2")
    assert done.returncode == 0, done.stderr
    config = _config(work / "run")
    assert (config["pooling"], config["classifier_dropout"]) == ("mean", 0.2)


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_model_with_a_decoder_has_no_pooling(family: str, folder: Path) -> None:
    write_model(folder / "other", family)
    done = train(folder, "model.name=./other", "model.pooling=mean")
    assert done.returncode == 2
    assert "model.pooling: found mean; " in done.stderr
    assert "it has a decoder" in done.stderr


@pytest.mark.parametrize("family", ["deberta-v2", "xlnet", "gpt2"])
def test_padded_families_pool_too(family: str, folder: Path) -> None:
    write_model(folder / "other", family)
    done = train(folder, "model.name=./other", "model.pooling=mean", "train.max_updates=2")
    assert done.returncode == 0, done.stderr
    assert _config(folder / "run")["encoder"]["model_type"] == family
    row = read_csv(folder / "run" / "predictions.csv")[0]
    said = command("python", "-m", "accel_cls.predict", "run", cwd=folder, stdin=row["text"])
    for name, probability in json.loads(said.stdout)["probabilities"].items():
        assert probability == pytest.approx(float(row[f"p({name})"]), abs=1e-5)


@pytest.mark.parametrize(("content", "words"), [("{}", "expected a JSON list"), ("[", "can't be read"), ("[1]", "")])
def test_list_of_modules_that_is_none_is_told(content: str, words: str, folder: Path) -> None:
    (folder / "encoder" / "modules.json").write_text(content, encoding="utf-8")
    done = train(folder, "train.max_updates=1")
    assert done.returncode == (2 if words else 0), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
