"""Small labelled data files, and the corpus that a recipe over them gives, or the reason why it gives none."""

import json

import pytest
from conftest import stay_alone, write_file

from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of

LINES = [
    (text + end, label)
    for end in ("", "！", "啊")
    for text, label in (("很好, 真的", "1"), ("差", "0"), ("还行", "1"), ("不行", "0"))
]
TEXTS, LABELS = [text for text, _ in LINES], [label for _, label in LINES]
QUOTED = "".join(f'"{text}",{label}\n' for text, label in LINES)
TABBED = "".join(f"{text}\t{label}\n" for text, label in LINES)
RECORDS = [{"text": text, "label": int(label)} for text, label in LINES]
JSON_LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Own folders, and no network: for each test of a module that imports this."""
    stay_alone(tmp_path, monkeypatch)


def write(name, content, encoding="utf-8"):
    return str(write_file(content if isinstance(content, bytes) else content.encode(encoding), name))


def corpus_of(train, seed=42, **data):
    values = {"name": "a", "seed": seed, "output": "o", "data": {"train": train, **data}}
    return load_corpus(recipe := Recipe.model_validate(values), task_of(recipe))


def refusal(train, **data):
    with pytest.raises(UserError) as caught:
        corpus_of(train, **data)
    return str(caught.value)


def read(train, **data):
    """(texts, class names) of all examples, in the order of the files: the file is its own validation."""
    corpus = corpus_of(train, validation=train, **data)
    names = [corpus.classes.names[i] for i in corpus.train.labels]
    return corpus.train.texts["text"][:], names


def csv_of(rows, header="text,label"):
    return "\n".join([header, *(f"{text},{label}" for text, label in rows)]) + "\n"


def rows_of(labels):
    """A csv file with these labels and texts that are all different."""
    return csv_of((f"text {i}", label) for i, label in enumerate(labels))


def multi(train, **data):
    values = {"name": "a", "output": "o", "task": "multi_label", "data": {"train": train, "validation": train, **data}}
    recipe = Recipe.model_validate(values)
    return load_corpus(recipe, task_of(recipe))
