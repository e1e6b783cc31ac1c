"""Data files of made-up sentences for `accel-cls new`, each file in a folder that was empty."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_file

SENTENCES = ["the parcel came late", "very kind people", "cold soup again", "would buy it again", "nobody answered"]


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each test of a module that imports this."""
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> Path:
    return write_file(text, name)


def lines_of(count: int, line: str, labels: tuple[str, ...] = ("yes", "no")) -> str:
    """`line` so often, with {i}, {text} and {label} filled in; texts are all different."""
    return "".join(
        line.format(i=i, text=f"{SENTENCES[i % 5]} {i}", label=labels[i % len(labels)]) + "\n" for i in range(count)
    )
