"""Data files that are something else, have harmful names or lie in harmful folders: read just so, or refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import socket
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harm import Payload
from hostile_data import PLAIN, READ, Content, answer, check, corpus_of, table_bytes
from hostile_data import alone as alone

# Files that are something else


def _zipped() -> bytes:
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("../../escaped.csv", PLAIN)
    return memory.getvalue()


OTHERS: list[tuple[str, str, Content, Any]] = [
    ("gzip", "a.csv", gzip.compress(PLAIN.encode()), ["a.csv: ", "is a gzip archive, not csv; unpack it"]),
    ("bzip2", "a.jsonl", bz2.compress(PLAIN.encode()), "is a bzip2 archive, not jsonl; unpack it"),
    ("xz", "a.tsv", lzma.compress(PLAIN.encode()), "is an xz archive, not tsv; unpack it"),
    ("zstd", "a.csv", b"\x28\xb5\x2f\xfd\0\0\0\0", "is a Zstandard archive, not csv; unpack it"),
    ("zip with a path that escapes", "a.csv", _zipped(), "is a zip archive or an Excel workbook, not csv"),
    ("old Excel", "a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an old Office file, not csv"),
    ("PDF", "a.txt", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF, not txt"),
    ("Parquet as csv", "a.csv", table_bytes(), "is Parquet, not csv; name it so"),
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
