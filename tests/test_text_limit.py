"""Texts as long as a model can take go through it, longer ones are refused or cut, whatever its positions are."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
import torch
import transformers
from conftest import command, train, write_recipe
from tiny import FAMILIES, text_of, write_model, write_texts
from transformers import AutoModelForSequenceClassification

from accel_cls.models.capabilities.text_limit import longest_text, text_limit

_ANY = 90  # tokens, of families without a limit


@pytest.fixture(params=FAMILIES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, int | None]:
    """A folder with a model, texts longer than it takes, and a recipe; the family; the most tokens that it takes."""
    limit = FAMILIES[request.param][3]
    write_model(tmp_path / "m", request.param)
    write_texts(tmp_path / "a.csv", 24, (3, 10, limit or _ANY, 2 * _ANY))
    write_recipe(
        tmp_path,
        data=f"{{train: a.csv, validation: a.csv, max_length: {limit or _ANY}}}",
        model="{name: m}",
        train="{max_updates: 2, batch_size: 8, micro_batch_tokens: 512}",
    )
    return tmp_path, request.param, limit


def test_longest_texts_train_and_are_classified(case: tuple[Path, str, int | None]) -> None:
    folder, _, limit = case
    done = train(folder)
    assert done.returncode == 0, done.stderr
    draw = random.Random(5)
    texts = "".join(text_of(words, True, draw) + "\n" for words in (1, (limit or _ANY) - 2, (limit or _ANY) - 1, 200))
    done = command("python", "-m", "accel_cls.predict", "run", cwd=folder, stdin=texts)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 4


def test_one_token_more_is_refused_where_there_is_a_limit(case: tuple[Path, str, int | None]) -> None:
    folder, _, limit = case
    done = train(folder, f"data.max_length={(limit or _ANY) + 1}")
    if limit is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2
        assert f"data.max_length: found {limit + 1}; " in done.stderr
        assert done.stderr.endswith(f"m takes at most {limit} tokens\n")


def test_model_of_another_origin_classifies_texts_of_any_length(case: tuple[Path, str, int | None]) -> None:
    """Its tokenizer knows no limit."""
    folder, family, _ = case
    write_model(folder / "foreign", family, head={0: "neg", 1: "pos"})
    with open(folder / "a.csv", newline="", encoding="utf-8") as file:
        texts = "".join(row["text"] + "\n" for row in csv.DictReader(file))
    done = command("python", "-m", "accel_cls.predict", "foreign", cwd=folder, stdin=texts)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 24


_HIDDEN = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
_HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 64}
_BART = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
_NYSTROM = {"num_landmarks": 8, "segment_means_seq_len": 64}
_T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}


@pytest.mark.parametrize(
    ("kind", "options", "limit"),
    [
        ("XLMRoberta", _HIDDEN | {"max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ("Roberta", _HIDDEN | {"max_position_embeddings": 66, "pad_token_id": 0}, 65),
        ("Camembert", _HIDDEN | {"max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ("MPNet", _HIDDEN | {"max_position_embeddings": 66}, 64),
        ("Longformer", _HIDDEN | {"max_position_embeddings": 66, "pad_token_id": 1, "attention_window": 16}, 64),
        ("Data2VecText", _HIDDEN | {"max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ("Bart", _BART | _HEADS, 64),
        ("T5", _T5 | {"n_positions": 64, "decoder_start_token_id": 0}, None),
        ("GPT2", {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}, 64),
        ("Nystromformer", _HIDDEN | _NYSTROM | {"max_position_embeddings": 64}, 64),
        ("ModernBert", _HIDDEN | {"max_position_embeddings": 64}, 64),
        ("DebertaV2", _HIDDEN | {"max_position_embeddings": 64, "relative_attention": False}, 64),
        ("RoFormer", _HIDDEN | {"embedding_size": 16, "max_position_embeddings": 64}, 64),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_limit_of_other_families(kind: str, options: dict[str, object], limit: int | None) -> None:
    values = {"vocab_size": 60, "pad_token_id": 0} | options
    if kind == "ModernBert":
        values |= {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    config = getattr(transformers, f"{kind}Config")(**values)
    with torch.device("meta"):
        assert longest_text(AutoModelForSequenceClassification.from_config(config)) == limit
    model = AutoModelForSequenceClassification.from_config(config).eval()
    assert longest_text(model) == limit
    ids = torch.full((1, limit or 100), 9)
    ids[0, -1] = config.eos_token_id if kind in ("Bart", "T5") else 9
    assert torch.isfinite(model(input_ids=ids).logits).all()
    assert text_limit(model, 1000) == (limit or 1000)
    assert text_limit(model, 32) == 32
    assert text_limit(model, int(1e30)) == (limit or 1_000_000)
