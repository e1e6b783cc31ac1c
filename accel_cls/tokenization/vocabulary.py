"""The tokenizers of models from scratch: their vocabularies counted in the training texts."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from pathlib import Path

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from accel_cls.data.texts import Texts
from accel_cls.tokenization.cache import find_or_make

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_NORMALIZER = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=True)
_PRE_TOKENIZER = pre_tokenizers.BertPreTokenizer()
# Of tokenizers whose tokens are characters: the same letter in one form, small, and one space between words.
_CHARACTER_NORMALIZER = normalizers.Sequence(
    [
        normalizers.NFKC(),
        normalizers.BertNormalizer(lowercase=True, strip_accents=False, handle_chinese_chars=False),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]
)
_BATCH = 1000  # texts that are counted at once
_FORMAT = 1  # of what is kept; another number makes all anew
_UNSURE = "\ud800"  # half a character, as stands in no text


def learn_characters(texts: Texts, vocabulary: int) -> PreTrainedTokenizerBase:
    """A tokenizer whose tokens are single characters, the most frequent ones of texts, twice at least; deterministic.

    Spaces are characters, too. Each text of a pair has a [CLS] before it: n-grams at its beginning are the same
    wherever it stands.
    """
    counts: Counter[str] = Counter()
    for start in range(0, len(texts), _BATCH):
        for cells in texts[start : start + _BATCH].values():
            for text in cells:
                counts.update(_CHARACTER_NORMALIZER.normalize_str(text))
    ranked = sorted((c for c in counts if counts[c] > 1), key=lambda c: (-counts[c], c))
    ids = {piece: i for i, piece in enumerate([*_SPECIAL, *ranked[: vocabulary - len(_SPECIAL)]])}
    tokenizer = Tokenizer(models.WordLevel(vocab=ids, unk_token="[UNK]"))
    tokenizer.normalizer = _CHARACTER_NORMALIZER
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] [CLS]:1 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **names)


def learn_tokenizer(texts: Texts, vocabulary: int, notes: list[str] | None = None) -> PreTrainedTokenizerBase:
    """A WordPiece tokenizer whose Chinese characters each stand alone, learned from texts; deterministic.

    Its vocabulary is the most frequent of: the first characters of words, their further characters
    ("##x"), and whole words, at least twice each. What stands in one text only becomes [UNK], which so
    learns to stand for the unknown. (The trainer of `tokenizers` gives other ids in every process, since it
    iterates over randomly seeded hash maps: processes would train on different numbers.)

    With `notes`, which take a line where the disk refuses, what an earlier run has learned from these texts is
    found in the cache.
    """
    entries = _learn(texts, vocabulary) if notes is None else _learn_cached(texts, vocabulary, notes)
    ids = {piece: i for i, piece in enumerate(entries)}
    tokenizer = Tokenizer(models.WordPiece(vocab=ids, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = _NORMALIZER, _PRE_TOKENIZER
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return BertTokenizer(tokenizer_object=tokenizer, do_lower_case=True)


def _learn_cached(texts: Texts, vocabulary: int, notes: list[str]) -> list[str]:
    def make(folder: Path) -> None:
        (folder / "entries.json").write_text(json.dumps(_learn(texts, vocabulary)), encoding="utf-8")

    def is_sound(folder: Path) -> bool:
        entries = json.loads((folder / "entries.json").read_text(encoding="utf-8"))
        is_list = isinstance(entries, list) and all(isinstance(entry, str) for entry in entries)
        return is_list and entries[: len(_SPECIAL)] == _SPECIAL and len(set(entries)) == len(entries) <= vocabulary

    facts = [_FORMAT, tokenizers.__version__, vocabulary, texts.digest()]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
    entry = find_or_make("vocabularies", "the vocabulary", key, make, notes, is_sound)
    if entry is None:
        return _learn(texts, vocabulary)
    return json.loads((entry.folder / "entries.json").read_text(encoding="utf-8"))


def _learn(texts: Texts, vocabulary: int) -> list[str]:
    """The vocabulary, in the order of its ids."""
    pieces: Counter[str] = Counter()
    for word, count in count_words(texts).items():
        pieces[word[0]] += count
        for character in word[1:]:
            pieces[f"##{character}"] += count
        if len(word) > 1:
            pieces[word] += count
    # By count; among equals the shorter, so that no word comes before its own characters; then by code point.
    ranked = sorted(pieces, key=lambda piece: (-pieces[piece], len(piece), piece))
    frequent = [piece for piece in ranked if pieces[piece] > 1]
    return [*_SPECIAL, *frequent[: vocabulary - len(_SPECIAL)]]


def count_words(texts: Texts) -> Counter[str]:
    """How often each word stands in the texts, as BERT's normalizer and pre-tokenizer cut them.

    What these two make of a character does not depend on those around it. So each is asked for once, and the texts
    are cut by `str.translate` and `str.split`, which takes a fifth of the time that asking for each text takes.
    """
    words: Counter[str] = Counter()
    characters = _Characters()
    for start in range(0, len(texts), _BATCH):
        for cells in texts[start : start + _BATCH].values():
            cut = "\n".join(cells).translate(characters)
            if _UNSURE in cut:
                words.update(word for text in cells for word in _words(text))
            else:
                words.update(cut.split())
    return words


def _words(text: str) -> list[str]:
    return [word for word, _ in _PRE_TOKENIZER.pre_tokenize_str(_NORMALIZER.normalize_str(text))]


class _Characters(dict[int, str]):
    """What becomes of each character, with spaces around it where it stands alone; found out when it is met."""

    def __missing__(self, code: int) -> str:
        becomes = " ".join(_words(f"a{chr(code)}a"))[1:-1]
        # Combining marks change places with one another; and Python's spaces are not all that Rust knows as such.
        unsure = any(unicodedata.combining(c) or (c.isspace() and c != " ") for c in becomes)
        self[code] = _UNSURE if unsure else becomes
        return self[code]
