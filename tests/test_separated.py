"""Tab-separated files have no quotes by definition, and have them where pandas or a spreadsheet wrote them."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from conftest import cli, train, write_recipe

from accel_cls.authoring.columns import look_at
from accel_cls.data.reading import read_file
from accel_cls.data.separated import FileFormat
from accel_cls.errors import UserError
from accel_cls.recipe import load_recipe

TEXTS = ['great lamp, "really"', "two\nlines", "a\ttab", "plain", 'ends with "']
OWN = ['"Hello" he said', "plain", '"quoted as a whole"', 'it is 5" wide']


def write(path: Path, texts: list[str], quoting: int) -> Path:
    out = io.StringIO()
    csv.writer(out, delimiter="\t", quoting=quoting, lineterminator="\n").writerows(
        [["label", "text"], *([i % 2, text] for i, text in enumerate(texts))]
    )
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("name", ["a.tsv", "a.txt"])
def test_quotes_that_a_program_has_written_are_taken_off(name: str, quoting: int, tmp_path: Path) -> None:
    path, notes = write(tmp_path / name, TEXTS, quoting), []
    assert read_file(path, ["text"], FileFormat(), notes)["text"] == TEXTS
    (note,) = notes
    assert note == f"{name}: its cells stand in double quotes, which are taken off; data.quote=none keeps them"


@pytest.mark.parametrize("texts", [OWN, OWN[:1], OWN[2:3], OWN[2:], ['"a" and "b"', "c"], ['"', "x"]])
def test_quotes_that_are_the_texts_own_stay(texts: list[str], tmp_path: Path) -> None:
    path, notes = tmp_path / "a.tsv", []
    path.write_text("\n".join(["label\ttext", *(f"1\t{text}" for text in texts)]) + "\n", encoding="utf-8")
    assert read_file(path, ["text"], FileFormat(), notes)["text"] == texts
    assert notes == []


def test_the_recipe_decides_where_it_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", TEXTS[:1], csv.QUOTE_MINIMAL)
    assert read_file(path, ["text"], FileFormat(quote="none"), [])["text"] == ['"great lamp, ""really"""']
    assert read_file(path, ["text"], FileFormat(quote="double"), [])["text"] == TEXTS[:1]
    path = tmp_path / "b.csv"
    path.write_text('label,text\n1,"a"\n', encoding="utf-8")
    assert read_file(path, ["text"], FileFormat(quote="none"), [])["text"] == ['"a"']


def test_row_of_another_length_says_how_cells_were_cut(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('label\ttext\n1\t"two\nlines"\n2\t"open\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"cut at .\\t. without quotes; its first line is taken for the header"):
        read_file(tmp_path / "a.tsv", ["text"], FileFormat(), [])


def test_new_and_a_training_read_them_alike(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [f"{text} {i}" for i, text in enumerate([*TEXTS[:2], "plain"] * 20)]
    write(tmp_path / "a.tsv", texts, csv.QUOTE_MINIMAL)
    status, said, errors = cli(capsys, "new", "a.tsv")
    assert status == 0, errors
    assert "60 rows" in said
    assert "which are taken off" in " ".join(said.split())
    assert load_recipe("a.yaml").data.separator is None
    write_recipe(tmp_path, data="{train: a.tsv, max_length: 32}")
    done = train(tmp_path, "train.max_updates=1")
    assert done.returncode == 0, done.stderr
    assert "which are taken off" in " ".join(done.stdout.split())


SINGLE = ["it's late", "a; b", "two\nlines", 'she said "no"', "plain", "'tis"]


def single(path: Path, quoting: int, separator: str = ";") -> Path:
    rows = [["text", "label"], *([f"{text} {i}", "good" if i % 2 else "bad"] for i, text in enumerate(SINGLE * 10))]
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator, quotechar="'", quoting=quoting).writerows(rows)
    return path


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize(("name", "separator"), [("a.csv", ";"), ("a.csv", ","), ("a.tsv", "\t")])
def test_new_finds_single_quotes_and_a_training_reads_by_them(
    quoting: int, name: str, separator: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    single(tmp_path / name, quoting, separator)
    status, said, errors = cli(capsys, "new", name)
    assert status == 0, errors
    assert "quote         single: " in said
    data = load_recipe("a.yaml").data
    assert data.quote == "single"
    assert data.separator == (";" if separator == ";" else None)
    assert "# cells stand in single quotes" in Path("a.yaml").read_text(encoding="utf-8")
    assert data.labels == ["bad", "good"]
    texts = read_file(Path(name), ["text"], FileFormat.of(data), [])["text"]
    assert texts == [f"{text} {i}" for i, text in enumerate(SINGLE * 10)]


@pytest.mark.parametrize(
    "line",
    [
        "it's {i};good\nthat's 'it' {i};bad\n",
        '"it\'s; {i}";good\n"\'quoted\' {i}";bad\n',
        "'{i}' it is;good\n{i} 'more';bad\n",
        "'one' or 'two' {i};good\n'{i}';bad\n",
    ],
)
def test_apostrophes_are_no_quotes(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text;label\n" + "".join(line.format(i=i) for i in range(30)), encoding="utf-8")
    table = look_at(path)
    assert (table.separator, table.quote) == (";", None)
    assert len(table) == 60


@pytest.mark.parametrize(
    ("name", "content", "written", "parts"),
    [
        (
            "a.csv",
            "text;label\na;b;x\n",
            FileFormat(separator=";"),
            "cut at ';' with double quotes; its first line is",
        ),
        ("a.csv", "a;b;x\n", FileFormat(("text", "label"), ";"), "cut at ';' with double quotes; data.columns are"),
        ("a.csv", "text,label\n'a, b',x\n", FileFormat(), "quotes, say data.quote=single"),
        (
            "a.csv",
            "text,label\na, b,x\n",
            FileFormat(quote="single"),
            "with single quotes; its first line is taken for",
        ),
        ("a.tsv", "text\tlabel\na\tb\tx\n", FileFormat(), "into double quotes (data.quote=double)"),
        (
            "a.csv",
            "'text','label'\n'a','x'\n",
            FileFormat(),
            "its cells stand in single quotes; take them off with data",
        ),
        ("a.tsv", '"text"\t"label"\n"a"\t"x"\n', FileFormat(), "double quotes; take them off with data.quote=double"),
    ],
)
def test_messages_say_what_was_assumed(
    name: str, content: str, written: FileFormat, parts: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(parts)):
        read_file(tmp_path / name, ["text", "label"], written, [])
