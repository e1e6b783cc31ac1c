"""Texts on standard input: in whatever encoding, as they come, and never with other letters than they had."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from conftest import command

from accel_cls.errors import UserError
from accel_cls.inference.standard_input import read_lines
from accel_cls.predict import main as predict

FRENCH = [
    "Très bon accueil, à refaire",
    "Livraison en retard, le café était froid",
    "Délicieux gâteau, très frais",
    "Pas terrible, l'hôtesse était désagréable",
    "Où est passée ma commande ? Déçu",
]
CHINESE = ["送餐很快，味道也好", "等了两个小时，汤全洒了", "分量足，还会再点", "太慢了，难吃"]


def lines_of(content: bytes, stated: str | None = None) -> tuple[list[str], list[str]]:
    told: list[str] = []
    return [*read_lines(io.BytesIO(content), stated, told.append)], told


def refusal(content: bytes, stated: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        lines_of(content, stated)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_marked_and_utf_8(encoding: str, end: str) -> None:
    texts = ["很好 \U0001f600", "", "a\u2028b\x0bc", "ends without a line end"]
    found, told = lines_of(end.join(texts).encode(encoding))
    assert found == texts
    is_wide = encoding in ("utf-16", "utf-32")
    assert told == ([f"standard input: read as {encoding.upper()}, by its byte-order mark"] if is_wide else [])


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-32-be"])
def test_big_endian_with_a_mark(encoding: str) -> None:
    assert lines_of("\ufeffgood\n很好".encode(encoding))[0] == ["good", "很好"]


@pytest.mark.parametrize("content", [b"", "\ufeff".encode()])
def test_nothing(content: bytes) -> None:
    assert lines_of(content) == ([], [])


def test_chinese_is_told_by_its_letters() -> None:
    texts = ["plain ascii", *CHINESE * 3]
    found, told = lines_of("\n".join(texts).encode("gb18030"))
    assert (found, told) == (texts, ["standard input: not UTF-8 (line 2), read as GB18030"])


def test_what_could_be_several_is_refused_with_line_candidates_and_option() -> None:
    said = refusal(("ascii\n" + "\n".join(FRENCH * 3)).encode("latin-1"))
    assert said.startswith("standard input: line 2 is not UTF-8, and could be several encodings (")
    assert "cp1252" in said
    assert "'Très'" in said
    assert "say which, such as --encoding cp1252" in said


def test_what_has_been_answered_as_utf_8_is_not_read_otherwise_afterwards() -> None:
    content = "Très bon\n".encode() + "\n".join(FRENCH).encode("latin-1")
    assert refusal(content).startswith("standard input: line 2 is not UTF-8, but line 1 is: two encodings are mixed")


def test_later_line_that_is_not_of_the_encoding_found_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accel_cls.inference.standard_input._SAMPLE", 100)
    content = "\n".join(CHINESE * 10).encode("gb18030") + b"\nend \xff\xff\n"
    assert refusal(content).startswith("standard input: line 41 is not gb18030, as line 1 is")


def test_stated_encoding() -> None:
    assert lines_of("\n".join(FRENCH).encode("cp1252"), "cp1252") == (FRENCH, [])
    assert lines_of("\ufeffgood\nbad\n".encode(), "utf-8") == (["good", "bad"], [])
    assert lines_of("好\n坏".encode("utf-16-le"), "utf-16-le") == (["好", "坏"], [])
    said = refusal(b"good\nb\xe9d\n", "utf-8")
    assert said == "standard input: line 2 is not utf-8, as --encoding says; correct it, or leave it out"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("good\nbad".encode("utf-16-le"), "looks like UTF-16 or UTF-32 without a byte-order mark"),
        (b"\xff\xfeg\x00o\x00\x00\xd8a\x00", "line 1 is not UTF-16, as its byte-order mark says"),
        (b"good\n\xff\x00\xfe\x00\n", "line 2 is no text: there are NULs in it"),
        (b"good\ncaf\xe9\n", "line 2 is neither UTF-8 nor GB18030; say what it is, such as --encoding cp1252"),
    ],
)
def test_no_text(content: bytes, words: str) -> None:
    assert words in refusal(content)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tiny.write_model(tmp_path / "m", head={0: "neg", 1: "pos"})
    return tmp_path


def test_command_reads_bytes_and_refuses_without_a_traceback(model: Path) -> None:
    arguments = [sys.executable, "-m", "accel_cls.predict", "m"]
    done = subprocess.run(
        arguments, cwd=model, input="\n".join(FRENCH).encode("latin-1"), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"standard input: line 1 is neither UTF-8 nor GB18030; say what it is")
    done = subprocess.run(
        [*arguments, "--encoding", "latin-1"],
        cwd=model,
        input="\n".join(FRENCH).encode("latin-1"),
        capture_output=True,
        check=False,
    )
    assert [json.loads(line)["text"] for line in done.stdout.decode().splitlines()] == FRENCH


def test_letters_that_are_lost_are_told_once(model: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    done = command("python", "-m", "accel_cls.predict", "m", cwd=model, stdin="go\ufffdd \ufffd\nfine\nb\ufffdd\n")
    assert done.returncode == 0
    assert done.stderr == (
        "2 texts held U+FFFD (\ufffd), 3 in all: letters that were lost when the texts were written, or halves of "
        "characters\n"
    )
    monkeypatch.chdir(model)
    assert predict(["m", "--text", "go\ufffdd"]) == 0
    assert capsys.readouterr().err.startswith("1 text held U+FFFD")
