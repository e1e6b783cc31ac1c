"""Writes a data file that may do harm, and checks what reading it gives: rows just so, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import stay_alone
from harm import check_unharmed

from accel_cls.data.corpus import Corpus
from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of

LOUD = 600  # no message is longer: what was found is shown in part


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Own folders, no network, and nothing that has run code: for each test of a module that imports this."""
    stay_alone(tmp_path, monkeypatch)
    yield
    check_unharmed()


@dataclass(frozen=True)
class Rows:
    """What is read: texts, class names, and notes, each by a part of it."""

    texts: list[str]
    labels: list[str]
    notes: tuple[str, ...] = ()


Content = bytes | str | Callable[[Path], Any]


def corpus_of(data: dict[str, Any]) -> Corpus:
    """What a recipe of these data gives."""
    recipe = Recipe.model_validate({"name": "a", "output": "o", "data": data})
    return load_corpus(recipe, task_of(recipe))


def answer(name: str, content: Content, **data: Any) -> Rows | str:
    """What reading a file gives: its rows, or the reason why not. The file is its own validation."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    values = {"train": name, "validation": name} | data
    try:
        corpus = corpus_of(values)
    except UserError as error:
        return str(error)
    columns = [corpus.train.texts[column][:] for column in corpus.train.texts.column_names]
    texts = columns[0] if len(columns) == 1 else [" | ".join(cells) for cells in zip(*columns, strict=True)]
    return Rows(texts, [corpus.classes.names[i] for i in corpus.train.labels], corpus.notes)


def check(found: Rows | str, expected: Rows | str | list[str]) -> None:
    if isinstance(expected, Rows):
        assert isinstance(found, Rows), found
        assert (found.texts, found.labels) == (expected.texts, expected.labels), found
        notes = list(dict.fromkeys(found.notes))
        assert len(notes) == len(expected.notes), notes
        assert all(part in note for part, note in zip(expected.notes, notes, strict=True)), notes
        return
    assert isinstance(found, str), found
    for part in [expected] if isinstance(expected, str) else expected:
        assert part in found, found
    assert len(found) <= LOUD, found
    raw = [c for c in found if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or "\ud800" <= c <= "\udfff")]
    assert not raw, raw


PLAIN = "text,label\nä,x\n好,y\n"
READ = Rows(["ä", "好"], ["x", "y"])


def table_bytes() -> bytes:
    memory = BytesIO()
    pa.parquet.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]}), memory)
    return memory.getvalue()
