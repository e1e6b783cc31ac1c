"""Which tokens are one word: pieces that belong together, and Chinese words, where jieba is installed to cut them."""

from __future__ import annotations

import importlib.util
import re

import numpy as np
from transformers import PreTrainedTokenizerBase

from accel_cls.tokenization.encoded import Encoded

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_LONGEST = 8  # tokens of a word; of what is longer, such as a line without spaces, each token stands for itself
NO_WORD = -1  # of special tokens


def has_jieba() -> bool:
    """Whether Chinese words can be told."""
    return importlib.util.find_spec("jieba") is not None


def holds_chinese(tokenizer: PreTrainedTokenizerBase, encoded: Encoded) -> bool:
    """Whether a twentieth of the tokens is Chinese."""
    return bool(_Pieces(tokenizer).is_han[encoded.ids].mean() > 0.05)


def words_of(tokenizer: PreTrainedTokenizerBase, encoded: Encoded, whole: bool) -> np.ndarray:
    """The word that each token belongs to, int32 [tokens], numbered from 0 in each text; NO_WORD of special tokens.

    Args:
        tokenizer: that has made the tokens.
        encoded: the texts.
        whole: whether pieces of a word belong together; else each token is a word of its own.
    """
    pieces, ids = _Pieces(tokenizer), encoded.ids
    is_special = pieces.is_special[ids]
    starts = np.ones(len(ids), bool)
    if whole:
        before = np.concatenate([[True], is_special[:-1] | pieces.is_han[ids[:-1]]])  # after which a word begins
        starts = ~pieces.continues[ids] | before | pieces.is_han[ids]
        if has_jieba():
            _join_chinese(pieces, ids, starts)
        starts[encoded.offsets[:-1]] = True
        word = np.cumsum(starts) - 1
        starts |= (np.bincount(word) > _LONGEST)[word]
    count = np.concatenate([[0], np.cumsum(starts & ~is_special)])
    first = np.repeat(count[encoded.offsets[:-1]], np.diff(encoded.offsets))
    return np.where(is_special, NO_WORD, count[1:] - 1 - first).astype(np.int32)


class _Pieces:
    """What each entry of a vocabulary is, bool [entries]."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        vocabulary = tokenizer.get_vocab()
        size = 1 + max([*vocabulary.values(), *tokenizer.all_special_ids])
        tokens = [""] * size
        for token, at in vocabulary.items():
            tokens[at] = token
        # WordPiece marks what goes on ("##"), SentencePiece and byte-level BPE what begins ("▁", "Ġ").
        marks = next((mark for mark in ("▁", "Ġ") if sum(t.startswith(mark) for t in tokens) > size // 100), None)
        self.texts = [token.removeprefix("##").lstrip("▁Ġ") for token in tokens]
        self.is_special = np.zeros(size, bool)
        self.is_special[[*({*tokenizer.all_special_ids} - {tokenizer.unk_token_id})]] = True
        self.is_han = np.array([_HAN.fullmatch(text) is not None for text in self.texts], bool)
        self.continues = np.array(
            [token.startswith("##") if marks is None else not token.startswith(marks) for token in tokens], bool
        )


def _join_chinese(pieces: _Pieces, ids: np.ndarray, starts: np.ndarray) -> None:
    """Say where words of Chinese tokens begin; changes `starts`."""
    import jieba

    is_han = np.concatenate([[False], pieces.is_han[ids], [False]])
    edges = np.flatnonzero(is_han[1:] != is_han[:-1])
    for begin, end in edges.reshape(-1, 2).tolist():  # a line of Chinese tokens, which no special one interrupts
        texts = [pieces.texts[one] for one in ids[begin:end].tolist()]
        ends = set(np.cumsum([len(word) for word in jieba.cut("".join(texts))]).tolist())
        at = 0
        for token, text in enumerate(texts):
            starts[begin + token] = token == 0 or at in ends
            at += len(text)
