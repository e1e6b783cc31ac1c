"""Data files that were broken, cut, mislabelled or built to harm: each is read just so, or refused with a reason."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
import os
import pickle
import socket
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import stay_alone
from datasets import ClassLabel, Dataset, Features, Value

from accel_cls.data.corpus import Corpus, load_corpus
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of

LOUD = 600  # no message is longer: what was found is shown in part


class Payload:
    """Leaves a file where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("HARMED",)


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """Own folders, no network, and nothing that has run code."""
    stay_alone(tmp_path, monkeypatch)
    yield
    assert not list(Path().rglob("HARMED"))


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
        assert (found.texts, found.labels) == (expected.texts, expected.labels)
        notes = list(dict.fromkeys(found.notes))
        assert len(notes) == len(expected.notes), notes
        assert all(part in note for part, note in zip(expected.notes, notes, strict=True)), notes
        return
    assert isinstance(found, str), found
    for part in [expected] if isinstance(expected, str) else expected:
        assert part in found
    assert len(found) <= LOUD
    assert not [c for c in found if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or "\ud800" <= c <= "\udfff")]


# Texts that are kept as they are

TEXTS = {
    "NUL": "a\0b",
    "NUL only": "\0",
    "all C0 controls but line ends": "".join(map(chr, range(1, 32))).replace("\n", "").replace("\r", "") + "x",
    "DEL and C1 controls": "a\x7f\x80\x9fb",
    "terminal escape": "\x1b[2J\x1b]0;owned\x07",
    "right to left": "مرحبا שלום",
    "bidirectional override": "a\u202eb\u2066c\u2069d",
    "combining characters": "e\u0301 Z\u0351\u036b\u0343\u036a",
    "a thousand marks on a letter": "a" + "\u0301" * 1000,
    "composed and decomposed stay apart": "é e\u0301",
    "zero width": "a\u200bb\u200dc\ufeffd",
    "emoji of the first plane": "☺️ ✈",
    "emoji of plane 1": "😀👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "characters of planes 2, 3, 14, 15, 16": "\U00020000\U0002fa1d\U00030000\U000e0001\U000f0000\U0010fffd",
    "non-characters": "a\ufffe\uffff\ufdd0b",
    "replacement character": "a\ufffdb",
    "Hangul, Thai, Devanagari, Mongolian": "한국어 ไทย हिन्दी ᠮᠣᠩᠭᠣᠯ",
    "formula": '=HYPERLINK("http://example.org","a")',
    "formula of DDE": "=cmd|' /C calc'!A0",
    "formula by at sign": "@SUM(1+1)*cmd",
    "formula by plus": "+1+1",
    "formula by minus": "-2+3",
    "formula behind a tab in quotes": "x\t=1",
    "HTML": "<script>alert(1)</script>",
    "rich markup": "[bold red]x[/bold red][link=http://x]",
    "template": "{{7*7}} ${jndi:ldap://x} %s {0} $(touch HARMED) `touch HARMED`",
    "SQL": "'); DROP TABLE x;--",
    "path": "../../../../etc/passwd",
    "special tokens": "[CLS] a [SEP] <s> </s> [PAD]",
    "line ends within": "a\r\nb\nc\rd",
    "quotes": '"a" ""b"" \'c',
    "spaces around": "  a\t",
    "10 MB": "好" * 3_500_000,
    "one word of a million letters": "a" * 1_000_000,
}


def _csv(text: str) -> str:
    return 'text,label\n"{}",x\nb,y\n'.format(text.replace('"', '""'))


def _json_lines(text: str) -> str:
    return "".join(json.dumps({"text": cell, "label": label}) + "\n" for cell, label in ((text, "x"), ("b", "y")))


def _parquet(text: str) -> Callable[[Path], Any]:
    return lambda path: pa.parquet.write_table(pa.table({"text": [text, "b"], "label": ["x", "y"]}), path)


FORMS: list[tuple[str, Callable[[str], Content]]] = [
    ("a.csv", _csv),
    ("a.jsonl", _json_lines),
    ("a.parquet", _parquet),
]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(("file", "form"), FORMS, ids=[file for file, _ in FORMS])
def test_text_is_kept(file, form, name):
    check(answer(file, form(TEXTS[name])), Rows([TEXTS[name], "b"], ["x", "y"]))


@pytest.mark.parametrize("name", [name for name in TEXTS if not set("\t\r\n") & set(TEXTS[name])])
def test_text_is_kept_in_tab_separated_files(name):
    check(answer("a.tsv", f"text\tlabel\n{TEXTS[name]}\tx\nb\ty\n"), Rows([TEXTS[name], "b"], ["x", "y"]))


