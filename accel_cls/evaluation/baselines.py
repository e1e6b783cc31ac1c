"""What something simple makes of the same rows: the most frequent class, and TF-IDF with a linear regression.

It takes seconds and no GPU, so whoever trains a model is owed the comparison. Made once for the same data and kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples, Part
from accel_cls.tasks import Task
from accel_cls.tokenization.cache import find_or_make

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

_FORMAT = 3  # of what is kept; another number makes all anew
# What bounds memory and time, whatever the data: so much of each text, so much of all training texts together (34 s,
# 0.3 GB), and so many features.
_MOST_OF_A_TEXT = 2000  # characters
_MOST_OF_ALL = 5_000_000  # characters
_MOST_FEATURES = 200_000
_CHUNK = 10_000  # texts whose features are in memory at a time, when they are asked about
# Scripts that put no spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese.
_WITHOUT_SPACES = re.compile(
    "[\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\U00020000-\U0003ffff]"
)
_MANY = 0.3  # of a text's letters: then its n-grams are of characters


@dataclass(frozen=True)
class Baseline:
    """A simple classifier's answers."""

    name: str
    about: str  # how it was made
    logits: dict[Part, np.ndarray]  # of each example of validation and test as a model's, float32 [examples, outputs]


def baselines(corpus: Corpus, task: Task, notes: list[str]) -> list[Baseline]:
    """The same for all texts, such as the most frequent class, and linear regression of the task's kind on TF-IDF.

    That is with classes as they are and, where there are classes, balanced.

    The n-grams are of 1 to 3 characters where the script has no spaces, else of 1 to 2 words; each is in two texts or
    more, and counts by the logarithm of how often a text has it. Deterministic.

    Args:
        corpus: training examples to learn from, validation and test examples to be asked about.
        task: what is learned.
        notes: takes a line where the disk keeps nothing.
    """
    kinds = _KINDS if task.has_classes else _KINDS[:1]

    asked = sum(map(len, corpus.judged.values()))

    def make(folder: Path) -> None:
        for kind, logits in zip(kinds, _linear(corpus, task, kinds), strict=True):
            np.save(folder / f"{kind.name}.npy", logits)
        (folder / _ABOUT).write_text(_describe(corpus, task), encoding="utf-8")  # all texts are looked through for it

    def is_sound(folder: Path) -> bool:
        about = (folder / _ABOUT).read_text(encoding="utf-8")
        shape = (asked, len(corpus.classes))
        has_answers = all(np.load(folder / f"{kind.name}.npy").shape == shape for kind in kinds)
        return has_answers and about.startswith(task.linear_method) and about.isprintable()

    entry = find_or_make("baselines", "baselines", _key(corpus, task), make, notes, is_sound)
    found = (
        _linear(corpus, task, kinds)
        if entry is None
        else (np.load(entry.folder / f"{kind.name}.npy") for kind in kinds)
    )
    about = _describe(corpus, task) if entry is None else (entry.folder / _ABOUT).read_text(encoding="utf-8")
    constant = np.tile(task.constant_logits(corpus.train.labels, len(corpus.classes)), (asked, 1))
    return [
        Baseline(*task.constant, _by_part(corpus, constant)),
        *(
            Baseline(kind.name, f"{about}{kind.more}", _by_part(corpus, logits))
            for kind, logits in zip(kinds, found, strict=True)
        ),
    ]


def _by_part(corpus: Corpus, logits: np.ndarray) -> dict[Part, np.ndarray]:
    ends = np.cumsum([len(examples) for examples in corpus.judged.values()])
    return dict(zip(corpus.judged, np.split(logits, ends[:-1]), strict=True))


@dataclass(frozen=True)
class _Kind:
    """One of the regressions."""

    name: str
    more: str  # that is said of it
    balanced: bool  # whether all classes weigh the same


_KINDS = (_Kind("TF-IDF", "", False), _Kind("TF-IDF balanced", ", classes balanced", True))
_ABOUT = "about.txt"  # how they were made


def _key(corpus: Corpus, task: Task) -> str:
    import sklearn

    facts = [_FORMAT, sklearn.__version__, task.name, len(corpus.classes), corpus.digest, corpus.test_digest]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _describe(corpus: Corpus, task: Task) -> str:
    kind = "1 to 3 characters" if has_no_spaces(corpus.train) else "1 to 2 words"
    count, sample = len(corpus.train), _sample_size(corpus.train)
    some = f", from {sample:,} of {count:,} examples" if sample < count else ""
    return f"{task.linear_method} on TF-IDF of {kind}{some}"


