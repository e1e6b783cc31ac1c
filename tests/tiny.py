"""Tiny random models of several families, as pretrained folders without a head, over one small vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedModel

from tools.model_matrix.texts import text_of as text_of
from tools.model_matrix.texts import write_texts as write_texts
from tools.model_matrix.tokenizers import BAD as BAD
from tools.model_matrix.tokenizers import GOOD as GOOD
from tools.model_matrix.tokenizers import Style, tokenizer_of

_HIDDEN = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
_ROBERTA = _HIDDEN | {"max_position_embeddings": 42, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
_DEBERTA = {"relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0}

# transformers' class, the tokenizer's style, the configuration, and the most tokens that such a model takes.
FAMILIES: dict[str, tuple[str, Style, dict[str, Any], int | None]] = {
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

_SEQ2SEQ = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
_HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
_T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}
_CAUSAL = _HIDDEN | {"num_key_value_heads": 1, "max_position_embeddings": 40}

# Families that stand for the other ways to take padding and to read an answer, likewise.
KINDS: dict[str, tuple[str, Style, dict[str, Any], int | None]] = {
    "qwen2": ("Qwen2", "causal", _CAUSAL | {"eos_token_id": 0}, 40),  # the last token that is not padding, by its id
    "gpt2": ("GPT2", "causal", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40}, 40),
    "bart": ("Bart", "roberta", _SEQ2SEQ | _HEADS | {"max_position_embeddings": 40, "eos_token_id": 2}, 40),  # its end
    "t5": ("T5", "roberta", _T5 | {"decoder_start_token_id": 1, "eos_token_id": 2}, None),  # likewise
    "squeezebert": ("SqueezeBert", "bert", _HIDDEN | {"embedding_size": 16, "max_position_embeddings": 40}, 40),
    "longformer": ("Longformer", "roberta", _ROBERTA | {"attention_window": 16, "type_vocab_size": 1}, 40),
    "fnet": ("FNet", "bert", {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32}, None),  # no mask
    "canine": ("Canine", "bert", _HIDDEN | {"num_hash_buckets": 64, "num_hash_functions": 2}, None),  # sixteen or more
}


def write_model(folder: Path, family: str = "bert", style: Style | None = None, head: Any = None, **more: Any) -> None:
    """Write a random model with its tokenizer into a folder: an encoder without a head.

    Args:
        folder: where to.
        family: one of FAMILIES or KINDS.
        style: of the tokenizer; None for the family's own.
        head: classes by id, for a classifier with a random head in place of an encoder.
        more: what its configuration has else.
    """
    kind, own_style, options, _ = (FAMILIES | KINDS)[family]
    tokenizer = tokenizer_of(style or own_style)
    values = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id} | options | more
    if head is not None:
        values |= {"id2label": head, "label2id": {name: i for i, name in head.items()}}
    config = getattr(transformers, f"{kind}Config")(**values)
    torch.manual_seed(0)
    model: PreTrainedModel = (AutoModel if head is None else AutoModelForSequenceClassification).from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