# Labels

LABELS = {
    "terminal escape": "\x1b[31mred\x1b[0m",
    "NUL": "a\0b",
    "two lines": "a\nb",
    "formula": "=1+1",
    "bidirectional override": "a\u202eb",
    "emoji": "👍🏽",
    "10,000 letters": "a" * 10_000,
    "Markdown table": "a|b\n|---|",
    "path": "../../x",
    "digits of other scripts": "١٢",
    "superscript digits": "²",
    "hexadecimal": "0x10",
    "infinity": "inf",
    "not a number": "nan",
}


@pytest.mark.parametrize("name", LABELS)
def test_label_is_kept(name):
    label = LABELS[name]
    found = answer(
        "a.jsonl", "".join(json.dumps({"text": t, "label": v}) + "\n" for t, v in (("a", label), ("b", "y")))
    )
    check(found, Rows(["a", "b"], [label, "y"]))


# Encodings

PLAIN = "text,label\nä,x\n好,y\n"
READ = Rows(["ä", "好"], ["x", "y"])
AS_UTF_32 = Rows(READ.texts, READ.labels, ("a.csv: read as UTF-32, by its byte-order mark",))

ENCODINGS: list[tuple[str, bytes, Any]] = [
    ("UTF-32 with mark, little end", codecs.BOM_UTF32_LE + PLAIN.encode("utf-32-le"), AS_UTF_32),
    ("UTF-32 with mark, big end", codecs.BOM_UTF32_BE + PLAIN.encode("utf-32-be"), AS_UTF_32),
    ("UTF-32 without mark", PLAIN.encode("utf-32-le"), ["a.csv: ", "UTF-16 or UTF-32 without a byte-order mark"]),
    ("UTF-16 without mark, little end", PLAIN.encode("utf-16-le"), "UTF-16 or UTF-32 without a byte-order mark"),
    ("UTF-16 without mark, big end", PLAIN.encode("utf-16-be"), "UTF-16 or UTF-32 without a byte-order mark"),
    (
        "UTF-16 with mark, cut within a character",
        codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le")[:-1],
        ["a.csv: line 3 is not UTF-16, as its byte-order mark says"],
    ),
    (
        "UTF-16 with mark, half a pair",
        codecs.BOM_UTF16_LE + "text,label\na\ud83d,x\nb,y\n".encode("utf-16-le", "surrogatepass"),
        ["a.csv: line 2 is not UTF-16"],
    ),
    (
        "UTF-32 beyond Unicode",
        codecs.BOM_UTF32_LE + PLAIN.encode("utf-32-le") + b"\xff\xff\xff\x7f",
        "line 4 is not UTF-32",
    ),
    (
        "UTF-8 mark before what is none",
        codecs.BOM_UTF8 + b"text,label\na,x\n\xff\xfe,y\n",
        "a.csv: line 3 is not UTF-8, as",
    ),
    (
        "UTF-8 mark before GBK",
        codecs.BOM_UTF8 + "text,label\na,x\n好,y\n".encode("gbk"),
        "a.csv: line 3 is not UTF-8, as",
    ),
    (
        "two UTF-8 marks",
        codecs.BOM_UTF8 * 2 + PLAIN.encode(),
        [r"there is no column 'text'", r"It has '\ufefftext', 'label'"],
    ),
    (
        "UTF-8 and GBK mixed",
        "text,label\n好吃,x\n".encode() + "难吃,y\n".encode("gbk"),
        "a.csv: line 3 is not UTF-8, but others are: two encodings are mixed",
    ),
    ("UTF-8 and Latin-1 mixed", "text,label\n好,x\n".encode() + "é,y\n".encode("latin-1"), "a.csv: line 3 is neither"),
    ("surrogates in UTF-8", b"text,label\na\xed\xa0\x80b,x\nc,y\n", "a.csv: line 2 is neither"),
    (
        "overlong NUL in UTF-8",
        b"text,label\na\xc0\x80b,x\nc,y\n",
        Rows(["a纮b", "c"], ["x", "y"], ("a.csv: not UTF-8 (line 2), read as GB18030",)),
    ),
    ("beyond Unicode in UTF-8", b"text,label\na\xf7\xbf\xbf\xbfb,x\n\xe5\xa5\xbd,y\n", "a.csv: line 2 is neither"),
    ("GBK with NUL", "text,label\n好\0,x\n吃,y\n".encode("gbk"), ["a.csv: line 2 is neither"]),
    ("UTF-16 of Chinese without mark", "好,吃\n难,吃\n".encode("utf-16-le"), "a.csv: line 2 is neither"),
    ("only a UTF-8 mark", codecs.BOM_UTF8, "a.csv: there is no column 'text'"),
    ("only a UTF-16 mark", codecs.BOM_UTF16_BE, "a.csv: there is no column 'text'"),
    ("one byte", b"\xff", "a.csv: line 1 is neither"),
    ("one character of GBK", b"\x81\x80", "a.csv: there is no column 'text'"),
    ("end that looks like ours", b'label,text\nx,"a\0end"\ny,\0end', Rows(["a\0end", "\0end"], ["x", "y"])),
    ("CR only", b"text,label\ra,x\rb,y\r", Rows(["a", "b"], ["x", "y"])),
    ("line ends mixed", b"text,label\ra,x\r\nb,y\n\n\rc,x", Rows(["a", "b", "c"], ["x", "y", "x"])),
]