def _linear(corpus: Corpus, task: Task, kinds: Sequence[_Kind]) -> Iterator[np.ndarray]:
    """The logits of the examples that are judged, part by part, by each kind of regression."""
    train = sampled(corpus.train)
    vectorizer, vectors = fit_vectorizer(train)
    features = together(vectors)
    for kind in kinds:
        predict = task.fit_linear(features, train.labels, len(corpus.classes), kind.balanced)
        chunks = (
            (examples, slice(start, start + _CHUNK))
            for examples in corpus.judged.values()
            for start in range(0, len(examples), _CHUNK)
        )
        yield np.concatenate([predict(_features(vectorizer, examples, rows)) for examples, rows in chunks])


def sampled(train: Examples) -> Examples:
    """Those of the training examples that are learned from."""
    if (sample := _sample_size(train)) == len(train):
        return train
    return train.select(np.sort(np.random.default_rng(0).choice(len(train), sample, replace=False)))


def _sample_size(train: Examples) -> int:
    """How many of the training examples are learned from: all, or as many as their length allows."""
    texts = (text for name in train.texts.column_names for text in train.texts[name][:])
    characters = sum(min(len(text), _MOST_OF_A_TEXT) for text in texts)
    return min(len(train), len(train) * _MOST_OF_ALL // max(1, characters))


def fit_vectorizer(train: Examples, **weights: Any) -> tuple[TfidfVectorizer, list[csr_matrix]]:
    """TF-IDF, fitted on the training texts, of pairs on both; and their vectors, float32, of each column.

    Args:
        train: the examples.
        weights: how n-grams count, as scikit-learn names it; left out: by the logarithm of how often a text has them.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = {"ngram_range": (1, 2), "token_pattern": r"\b\w+\b"}
    kind = {"analyzer": "char", "ngram_range": (1, 3)} if has_no_spaces(train) else words
    texts = [text for name in train.texts.column_names for text in cut(train.texts[name][:])]

    def fitted(least: int) -> tuple[TfidfVectorizer, csr_matrix]:
        options = {"min_df": least, "max_features": _MOST_FEATURES, "dtype": np.float32}
        vectorizer = TfidfVectorizer(**kind, **options, **(weights or {"sublinear_tf": True}))
        return vectorizer, vectorizer.fit_transform(texts)  # texts are taken apart once for both

    try:
        vectorizer, vectors = fitted(2)
    except ValueError:  # nothing is in two texts
        try:
            vectorizer, vectors = fitted(1)
        except ValueError:  # punctuation only
            vectorizer = TfidfVectorizer(analyzer="char", dtype=np.float32)
            vectors = vectorizer.fit_transform([*texts, "."])
    count = len(train)
    return vectorizer, [vectors[i * count : (i + 1) * count] for i in range(len(train.texts.column_names))]


def _features(vectorizer: TfidfVectorizer, examples: Examples, rows: slice) -> csr_matrix:
    """Float32 [examples, features]."""
    return together([vectorizer.transform(cut(texts)) for texts in examples.texts[rows].values()])


def together(parts: Sequence[csr_matrix]) -> csr_matrix:
    """The vectors of a text; of a pair those of both, what they have in common, and where they differ."""
    from scipy.sparse import hstack

    if len(parts) == 1:
        return parts[0]
    first, second = parts
    return hstack([first, second, first.multiply(second), abs(first - second)], format="csr", dtype=np.float32)


def cut(texts: Sequence[str]) -> list[str]:
    """The beginning of each text, which is all that is looked at."""
    return [text[:_MOST_OF_A_TEXT] for text in texts]


def has_no_spaces(train: Examples) -> bool:
    """Whether the script of the training texts puts no spaces between words."""
    some = train.texts.select(np.arange(0, len(train), max(1, len(train) // 1000)))
    sample = "".join(text[:200] for texts in some[:].values() for text in texts)
    letters = sum(character.isalpha() for character in sample)
    return len(_WITHOUT_SPACES.findall(sample)) > _MANY * max(1, letters)
