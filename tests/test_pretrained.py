"""Pretrained folders without a head, of several families: they train, and what starts fresh is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import train
from run_results import read_csv

from accel_cls.tokenization import pretrained


def _save_pretrained(folder: Path, family: str) -> None:
    """A tiny untrained encoder of a family, with a tokenizer, as a model folder without a head."""
    import transformers

    from accel_cls.data.texts import Texts
    from accel_cls.tokenization.vocabulary import learn_tokenizer

    texts = [row["review"] for row in read_csv(folder / "reviews.csv")]
    tokenizer = learn_tokenizer(Texts.of({"text": texts}), 200)
    tokenizer.model_max_length = 32
    sizes = {
        "Roberta": {"max_position_embeddings": 40, "pad_token_id": tokenizer.pad_token_id},
        "DistilBert": {
            "max_position_embeddings": 32,
            "dim": 16,
            "n_heads": 2,
            "n_layers": 1,
            "hidden_dim": 32,
        },
    }[family]
    if family == "Roberta":
        sizes |= {
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
        }
    config = getattr(transformers, f"{family}Config")(vocab_size=len(tokenizer), **sizes)
    getattr(transformers, f"{family}Model")(config).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")


@pytest.mark.parametrize("family", ["Roberta", "DistilBert"])
def test_pretrained_folder_trains_and_says_what_starts_fresh(work: Path, family: str) -> None:
    _save_pretrained(work, family)
    done = train(work, "model.name=encoder", "train.max_updates=2", "model.dropout=0.2")
    assert done.returncode == 0, done.stderr
    assert "weights that encoder does not have start fresh: " in done.stdout
    assert "classifier" in done.stdout
    config = json.loads((work / "run" / "model" / "config.json").read_text(encoding="utf-8"))
    assert {value for key, value in config.items() if "dropout" in key and value is not None} == {0.2}


def test_model_longer_than_it_can_be_is_refused(work: Path) -> None:
    _save_pretrained(work, "DistilBert")
    refused = train(work, "model.name=encoder", "data.max_length=64")
    assert refused.returncode == 2
    assert "data.max_length: found 64;" in refused.stderr
    assert "takes at most 32 tokens" in refused.stderr


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["bert_config.json", "vocab.txt"], "its configuration is called bert_config.json; rename it to config.json"),
        (["spiece.txt"], "it has no config.json; what is there: spiece.txt"),
        ([], "it has no config.json; what is there: nothing"),
    ],
)
def test_folder_that_is_no_model_is_told_by_what_is_there(files: list[str], words: str, work: Path) -> None:
    (work / "model").mkdir()
    for name in files:
        (work / "model" / name).write_text("{}", encoding="utf-8")
    done = train(work, "model.name=./model")
    assert done.returncode == 2
    assert words in done.stderr


def test_packages_that_a_vocabulary_needs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "spm.model").write_bytes(b"pieces")
    monkeypatch.setattr(pretrained, "distributions", lambda name: [] if name == "protobuf" else [name])
    told = str(pretrained.load_error(str(tmp_path), "tokenizer", ValueError("`tiktoken` is required")))
    assert told.endswith("its vocabulary is spm.model, which takes more packages to read: pip install protobuf")
