"""Tokenizers of few words, with the special tokens of the kinds of models that there are."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Literal

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

Style = Literal["bert", "roberta", "t5", "xlnet", "gemma", "causal"]

GOOD = ["good", "great", "lovely", "fine", "tasty", "fresh"]
BAD = ["bad", "awful", "cold", "late", "stale", "rude"]
FILL = ["the", "food", "was", "and", "service", "driver", "very", "today", "my", "order", "rice", "soup"]

# Special tokens in the order of their ids; what each is; a text, and a pair of texts. BERT has two token types, XLNet
# three and its mark at the end, Gemma's line begins with a mark, other causal ones have none.
_STYLES: dict[Style, tuple[list[str], dict[str, str], tuple[str, str] | None]] = {
    "bert": (
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
        {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"},
        ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    ),
    "roberta": (
        ["<s>", "<pad>", "</s>", "<unk>"],
        {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "eos_token": "</s>"},
        ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    ),
    "t5": (
        ["<pad>", "</s>", "<unk>"],
        {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>"},
        ("$A </s>", "$A </s> $B </s>"),
    ),
    "xlnet": (
        ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>"],
        {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<cls>", "sep_token": "<sep>"},
        ("$A <sep> <cls>:2", "$A <sep> $B:1 <sep>:1 <cls>:2"),
    ),
    "gemma": (
        ["<pad>", "<eos>", "<bos>", "<unk>"],
        {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"},
        ("<bos> $A", "<bos> $A $B"),
    ),
    "causal": (
        ["<|endoftext|>", "<unk>"],
        {"eos_token": "<|endoftext|>", "unk_token": "<unk>"},
        None,
    ),
}


def tokenizer_of(style: Style) -> PreTrainedTokenizerFast:
    """One token a word."""
    special, names, forms = _STYLES[style]
    # Letters for Qwen2's own class of tokenizers, which takes any vocabulary for one of parts of words.
    letters = [*ascii_lowercase] if style in ("gemma", "causal") else []
    vocabulary = {token: i for i, token in enumerate([*special, *GOOD, *BAD, *FILL, *letters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=names["unk_token"]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if forms is not None:
        marks = [(token, vocabulary[token]) for token in special if token in " ".join(forms)]
        tokenizer.post_processor = processors.TemplateProcessing(single=forms[0], pair=forms[1], special_tokens=marks)
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if style in ("bert", "xlnet") else [])]
    side = {"padding_side": "left"} if style == "xlnet" else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **side, **names)
