"""What is in a labelled data file: classes, languages, lengths, and how a model would see them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from accel_cls.authoring.columns import Table
from accel_cls.authoring.labelling import Labelling
from accel_cls.authoring.truncation import CHARACTER_LENGTHS, LENGTHS, WHOLE, Kept, kept_by_length
from accel_cls.data.corpus import Corpus
from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.models.classifier import outline_model
from accel_cls.models.configuration import hidden_size, layers
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of
from accel_cls.tokenization.encode import encode
from accel_cls.tokenization.tokenizer import load_tokenizer

_LANGUAGES = {
    "zh": "Chinese", "yue": "Chinese", "wuu": "Chinese", "en": "English", "ja": "Japanese", "ko": "Korean",
    "de": "German", "fr": "French", "es": "Spanish", "pt": "Portuguese", "it": "Italian", "nl": "Dutch",
    "ru": "Russian", "uk": "Ukrainian", "pl": "Polish", "tr": "Turkish", "ar": "Arabic", "fa": "Persian",
    "he": "Hebrew", "hi": "Hindi", "th": "Thai", "vi": "Vietnamese", "id": "Indonesian",
    "zxx": "no language",
}  # fmt: skip


@dataclass(frozen=True)
class Survey:
    """What was found in the data."""

    corpus: Corpus  # all of the file on the training side
    counts: np.ndarray  # int64: examples of each class
    language: str
    kept: tuple[Kept, ...]  # by max_length
    longest: int  # tokens of the longest text
    limit: int  # the most tokens, of those tried, that the model takes
    # Of the pretrained model; None from scratch, and where its configuration does not say.
    hidden_size: int | None
    layers: int | None

    @property
    def has_classes(self) -> bool:
        """Whether labels are classes, and no numbers."""
        return self.corpus.reader.has_classes


def survey(
    table: Table,
    validation: Path | None,
    test: Path | None,
    text: Sequence[str],
    labelling: Labelling,
    model: str | None,
) -> Survey:
    """Read the data as training would, and measure it.

    Args:
        table: the training data, as `look_at` found it.
        validation: a validation file.
        test: a test file.
        text: the text column, or two.
        labelling: the label column, or several, and the task that follows.
        model: a hub id or folder; None for a model from scratch.

    Raises:
        UserError: where the data or the model can't be used.
    """
    recipe = _to_read(table, validation, test, text, labelling, model)
    task = task_of(recipe)
    corpus = load_corpus(recipe, task)
    if validation is None:  # the same file stood for both: what is wrong with it was found twice
        corpus = replace(corpus, invalid=tuple(rows for rows in corpus.invalid if rows.key != "data.validation"))
    tokenizer = load_tokenizer(recipe, corpus.train)
    lengths = encode(tokenizer, corpus.train.texts, WHOLE).lengths
    usual: Sequence[int] = CHARACTER_LENGTHS if model is None else LENGTHS
    limit, config = max(usual), None
    if model is not None:
        config = outline_model(recipe, tokenizer, corpus.classes, task.problem_type).config
        limit = max((length for length in LENGTHS if _takes(recipe, corpus, length)), default=LENGTHS[0])
    return Survey(
        corpus=corpus,
        counts=corpus.class_counts(corpus.train),
        language=language_of(corpus.train.texts["text"][:]),
        kept=tuple(kept_by_length(lengths, corpus.train.labels, corpus.classes, task, 512, usual)),
        longest=int(lengths.max()),
        limit=limit,
        hidden_size=hidden_size(config),
        layers=layers(config),
    )


def _to_read(
    table: Table,
    validation: Path | None,
    test: Path | None,
    text: Sequence[str],
    labelling: Labelling,
    model: str | None,
) -> Recipe:
    """A recipe by which the data can be read and measured."""
    data = {
        "train": str(table.path.absolute()),
        "validation": str((validation or table.path).absolute()),
        **({"test": str(test.absolute())} if test is not None else {}),
        "text": list(text) if len(text) > 1 else text[0],
        "label": labelling.label,
        **({"label_separator": labelling.separator} if labelling.separator else {}),
        **({"labels": [*labelling.entries]} if labelling.entries else {}),
        "columns": table.header,
        "separator": table.separator,
        "quote": table.quote,
        "encoding": table.encoding,
        "invalid": "drop",
        "max_length": LENGTHS[0],  # what any model takes; lengths are measured on whole texts
    }
    return Recipe.model_validate(
        {
            "name": "survey",
            "output": "survey",
            "task": labelling.task,
            "data": data,
            "model": {"name": model, "scratch": {"architecture": "ngrams"}},
        }
    )


def _takes(recipe: Recipe, corpus: Corpus, length: int) -> bool:
    """Whether a pretrained model takes texts of so many tokens."""
    longer = recipe.model_copy(update={"data": recipe.data.model_copy(update={"max_length": length})})
    try:
        outline_model(longer, load_tokenizer(longer, corpus.train), corpus.classes, task_of(longer).problem_type)
    except UserError:  # "takes at most …": the model itself has been loaded already
        return False
    return True


def class_names_beside(table: Table, values: Sequence[str]) -> tuple[Path, tuple[str, ...]] | None:
    """A file beside the data that names classes 0, 1, 2 … in order, a line each: (file, names)."""
    if {*values} != {str(i) for i in range(len(values))}:
        return None
    for path in sorted(table.path.parent.glob("*.txt")):
        is_named_so = re.fullmatch(r"(.*[_-])?(class(es)?|labels?|类别|标签)([_-]?names?)?", path.stem, re.I)
        if is_named_so and path != table.path and path.stat().st_size < 100_000:
            try:
                names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
            except UnicodeDecodeError:
                continue
            numbered = [re.fullmatch(rf"{i}[\s,:]+(.+)", line) for i, line in enumerate(names)]
            if all(numbered):
                names = [match[1] for match in numbered if match]
            if len(names) == len(values) == len(set(names)) and max(map(len, names)) <= 40:
                return path, tuple(names)
    return None


def language_of(texts: Sequence[str]) -> str:
    """The languages of texts, as words: "Chinese", "English 90%, German 10%"."""
    import py3langid

    step = max(1, len(texts) // 1000)
    sample = [text for text in texts[::step][:1000] if any(c.isalpha() for c in text)]
    chunks = ["\n".join(sample[i : i + 20]) for i in range(0, len(sample), 20)]  # short texts alone mislead
    if not chunks:
        return "no words"
    found = Counter(py3langid.classify(chunk)[0] for chunk in chunks)
    named: Counter[str] = Counter()
    for code, count in found.items():
        named[_LANGUAGES.get(code, code)] += count
    shown = [(name, count / len(chunks)) for name, count in named.most_common(3) if count / len(chunks) >= 0.05]
    return shown[0][0] if len(shown) == 1 else ", ".join(f"{name} {share:.0%}" for name, share in shown)
