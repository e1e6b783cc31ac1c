"""Texts and classes that harm whoever reads them, in what is written and shown: csv, tsv, terminals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from conftest import command, train, write_recipe
from hostile_models import change
from hostile_models import model as model
from hostile_models import sound as sound

from accel_cls.atomic import from_cell, write_csv
from accel_cls.data.reading import read_file
from accel_cls.data.separated import FileFormat
from accel_cls.predict import main as predict

HARD = [
    "=cmd|' /C calc'!A0", "@SUM(1)", "a\rb", "a\r\nb", "a\nb", 'say "hi"', "a,b;c\td", "\0", "\x1b[31mred\x1b[0m",
    "مرحبا\u202e", "e\u0301", "😀👩‍👩‍👧", "\U00020000\U0010fffd", "  spaces  ", "<b>|x|</b>", "x" * 200_000,
]  # fmt: skip


def test_csv_holds_any_text(tmp_path):
    write_csv(tmp_path / "p.csv", ["text", "p"], iter([[text, 1] for text in HARD]))
    with open(tmp_path / "p.csv", encoding="utf-8-sig", newline="") as file:
        csv.field_size_limit(1 << 30)
        assert [from_cell(row["text"]) for row in csv.DictReader(file)] == HARD


CLASSES = ["=1+1", "a|b\nc", "\x1b[31mred"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a run of these texts and classes."""
    folder = tmp_path_factory.mktemp("trained")
    records = [{"text": text, "label": CLASSES[i % 3]} for i, text in enumerate(HARD * 2)]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    write_recipe(folder, data="{train: a.jsonl, validation: a.jsonl, max_length: 32}")
    done = train(folder, "train.epochs=1")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return folder


def test_trained_predictions_hold_texts_and_classes_unchanged(trained):
    csv.field_size_limit(1 << 30)
    with open(trained / "run" / "predictions.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [from_cell(row["text"]) for row in rows] == HARD * 2
    assert [from_cell(row["label"]) for row in rows] == [CLASSES[i % 3] for i in range(len(rows))]
    report = (trained / "run" / "report.md").read_text(encoding="utf-8")
    assert "| a\\|b c |" in report


def test_classified_file_holds_texts_unchanged(trained):
    done = command("python", "-m", "accel_cls.predict", "run", "--file", "a.jsonl", "--out", "o.csv", cwd=trained)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    csv.field_size_limit(1 << 30)
    with open(trained / "o.csv", encoding="utf-8-sig", newline="") as file:
        assert [from_cell(row["text"]) for row in csv.DictReader(file)] == HARD * 2


def test_tab_separated_output_is_read_back_unchanged(model):
    texts = ['"open', "=1+1", 'say ""hi""', "\x1b[31m"]
    Path("b.tsv").write_text("text\n" + "\n".join(texts) + "\n", encoding="utf-8")
    assert predict(["m", "--file", "b.tsv", "--out", "o.tsv"]) == 0
    assert read_file(Path("o.tsv"), ["text"], FileFormat(), [])["text"] == texts


def test_text_that_no_tab_separated_file_holds_is_refused(model, capsys):
    Path("b.jsonl").write_text('{"text": "a"}\n{"text": "b\\tc"}\n', encoding="utf-8")
    assert predict(["m", "--file", "b.jsonl", "--out", "o.tsv"]) == 2
    assert "--out o.tsv: text 2 holds a tab or a line end" in capsys.readouterr().err
    assert not Path("o.tsv").exists()


def test_text_and_class_are_shown_without_their_controls(model, capsys):
    change("config.json", id2label={"0": "\x1b[31mred", "1": "\u202egreen"})(model)
    assert predict(["m", "--text", "\x1b[2Ja", "--text", "b\udcff"]) == 0
    said = capsys.readouterr().out
    assert r"\x1b[2Ja" in said
    assert "b\ufffd" in said
    assert not {"\x1b", "\u202e"} & set(said)


def test_error_of_the_command_line_shows_no_controls_and_no_traceback(tmp_path):
    (tmp_path / "a\x1b[2J.csv").write_text("text,label\na,x\n,y\n", encoding="utf-8")
    write_recipe(tmp_path, data='{train: "*.csv"}')
    done = train(tmp_path)
    assert done.returncode == 2
    assert r"the text is empty in 1 row: a\x1b[2J.csv:2" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