@pytest.mark.parametrize(
    ("content", "expected"), [case[1:] for case in ENCODINGS], ids=[case[0] for case in ENCODINGS]
)
def test_encoding(content, expected):
    check(answer("a.csv", content), expected)


# Files that are something else


def _zipped() -> bytes:
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("../../escaped.csv", PLAIN)
    return memory.getvalue()


def _table_bytes() -> bytes:
    memory = BytesIO()
    pa.parquet.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]}), memory)
    return memory.getvalue()


OTHERS: list[tuple[str, str, Content, Any]] = [
    ("gzip", "a.csv", gzip.compress(PLAIN.encode()), ["a.csv: ", "is a gzip archive, not csv; unpack it"]),
    ("bzip2", "a.jsonl", bz2.compress(PLAIN.encode()), "is a bzip2 archive, not jsonl; unpack it"),
    ("xz", "a.tsv", lzma.compress(PLAIN.encode()), "is an xz archive, not tsv; unpack it"),
    ("zstd", "a.csv", b"\x28\xb5\x2f\xfd\0\0\0\0", "is a Zstandard archive, not csv; unpack it"),
    ("zip with a path that escapes", "a.csv", _zipped(), "is a zip archive or an Excel workbook, not csv"),
    ("old Excel", "a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an old Office file, not csv"),
    ("PDF", "a.txt", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF, not txt"),
    ("Parquet as csv", "a.csv", _table_bytes(), "is Parquet, not csv; name it so"),
    ("SQLite", "a.csv", b"SQLite format 3\0" + bytes(80), "is a SQLite database, not csv"),
    ("pickle as csv", "a.csv", pickle.dumps(Payload()), "a.csv: line 1 is neither UTF-8 nor GB18030"),
    ("pickle as parquet", "a.parquet", pickle.dumps(Payload()), "a.parquet: not readable as parquet"),
    ("pickle by its name", "a.pkl", pickle.dumps(Payload()), "a.pkl: unknown ending '.pkl'; expected one of .csv"),
    ("NumPy by its name", "a.npy", lambda p: np.save(p, np.array([Payload()], object)), "unknown ending '.npy'"),
    ("csv as parquet", "a.parquet", PLAIN, "a.parquet: not readable as parquet"),
    ("csv as json", "a.json", PLAIN, "a.json: not readable as JSON"),
    ("HTML as csv", "a.csv", "<!DOCTYPE html>\n<html><body>404</body></html>\n", "there is no column 'text'"),
    ("zeros", "a.csv", bytes(1000), "a.csv: there is no column 'text'"),
    ("random bytes", "a.csv", bytes(range(256)) * 20, "a.csv: line 2 is neither UTF-8 nor GB18030"),
    (
        "Git LFS pointer",
        "a.csv",
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "is a Git LFS pointer, not csv; fetch the file with git lfs pull",
    ),
    (
        "Git LFS pointer for parquet",
        "a.parquet",
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n",
        "is a Git LFS pointer, not parquet",
    ),
    ("folder", "a.csv", lambda p: p.mkdir(), ["a.csv: there is no such data file", "a folder"]),
    ("pipe", "a.csv", os.mkfifo, ["a.csv: there is no such data file", "a pipe or a device"]),
    ("socket", "a.csv", lambda p: socket.socket(socket.AF_UNIX).bind(str(p)), "a pipe or a device"),
    ("link to a device", "a.csv", lambda p: p.symlink_to("/dev/zero"), "a pipe or a device"),
    ("link to itself", "a.csv", lambda p: p.symlink_to("a.csv"), ["a.csv: there is no such data file"]),
    ("link to nothing", "a.csv", lambda p: p.symlink_to("b.csv"), ["a.csv: there is no such data file"]),
    ("link to a file", "a.csv", lambda p: (Path("b.csv").write_text(PLAIN, "utf-8"), p.symlink_to("b.csv")), READ),
    (
        "no right to read",
        "a.csv",
        lambda p: (p.write_text(PLAIN, "utf-8"), p.chmod(0)),
        READ if os.geteuid() == 0 else "Permission denied",  # root may read anything
    ),
]


@pytest.mark.parametrize(
    ("name", "content", "expected"), [case[1:] for case in OTHERS], ids=[case[0] for case in OTHERS]
)
def test_file_that_is_something_else(name, content, expected):
    check(answer(name, content), expected)


# Names

NAMES: list[tuple[str, str, Any]] = [
    ("device", "/dev/zero", ["/dev/zero: there is no such data file", "a pipe or a device"]),
    ("folder", ".", "there is no such data file"),
    ("address", "https://example.org/a.csv", "https://example.org/a.csv: there is no such data file"),
    ("address of a file", "file:///etc/passwd", "there is no such data file"),
    ("address in a chain", "zip://a.csv::https://example.org/a.zip", "there is no such data file"),
    ("path into an archive", "a.zip/../../b.csv", "there is no such data file"),
    ("path that escapes", "../../../../../../../../no/such.csv", "there is no such data file"),
    ("file without an ending", "/etc/passwd", "/etc/passwd: unknown ending ''; expected one of"),
    ("NUL", "a\0.csv", "there is no such data file"),
    ("5,000 letters", "a" * 5000 + ".csv", "there is no such data file"),
    ("terminal escape", "\x1b[31m.csv", r"\x1b[31m.csv: there is no such data file"),
    ("line end", "a\nb.csv", "there is no such data file"),
    ("command", "$(touch HARMED).csv", "there is no such data file"),
    ("pattern that is broken", "[.csv", "there is no such data file"),
]


@pytest.mark.parametrize(("name", "expected"), [case[1:] for case in NAMES], ids=[case[0] for case in NAMES])
def test_name_of_a_file_that_is_not_there(name, expected):
    check(answer("other.csv", PLAIN, train=name), expected)


@pytest.mark.parametrize(
    "name", ["a\x1b[2J.csv", "a\nb.csv", "a b'\"$(x).csv", "-rf.csv", "评论😀.csv", "=1+1.csv", "x\u202ey.csv"]
)
def test_file_with_an_odd_name_is_read(name):
    check(answer(name, PLAIN), READ)


@pytest.mark.parametrize("shown", [r"a\x1b[2J.csv:2", "a\\nb.csv:2", r"x\u202ey.csv:2"])
def test_odd_name_is_shown_without_its_controls(shown):
    name = shown[:-2].encode().decode("unicode_escape")
    check(answer(name, "text,label\na,x\n,y\n"), f"the text is empty in 1 row: {shown}")


def test_name_that_is_no_text_can_be_written_with_the_predictions():
    name = os.fsdecode(b"a\xff.csv")
    Path(name).write_text(PLAIN, encoding="utf-8")
    corpus = corpus_of({"train": "a*.csv", "validation": "a*.csv"})
    assert corpus.train.rows == (r"a\udcff.csv:1", r"a\udcff.csv:2")


def test_folders_that_lead_in_a_circle_are_read_once():
    Path("d/e").mkdir(parents=True)
    for link in ("d/loop", "d/e/up", "d/e/top"):
        Path(link).symlink_to(Path("d").absolute(), target_is_directory=True)
    check(answer("d/e/a.csv", PLAIN, train="d/**/*.csv", validation="d/**/*.csv"), READ)


def test_file_under_two_names_is_read_once():
    Path("b.csv").symlink_to("a.csv")
    check(answer("a.csv", PLAIN, train=["a.csv", "b.csv"], validation="*.csv"), READ)


# Rows and columns

WIDE = [f"c{i}" for i in range(998)]
ROWS: list[tuple[str, str, Content, dict[str, Any], Any]] = [
    (
        "1,000 columns",
        "a.csv",
        ",".join([*WIDE, "text", "label"]) + f"\n{'1,' * 998}a,x\n{'2,' * 998}b,y\n",
        {},
        Rows(["a", "b"], ["x", "y"]),
    ),
    (
        "1,000 columns, none of them ours",
        "a.csv",
        ",".join(WIDE) + "\n",
        {},
        ["there is no column 'text'", "'c0', 'c1'", "and 978 more"],
    ),
    (
        "1,000 columns, a row too short",
        "a.csv",
        ",".join([*WIDE, "text", "label"]) + "\n1,2\n",
        {},
        ["a.csv: row 1 has 2 cells, expected 1000"],
    ),
    (
        "row of a million cells",
        "a.csv",
        "text,label\n" + "a," * 1_000_000 + "\n",
        {},
        ["row 1 has 1000001 cells, expected 2"],
    ),
    (
        "name of a column of a million letters",
        "a.csv",
        "x" * 1_000_000 + ",label\na,b\n",
        {},
        "there is no column 'text'",
    ),
    (
        "ragged rows",
        "a.csv",
        "text,label\na,x\nb\nc,y,z\n",
        {},
        "a.csv: row 2 has 1 cell, expected 2 (text, label): 'b'",
    ),
    ("ragged rows of tabs", "a.tsv", "text\tlabel\na\tx\nb\ty\tz\n", {}, "a.tsv: row 2 has 3 cells, expected 2"),
    (
        "quote that is open at the end",
        "a.csv",
        'label,text\nx,a\ny,"b\nx,c\ny,d\n',
        {},
        "a.csv: a quote that opens in the row of line 3 is never closed; close it",
    ),
    (
        "quote that is open in the last cell",
        "a.csv",
        'label,text\nx,a\ny,"b',
        {},
        "a.csv: a quote that opens in the row of line 3 is never closed",
    ),
    (
        "quote that is open in the header",
        "a.csv",
        '"label,text\nx,a\ny,b\n',
        {},
        "a.csv: a quote that opens in the row of line 1 is never closed",
    ),
    ("header without names", "a.csv", ",,\na,x,1\n", {}, "there is no column 'text'"),
    ("header of NULs", "a.csv", "\0,\0\na,x\n", {}, "a.csv: looks like UTF-16 or UTF-32 without a byte-order mark"),
    ("header alone, without a line end", "a.csv", "text,label", {}, "a.csv: there are no rows in it"),
    ("separator is NUL", "a.csv", "text\0label\na\0x\nb\0y\n", {"separator": "\0"}, Rows(["a", "b"], ["x", "y"])),
    ("separator is an emoji", "a.csv", "text😀label\na😀x\nb😀y\n", {"separator": "😀"}, Rows(["a", "b"], ["x", "y"])),
    (
        "columns with odd names",
        "a.csv",
        '"=1+1","a\nb"\na,x\nb,y\n',
        {"text": "=1+1", "label": "a\nb"},
        Rows(["a", "b"], ["x", "y"]),
    ),
    (
        "column called like a key",
        "a.jsonl",
        '{"__class__": "a", "label": "x"}\n{"__class__": "b", "label": "y"}\n',
        {"text": "__class__"},
        Rows(["a", "b"], ["x", "y"]),
    ),
    ("label column is the text column", "a.csv", PLAIN, {"label": "text"}, Rows(["ä", "好"], ["ä", "好"])),
    (
        "1,001 classes",
        "a.csv",
        "text,label\n" + "".join(f"t{i},l{i}{'z' * 9999}\n" for i in range(1001)),
        {},
        ["data.label: the column 'label' has 1001 different values", "data.labels"],
    ),
    (
        "label of 100,000 letters that is not among the classes",
        "a.csv",
        f"text,label\na,x\nb,y\nc,{'z' * 100_000}\n",
        {"labels": ["x", "y"]},
        ["the label 'zzz", "is not among x, y in 1 row: a.csv:3"],
    ),
    (
        "label that is not among 500 classes",
        "a.csv",
        "text,label\na,x\n",
        {"labels": [f"class {i}" for i in range(500)]},
        ["the label 'x' is not among class 0, class 1", "and 480 more"],
    ),
    (
        "label with a terminal escape that is not among the classes",
        "a.csv",
        "text,label\na,\x1b[31m\n",
        {"labels": ["x\x1b[0m", "y"]},
        [r"the label '\x1b[31m' is not among x\x1b[0m, y"],
    ),
    (
        "pairs, one text of them NUL",
        "a.csv",
        "a,b,label\n\0,q,x\nr,s,y\n",
        {"text": ["a", "b"]},
        Rows(["\0 | q", "r | s"], ["x", "y"]),
    ),
    (
        "pairs of right to left and left to right",
        "a.csv",
        "a,b,label\nשלום,\u202eq,x\nr,s,y\n",
        {"text": ["a", "b"]},
        Rows(["שלום | \u202eq", "r | s"], ["x", "y"]),
    ),
    ("pairs of the same column", "a.csv", PLAIN, {"text": ["text", "text"]}, Rows(["ä | ä", "好 | 好"], ["x", "y"])),
    (
        "blank by spaces of all kinds",
        "a.csv",
        "text,label\n\u3000\u00a0\u2003,x\nb,y\n",
        {},
        "data.train: the text is empty in 1 row: a.csv:1",
    ),
]


@pytest.mark.parametrize(
    ("name", "content", "data", "expected"), [case[1:] for case in ROWS], ids=[case[0] for case in ROWS]
)
def test_rows_and_columns(name, content, data, expected):
    check(answer(name, content, **data), expected)


# JSON

TWO = '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n'
JSON: list[tuple[str, str, str, Any]] = [
    ("nested 100,000 deep", "a.json", "[" * 100_000, ["a.json: not readable as JSON", "nested too deeply"]),
    (
        "nested 100,000 deep in a line",
        "a.jsonl",
        TWO + '{"text": ' + "[" * 100_000 + "\n",
        ["a.jsonl: not readable as JSON: line 3: ", "nested too deeply"],
    ),
    ("objects nested 100,000 deep", "a.jsonl", '{"a":' * 100_000, ["line 1: ", "nested too deeply"]),
    (
        "nested 500 deep",
        "a.jsonl",
        TWO.replace('"a"', "[" * 500 + "]" * 500),
        Rows(["[" * 500 + "]" * 500, "b"], ["x", "y"]),
    ),
    (
        "number of 5,000 digits",
        "a.jsonl",
        TWO + f'{{"text": {"9" * 5000}, "label": "x"}}',
        ["a.jsonl: not readable as JSON: line 3: ", "a number of 5000 digits"],
    ),
    (
        "number of 5,000 digits in a list",
        "a.json",
        f'[{{"text": {"9" * 5000}, "label": "x"}}]',
        ["a.json: not readable as JSON", "a number of 5000 digits"],
    ),
    ("number of 4,000 digits", "a.jsonl", TWO.replace('"a"', "9" * 4000), Rows(["9" * 4000, "b"], ["x", "y"])),
    ("no number as a label", "a.jsonl", TWO.replace('"x"', "NaN"), "the label is missing in 1 row: a.jsonl:1"),
    ("no number as a text", "a.jsonl", TWO.replace('"a"', "NaN"), "the text is empty in 1 row: a.jsonl:1"),
    (
        "key twice",
        "a.jsonl",
        TWO + '{"text": "a", "text": "b", "label": "x"}\n',
        ["line 3: ", "the key 'text' stands twice"],
    ),
    ("key twice in a list", "a.json", '[{"text": "a", "label": "x", "label": "y"}]', "the key 'label' stands twice"),
    (
        "key that is half a character",
        "a.jsonl",
        TWO.replace('"label": "y"', '"label": "y", "\\ud800": 1'),
        Rows(["a", "b"], ["x", "y"]),
    ),
    (
        "key like an attribute",
        "a.jsonl",
        TWO.replace("{", '{"__proto__": {"a": 1}, "constructor": 2, '),
        Rows(["a", "b"], ["x", "y"]),
    ),
    (
        "half a character",
        "a.jsonl",
        TWO.replace('"a"', r'"a\udc00\ud800b"'),
        Rows(["a\ufffd\ufffdb", "b"], ["x", "y"]),
    ),
    ("half a character as a label", "a.jsonl", TWO.replace('"x"', r'"\ud800"'), Rows(["a", "b"], ["\ufffd", "y"])),
    (
        "line that is no object",
        "a.jsonl",
        TWO + "3\n",
        "a.jsonl: not readable as JSON: line 3: found 3; expected an object",
    ),
    ("line that is null", "a.jsonl", "null\n" + TWO, "line 1: found null; expected an object"),
    ("item that is no object", "a.json", '[{"text": "a", "label": "x"}, [1]]', "item 2 is [1]; expected an object"),
    (
        "object over several lines",
        "a.json",
        '{\n "data": [\n  {"text": "a", "label": "x"}\n ]\n}\n',
        ["a.json: not readable as JSON: line 1: "],
    ),
    ("comment", "a.jsonl", "// x\n" + TWO, "a.jsonl: not readable as JSON: line 1: Expecting value"),
    (
        "Python instead of JSON",
        "a.jsonl",
        "{'text': __import__('os').mkdir('HARMED')}\n",
        "line 1: Expecting property name enclosed in double quotes",
    ),
    ("control character in a string", "a.jsonl", TWO.replace('"a"', '"\x1b[2J"'), "line 1: Invalid control character"),
    (
        "object for a text",
        "a.jsonl",
        TWO.replace('"a"', '{"$ref": "#", "k": [null]}'),
        Rows(['{"$ref": "#", "k": [null]}', "b"], ["x", "y"]),
    ),
    (
        "100,000 keys",
        "a.jsonl",
        TWO + "{" + ", ".join(f'"k{i}": {i}' for i in range(100_000)) + "}\n",
        "the text is empty in 1 row: a.jsonl:3",
    ),
    (
        "100,000 keys, none of them ours",
        "a.jsonl",
        "{" + ", ".join(f'"k{i}": {i}' for i in range(100_000)) + "}\n",
        ["there is no column 'text'", "and 99980 more"],
    ),
    ("empty objects", "a.jsonl", "{}\n{}\n", "a.jsonl: there is no column 'text'"),
]


@pytest.mark.parametrize(("name", "content", "expected"), [case[1:] for case in JSON], ids=[case[0] for case in JSON])
def test_json(name, content, expected):
    check(answer(name, content), expected)


# Parquet


def _arrow(metadata: dict[bytes, bytes] | None = None, **columns: Any) -> Callable[[Path], Any]:
    table = pa.table({"text": ["a", "b"], "label": ["x", "y"]} | columns)
    return lambda path: pa.parquet.write_table(table.replace_schema_metadata(metadata), path)


def _declared(label: Any, column: Any = ("x", "y")) -> Callable[[Path], Any]:
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": label}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    return _arrow(metadata, label=column if isinstance(column, pa.Array) else pa.array(list(column)))


def _raw_strings(*cells: bytes) -> pa.Array:
    return pa.array(cells, pa.binary()).view(pa.string())


CLASSES = {"names": ["bad", "good"], "_type": "ClassLabel"}
XY = Rows(["a", "b"], ["x", "y"])
PARQUET: list[tuple[str, Callable[[Path], Any], Any]] = [
    ("metadata that is no JSON", _arrow({b"huggingface": b"\xff{"}), XY),
    ("metadata of another shape", _arrow({b"huggingface": b'{"info": [1, 2]}'}), XY),
    ("metadata nested deeply", _arrow({b"huggingface": b"[" * 100_000}), XY),
    ("metadata of an unknown kind", _declared({"_type": "os.system", "x": 1}), XY),
    (
        "metadata of other columns",
        _arrow({b"huggingface": b'{"info": {"features": {"q": {"_type": "Value", "dtype": "int8"}}}}'}),
        XY,
    ),
    ("declared image", _declared({"_type": "Image"}), XY),
    ("declared classes of texts", _declared(CLASSES, ["good", "bad"]), Rows(["a", "b"], ["good", "bad"])),
    (
        "declared class out of range",
        _declared(CLASSES, [0, 7]),
        "a.parquet:2: found the class id 7; the data set declares 2 classes",
    ),
    ("declared class far below 0", _declared(CLASSES, [0, -7]), "a.parquet:2: found the class id -7"),
    (
        "declared classes that are no texts",
        _declared({"names": [1, {}], "_type": "ClassLabel"}, [0, 1]),
        Rows(["a", "b"], ["0", "1"]),
    ),
    ("pickled pandas metadata", _arrow({b"pandas": pickle.dumps(Payload())}), XY),
    (
        "extension type with a pickle",
        lambda p: pa.parquet.write_table(
            pa.table(
                [pa.array(["a", "b"]), pa.array(["x", "y"])],
                schema=pa.schema(
                    [
                        pa.field(
                            "text",
                            pa.string(),
                            metadata={
                                b"ARROW:extension:name": b"arrow.py_extension_type",
                                b"ARROW:extension:metadata": pickle.dumps(Payload()),
                            },
                        ),
                        pa.field("label", pa.string()),
                    ]
                ),
            ),
            p,
        ),
        XY,
    ),
    (
        "bytes that are no UTF-8 in a text",
        _arrow(text=_raw_strings(b"a", b"\xff\xfe")),
        ["a.parquet: ", "the column 'text' holds bytes that are not UTF-8"],
    ),
    (
        "bytes that are no UTF-8 in a label",
        _arrow(label=_raw_strings(b"x", b"\xff")),
        ["a.parquet: ", "the column 'label' holds bytes that are not UTF-8"],
    ),
    (
        "column twice",
        lambda p: pa.parquet.write_table(
            pa.table(
                [pa.array(["a", "b"]), pa.array(["c", "d"]), pa.array(["x", "y"])], names=["text", "text", "label"]
            ),
            p,
        ),
        "a.parquet: the column 'text' stands twice",
    ),
    (
        "numbers as texts, one of them none",
        _arrow(text=[1.5, float("nan")]),
        "the text is empty in 1 row: a.parquet:2",
    ),
    ("nulls only", _arrow(text=pa.nulls(2)), "the text is empty in 2 rows"),
    ("dates", _arrow(text=pa.array([0, 1], pa.date32())), Rows(["1970-01-01", "1970-01-02"], ["x", "y"])),
    (
        "date beyond the calendar",
        _arrow(text=pa.array([2**31 - 1, 1], pa.date32())),
        "a.parquet: the column 'text' holds a value: days=2147483647",
    ),
    ("lists as labels", _arrow(label=pa.array([[1], [2]])), "the label is a list of classes, which needs"),
    ("structs as texts", _arrow(text=pa.array([{"a": 1}, {"a": 2}])), Rows(['{"a": 1}', '{"a": 2}'], ["x", "y"])),
    ("1,000 columns", _arrow(**{f"c{i}": [1, 2] for i in range(998)}), XY),
    ("dictionary-encoded", _arrow(text=pa.array(["a", "b"]).dictionary_encode()), XY),
    ("cut in the middle", lambda p: p.write_bytes(_table_bytes()[:-30]), "a.parquet: not readable as parquet"),
    (
        "pages overwritten",
        lambda p: p.write_bytes(_table_bytes()[:4] + b"\xff" * 60 + _table_bytes()[64:]),
        "a.parquet: not readable as parquet",
    ),
]


@pytest.mark.parametrize(("write", "expected"), [case[1:] for case in PARQUET], ids=[case[0] for case in PARQUET])
def test_parquet(write, expected):
    check(answer("a.parquet", write), expected)


# Folders of data sets


def _script(folder: Path) -> None:
    (folder / "d.py").write_text("import os\nos.mkdir('HARMED')\n", encoding="utf-8")


def _pickled(folder: Path) -> None:
    (folder / "train.pkl").write_bytes(pickle.dumps(Payload()))


def _card(folder: Path) -> None:
    (folder / "README.md").write_text(
        '---\nconfigs: !!python/object/apply:os.mkdir ["HARMED"]\n---\n', encoding="utf-8"
    )
    (folder / "train.csv").write_text(PLAIN, encoding="utf-8")


def _card_of_escapes(folder: Path) -> None:
    card = "---\nconfigs:\n- config_name: default\n  data_files: ../../../../../../etc/passwd\n---\n"
    (folder / "README.md").write_text(card, encoding="utf-8")


def _archive(folder: Path) -> None:
    (folder / "train.zip").write_bytes(_zipped())


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (_script, "Dataset scripts are no longer supported"),
        (_pickled, "No (supported) data files found"),
        (_card, "could not determine a constructor for the tag"),
        (_card_of_escapes, "Unable to find '"),
        (_archive, "No (supported) data files found"),
        (lambda folder: None, "doesn't contain any data files"),
    ],
)
def test_folder_of_a_data_set_runs_nothing(fill, reason):
    Path("d").mkdir()
    fill(Path("d"))
    hub = {"hub": str(Path("d").absolute()), "split": "train"}
    check(answer("other.csv", PLAIN, train=hub), [f"hub data set '{Path('d').absolute()}', split 'train': ", reason])
    assert not Path("../escaped.csv").exists()


@pytest.mark.parametrize(
    "hub", ["../d", "/dev/zero", "https://example.org/x", "zip://x::y", "pandas", "a b", "\0", "x" * 5000]
)
def test_hub_id_that_is_none(hub):
    check(answer("other.csv", PLAIN, train={"hub": hub, "split": "train"}), "hub data set ")


def test_declared_classes_are_still_read():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features).to_parquet("b.parquet")
    check(answer("other.csv", PLAIN, train="b.parquet", validation="b.parquet"), Rows(["a", "b"], ["good", "bad"]))
