"""What training reads, predict reads the same; and what it prints survives any terminal and any pipe."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest
import tiny
from conftest import command, train, write_recipe

from accel_cls import predict
from accel_cls.startup import tolerate_encoding

EMOJI = "bad \U0001f621 food"  # which GBK does not have


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run on csv files with semicolons and without a header line."""
    tiny.write_model(tmp_path / "model")
    tiny.write_texts(tmp_path / "texts.csv", 60, (3, 5))
    rows = [line.replace(",", ";") for line in (tmp_path / "texts.csv").read_text(encoding="utf-8").splitlines()[1:]]
    (tmp_path / "plain.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    data = '{train: plain.csv, columns: [title, class], text: title, label: class, separator: ";", max_length: 32}'
    write_recipe(tmp_path, data=data, model="{name: ./model}")
    done = train(tmp_path, "train.max_updates=2")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def test_a_file_is_read_by_its_header_else_like_the_training_files(run: Path) -> None:
    folder = run.parent
    first = (folder / "plain.csv").read_text(encoding="utf-8").splitlines()[0].split(";")[0]
    done = command("python", "-m", "accel_cls.predict", "run", "--file", "plain.csv", "--out", "o.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "plain.csv has no header line: read as the training files, with the columns title, class" in done.stderr
    assert "60 predictions" in done.stderr
    with open(folder / "o.csv", encoding="utf-8-sig", newline="") as file:
        assert next(csv.DictReader(file))["title"] == first
    for separator in (",", ";"):
        (folder / "new.csv").write_text(f"id{separator}title\n1{separator}good food\n", encoding="utf-8")
        said = command("python", "-m", "accel_cls.predict", "run", "--file", "new.csv", cwd=folder)
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout)["title"] == "good food"
        assert "no header line" not in said.stderr


def test_a_file_that_is_neither_is_refused_for_what_it_lacks(run: Path) -> None:
    (run.parent / "one.csv").write_text("good food\nbad food\n", encoding="utf-8")
    done = command("python", "-m", "accel_cls.predict", "run", "--file", "one.csv", cwd=run.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("one.csv: row 1")


def test_lines_for_a_program_are_utf8_whatever_the_terminal_is(tmp_path: Path, monkeypatch) -> None:
    tiny.write_model(tmp_path / "model", head={0: "neg", 1: "pos"})
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="gbk"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"good\n{EMOJI}\n".encode())))
    assert predict.main([str(tmp_path / "model")]) == 0
    sys.stdout.flush()
    assert [json.loads(line)["text"] for line in raw.getvalue().decode("utf-8").splitlines()] == ["good", EMOJI]


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "ascii"])
def test_what_a_terminal_does_not_have_is_a_question_mark(encoding: str, monkeypatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    tolerate_encoding()
    print(EMOJI, end="")
    sys.stdout.flush()
    assert raw.getvalue() == b"bad ? food"
