"""A tiny random model of each family: its configuration as transformers has it, with small numbers in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from tools.model_matrix.tokenizers import Style, tokenizer_of

FAMILIES: dict[str, str] = {
    family: str(name) for family, name in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.items()
}

# Random weights of the usual size (0.02) make answers that hardly depend on the text.
_LARGER = 5.0

_SMALL = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "d_latents"), 32),
    **dict.fromkeys(("input_embedding_size", "output_embedding_size", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 1),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_self_attention_heads", "num_cross_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "num_experts_per_tok"), 2),
    **dict.fromkeys(("head_dim", "d_head", "d_kv", "attention_head_size"), 8),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_inner", "d_ff", "ffn_dim", "dff", "n_inner"), 64),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "ffn_hidden_size", "feed_forward_size"), 64),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("n_routed_experts", "num_experts", "num_local_experts"), 4),
    **dict.fromkeys(("n_group", "topk_group"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 64),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 8),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 2),
    **dict.fromkeys(("max_2d_position_embeddings", "max_rel_pos", "max_rel_2d_pos", "num_hash_buckets"), 16),
}
_LATENT = {"num_key_value_heads": 4}  # attention with keys and values of low rank has as many heads of each
_MIXED = {"layer_types": ["linear_attention", "full_attention"]}
_HYBRID = {
    "num_hidden_layers": 3,
    "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
    "n_mamba_heads": 2,
    "use_mamba_kernels": False,
}
_T5 = {"decoder_start_token_id": 0}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}

# What a family needs else.
_OWN: dict[str, dict[str, Any]] = {
    "axk1": _LATENT,
    "axk2": _LATENT,
    "bigbird_pegasus": {"block_size": 4, "num_random_blocks": 1},
    "big_bird": {"block_size": 4, "num_random_blocks": 1},
    "canine": {"num_hash_functions": 2, "num_hash_buckets": 64, "max_position_embeddings": 64},
    "cohere_compass_text": {"rope_parameters": {"full_attention": _ROPE | {"mrope_section": [2, 1, 1]}}},
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT | {"first_k_dense_replace": 1},
    "esmc": {"num_key_value_heads": 4},
    "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 4},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
    "layoutlmv3": {"coordinate_size": 5, "shape_size": 6, "visual_embed": False},
    "lilt": {"hidden_size": 48},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 8},
    "longformer": {"attention_window": 16},
    "markuplm": {
        "max_xpath_tag_unit_embeddings": 16,
        "max_xpath_subs_unit_embeddings": 16,
        "tag_pad_id": 15,
        "subs_pad_id": 15,
        "xpath_unit_hidden_size": 4,
        "max_depth": 4,
    },
    "minicpm3": _LATENT,
    "ministral": {"head_dim": 8},
    "mistral4": _LATENT | {"head_dim": 16},
    "mobilebert": {"intra_bottleneck_size": 32, "true_hidden_size": 32, "num_feedforward_networks": 1},
    "mt5": _T5,
    "nemotron": {"head_dim": 8},
    "nystromformer": {"num_landmarks": 8, "segment_means_seq_len": 64},
    "perceiver": {"num_latents": 16, "num_self_attends_per_block": 2},
    "qwen3_next": _MIXED,
    "qwen3_5": {"text_config": _MIXED},
    "qwen3_5_text": _MIXED,
    "reformer": {"axial_pos_embds_dim": [8, 24], "axial_pos_shape": [8, 8], "attn_layers": ["local", "lsh"]},
    "roc_bert": {
        "pronunciation_vocab_size": 20,
        "shape_vocab_size": 20,
        "pronunciation_embed_dim": 8,
        "shape_embed_dim": 8,
    },
    "t5": _T5,
    "umt5": _T5,
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zamba": _HYBRID,
    "zamba2": _HYBRID,
}

_BERT = """albert bert big_bird canine cohere_compass_text convbert deberta deberta-v2 distilbert
 electra ernie esm esmc eurobert flaubert fnet funnel gte jina_embeddings_v3 layoutlm layoutlmv2 markuplm
 megatron-bert mobilebert modernbert modernvbert mra nomic_bert nystromformer perceiver reformer rembert roc_bert
 roformer squeezebert tapas ultrabert ultravbert xlm yoso"""
_ROBERTA = """bart bigbird_pegasus camembert data2vec-text ibert layoutlmv3 lilt longformer luke mbart mpnet mvp plbart
 roberta roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod"""
_STYLES: dict[str, Style] = {
    **dict.fromkeys(_BERT.split(), "bert"),
    **dict.fromkeys(_ROBERTA.split(), "roberta"),
    **dict.fromkeys(("t5", "mt5", "umt5"), "t5"),
    **dict.fromkeys(
        ("gemma", "gemma2", "gemma3", "gemma3_text", "t5gemma", "t5gemma2", "modernbert-decoder"), "gemma"
    ),
    "xlnet": "xlnet",
}


def style_of(family: str) -> Style:
    """The kind of tokenizer that a family has; decoders, which are the most, have that of causal models."""
    return _STYLES.get(family, "causal")


def write_model(folder: Path, family: str) -> None:
    """Write a random model of a family, an encoder or decoder without a head, with its tokenizer."""
    tokenizer = tokenizer_of(style_of(family))
    torch.manual_seed(0)
    model = AutoModel.from_config(configuration(family, tokenizer))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(_LARGER)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def configuration(family: str, tokenizer: PreTrainedTokenizerBase) -> Any:
    """A family's configuration with small numbers, and the special tokens of a tokenizer."""
    usual = AutoConfig.for_model(family)
    return AutoConfig.for_model(family, **_merged(_small(usual, tokenizer), _OWN.get(family, {})))


def _merged(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Those values with more, also within the configurations that a configuration holds."""
    inner = {key: values[key] | value for key, value in more.items() if isinstance(values.get(key), dict)}
    return values | more | inner


def _small(usual: Any, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What is to be different in a configuration, and in those within it."""
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    tokens = {
        "vocab_size": len(tokenizer),
        "pad_token_id": pad,
        "eos_token_id": tokenizer.sep_token_id if eos is None else eos,
        "bos_token_id": eos if tokenizer.cls_token_id is None else tokenizer.cls_token_id,
        "decoder_start_token_id": eos,
    }
    if tokenizer.cls_token_id is not None:
        tokens |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
    found: dict[str, Any] = {}
    for key, value in usual.to_dict().items():
        if key in tokens:
            found[key] = tokens[key]
        elif key in _SMALL and (isinstance(value, int) or value is None) and not isinstance(value, bool):
            found[key] = _SMALL[key]
    for key, value in vars(usual).items():
        if hasattr(value, "to_dict"):
            found[key] = _small(value, tokenizer)
    return found
