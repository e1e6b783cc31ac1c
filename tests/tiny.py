"""Tiny random models of several families, as pretrained folders without a head, over one small vocabulary."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerFast

GOOD = ["good", "great", "lovely", "fine", "tasty", "fresh"]
BAD = ["bad", "awful", "cold", "late", "stale", "rude"]
_FILL = ["the", "food", "was", "and", "service", "driver", "very", "today", "my", "order", "rice", "soup"]

_HIDDEN = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
_ROBERTA = _HIDDEN | {"max_position_embeddings": 42, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
_DEBERTA = {"relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0}

# transformers' class, the tokenizer's style, the configuration, and the most tokens that such a model takes.
FAMILIES: dict[str, tuple[str, str, dict[str, Any], int | None]] = {
    "bert": ("Bert", "bert", _HIDDEN | {"max_position_embeddings": 40}, 40),
    "roberta": ("Roberta", "roberta", _ROBERTA | {"type_vocab_size": 1}, 40),
    "distilbert": (
        "DistilBert",
        "bert",
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 40},
        40,
    ),
    "deberta-v2": (
        "DebertaV2",
        "bert",
        _HIDDEN | _DEBERTA | {"max_position_embeddings": 40, "position_biased_input": False},
        None,
    ),
    "xlnet": ("XLNet", "bert", {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32}, None),
}


def tokenizer_of(style: str) -> PreTrainedTokenizerFast:
    """One token a word. "bert" has two token types, "roberta" none."""
    special = {"bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"], "roberta": ["<s>", "<pad>", "</s>", "<unk>"]}[style]
    vocabulary = {token: i for i, token in enumerate([*special, *GOOD, *BAD, *_FILL])}
    if style == "bert":
        names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        forms = ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
    else:
        names = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
        forms = ("<s> $A </s>", "<s> $A </s> </s> $B </s>")
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=names["unk_token"]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [(names[key], vocabulary[names[key]]) for key in ("cls_token", "sep_token")]
    tokenizer.post_processor = processors.TemplateProcessing(single=forms[0], pair=forms[1], special_tokens=ends)
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if style == "bert" else [])]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **names)


def write_model(folder: Path, family: str = "bert", style: str | None = None, head: Any = None, **more: Any) -> None:
    """Write a random model with its tokenizer into a folder: an encoder without a head.

    Args:
        folder: where to.
        family: one of FAMILIES.
        style: of the tokenizer; None for the family's own.
        head: classes by id, for a classifier with a random head in place of an encoder.
        more: what its configuration has else.
    """
    kind, own_style, options, _ = FAMILIES[family]
    tokenizer = tokenizer_of(style or own_style)
    values = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id} | options | more
    if head is not None:
        values |= {"id2label": head, "label2id": {name: i for i, name in head.items()}}
    config = getattr(transformers, f"{kind}Config")(**values)
    torch.manual_seed(0)
    model: PreTrainedModel = (AutoModel if head is None else AutoModelForSequenceClassification).from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def text_of(words: int, good: bool, draw: random.Random) -> str:
    """A text of so many words; some of them tell whether it is good."""
    text = [draw.choice(_FILL) for _ in range(words)]
    for _ in range(1 + words // 4):
        text[draw.randrange(words)] = draw.choice(GOOD if good else BAD)
    return " ".join(text)


def write_texts(path: Path, count: int, words: tuple[int, ...], seed: int = 0, pairs: bool = False) -> None:
    """Write a csv of labelled texts, or pairs of texts: columns text (and pair) and label, of pos and neg."""
    draw = random.Random(seed)
    lines = ["text,pair,label" if pairs else "text,label"]
    for i in range(count):
        cells = [text_of(draw.choice(words), bool(i % 2), draw) for _ in range(1 + pairs)]
        lines.append(",".join([*cells, "pos" if i % 2 else "neg"]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
