"""Data files in .gz and .zip: read like what is in them, or refused with the reason; never unpacked without an end."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import shutil
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from conftest import cli, command, train, write_recipe, write_reviews
from hostile_data import PLAIN, READ, Rows, answer, check, table_bytes
from hostile_data import alone as alone

from accel_cls.data import data_file
from accel_cls.data.data_file import DataFile, stem_of
from accel_cls.data.reading import read_file
from accel_cls.data.separated import FileFormat
from accel_cls.errors import UserError
from accel_cls.recipe import load_recipe
from accel_cls.runs.changes import digests_of

CONTENTS: dict[str, bytes] = {
    "a.csv": PLAIN.encode(),
    "a.tsv": PLAIN.replace(",", "\t").encode(),
    "A.TXT": PLAIN.replace(",", "\t").encode(),
    "a.jsonl": '{"text": "ä", "label": "x"}\n{"text": "好", "label": "y"}\n'.encode(),
    "a.json": '[{"text": "ä", "label": "x"}, {"text": "好", "label": "y"}]'.encode(),
    "a.parquet": table_bytes(),
}


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return memory.getvalue()


def tarred() -> bytes:
    memory = BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        facts = tarfile.TarInfo("a.csv")
        facts.size = len(PLAIN.encode())
        archive.addfile(facts, BytesIO(PLAIN.encode()))
    return memory.getvalue()


def with_header(content: bytes, at: int, value: int) -> bytes:
    """A zip of one entry with another number at a place of its two headers; `at` is that of the first."""
    changed, second = bytearray(content), content.index(b"PK\1\2") + 2
    for place in (at, second + at):
        changed[place : place + 2] = value.to_bytes(2, "little")
    return bytes(changed)


@pytest.mark.parametrize("name", CONTENTS)
def test_every_format_is_read_from_gzip_and_zip(name: str) -> None:
    expected = Rows(["a", "b"], ["x", "y"]) if name.endswith(".parquet") else READ
    check(answer(f"{name}.gz", gzip.compress(CONTENTS[name])), expected)
    check(answer(f"{name}.zip", zipped((name, CONTENTS[name]))), expected)
    check(answer("other.ZIP", zipped((f"folder/{name}", CONTENTS[name]), method=zipfile.ZIP_LZMA)), expected)


def test_rows_are_named_by_the_archive_and_encodings_are_told_as_ever() -> None:
    content = ("text,label\n" + "这个味道很好，送餐也快,好\n难吃，服务态度差,坏\n" * 3 + ",好\n").encode("gbk")
    said = answer("a.csv.gz", gzip.compress(content))
    check(said, "the text is empty in 1 row: a.csv.gz:7")
    read = answer("a.csv.gz", gzip.compress(content[: content.rindex(b"\n,")]))
    assert isinstance(read, Rows)
    assert read.notes[0] == "a.csv.gz: not UTF-8 (line 2), read as GB18030"


def test_what_systems_put_beside_a_file_does_not_count() -> None:
    entries = [("d/", b""), ("d/a.csv", PLAIN.encode()), ("__MACOSX/d/._a.csv", b"\0"), ("d/.DS_Store", b"\0")]
    check(answer("a.zip", zipped(*entries)), READ)
    other = ("LICENSE", b"Free for all")
    check(answer("a.zip", zipped(*entries, other)), Rows(READ.texts, READ.labels, ("a.zip: d/a.csv is read, not LI",)))


ZIP = zipped(("a.csv", PLAIN.encode() * 50))
GZIP = gzip.compress(PLAIN.encode() * 50)
REFUSED: list[tuple[str, str, bytes, Any]] = [
    (
        "several",
        "a.zip",
        zipped(("a.csv", b""), ("d/b.tsv", b"")),
        ["a.zip: holds 2 data files (a.csv, d/b.tsv)", "unpack"],
    ),
    ("none", "a.zip", zipped(("a.xlsx", b"PK"), ("b.pdf", b"")), "a.zip: holds no data file, only a.xlsx, b.pdf;"),
    ("nothing", "a.zip", zipped(), "a.zip: holds no data file; expected one"),
    ("only what a Mac adds", "a.zip", zipped(("__MACOSX/._a.csv", b"")), "a.zip: holds no data file; expected one"),
    ("no name", "a.zip", zipped(("~", b"")).replace(b"~", b"\0"), "a.zip: holds no data file"),
    ("place that is none", "a.zip", ZIP[:-6] + b"\xff\xff\xff\x0f" + ZIP[-2:], "a.zip: the archive is damaged"),
    ("gzip in a zip", "a.zip", zipped(("a.csv.gz", GZIP)), "a.zip: holds another archive, a.csv.gz; unpack it"),
    ("gzip in gzip", "a.csv.gz.gz", gzip.compress(GZIP), "holds another archive, a.csv.gz; unpack it"),
    ("gzip in gzip, by its bytes", "a.csv.gz", gzip.compress(GZIP), "holds a.csv, which is a gzip archive, not csv"),
    ("tar", "a.tar.gz", tarred(), "a.tar.gz: holds another archive, a.tar; unpack it"),
    ("tar, by its bytes", "a.csv.gz", tarred(), "holds a.csv, which is a tar archive, not csv; unpack it"),
    ("workbook", "a.csv.gz", gzip.compress(ZIP), "which is a zip archive or an Excel workbook, not csv"),
    ("ending inside", "a.gz", GZIP, "a.gz: holds a, which does not end as a table does; expected one of .csv,"),
    ("encrypted", "a.zip", with_header(ZIP, 6, 1), "a.csv in it is encrypted; unpack it with its password"),
    ("Deflate64", "a.zip", with_header(ZIP, 8, 9), "packed in a way that can't be read (That compression method"),
    ("cut gzip", "a.csv.gz", GZIP[:-9], "a.csv.gz: the archive is damaged (Compressed file ended before"),
    ("gzip with another checksum", "a.csv.gz", GZIP[:-8] + bytes(4) + GZIP[-4:], "is damaged (CRC check failed"),
    ("gzip with more behind it", "a.csv.gz", GZIP + b"more", "the archive is damaged (Not a gzipped file"),
    ("cut zip", "a.zip", ZIP[:-40], "a.zip: the archive is damaged (File is not a zip file); pack it anew"),
    ("text named gz", "a.csv.gz", PLAIN.encode(), "a.csv.gz: is no gz archive; name it as what it is"),
    ("text named zip", "a.zip", PLAIN.encode(), "a.zip: is no zip archive; name it as what it is"),
    ("nothing named gz", "a.csv.gz", b"", "a.csv.gz: is no gz archive"),
    ("Git LFS pointer", "a.csv.gz", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, not gz"),
]


@pytest.mark.parametrize(
    ("name", "content", "expected"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_can_not_be_read_is_refused_with_the_reason(name: str, content: bytes, expected: Any) -> None:
    check(answer(name, content), expected)


def test_damage_is_told_before_its_content_is_taken_for_another_encoding() -> None:
    content = zipped(("a.csv", PLAIN.encode() * 50), method=zipfile.ZIP_STORED)
    check(
        answer("a.zip", content.replace("好".encode(), b"\xb5\xc4\xff", 1)), "is damaged (Bad CRC-32 for file 'a.csv')"
    )


@pytest.mark.parametrize("pack", [gzip.compress, lambda content: zipped(("a.csv", content))], ids=["gz", "zip"])
def test_content_that_is_far_larger_than_its_archive_is_never_kept(pack: Any, monkeypatch) -> None:
    monkeypatch.setattr(data_file, "_SMALL", 1 << 20)
    content = pack(b"text,label\n" + b"a,b\n" * (4 << 20))
    assert len(content) < (16 << 20) / data_file._MOST_TIMES
    name = "a.csv.gz" if pack is gzip.compress else "a.zip"
    check(answer(name, content), [f"{name}: unpacks to more than ", "250 times its size", "unpack it"])


def test_small_content_may_be_as_repetitive_as_it_likes() -> None:
    content = gzip.compress(b"text,label\n" + b"a,x\nb,y\n" * 50_000)
    assert len(content) * data_file._MOST_TIMES < 400_000
    read = answer("a.csv.gz", content)
    assert isinstance(read, Rows)
    assert len(read.texts) == 100_000


def test_any_change_to_an_archive_is_read_as_before_or_refused() -> None:
    draw = random.Random(0)
    told = set()
    for name, content in (
        ("a.csv.gz", GZIP),
        ("a.zip", ZIP),
        ("b.zip", zipped(("b.tsv", b"a\tb\n1\t2\n"), ("x", b""))),
    ):
        for _ in range(150):
            changed = bytearray(content)
            for _ in range(draw.choice([1, 1, 2, 8])):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
            Path(name).write_bytes(changed[: draw.choice([len(changed), draw.randrange(len(changed))])])
            with contextlib.suppress(UserError):
                told.add(len(read_file(Path(name), None, FileFormat(), [])))
    assert told == {1, 149}, told


def test_reading_leaves_no_file_behind_and_can_begin_again() -> None:
    Path("a.csv.gz").write_bytes(GZIP)
    file = DataFile.at(Path("a.csv.gz"))
    with file.open_text("utf-8") as content:
        assert content.readline() == "text,label\n"
        content.seek(0)
        assert content.read() == PLAIN * 50
    assert [*Path(".").glob("*.csv*")] == [Path("a.csv.gz")]


@pytest.mark.parametrize(
    "name", ["reviews.csv", "reviews.csv.gz", "reviews.zip", "reviews.csv.zip", "reviews.JSONL.GZ"]
)
def test_a_run_is_called_by_the_data(name: str) -> None:
    assert stem_of(Path("d") / name) == "reviews"


def test_digest_is_that_of_the_content(work: Path) -> None:
    write_recipe(work, data="{train: a.csv.gz, text: review, max_length: 32}")

    def digest(content: bytes, level: int) -> str:
        Path("a.csv.gz").write_bytes(gzip.compress(content, level, mtime=level))
        return digests_of(load_recipe(work / "recipe.yaml"))[str(work / "a.csv.gz")]

    content = (work / "reviews.csv").read_bytes()
    assert digest(content, 1) == digest(content, 9)
    assert digest(content, 1) != digest(content + b"1,x\n", 1)


def test_from_new_to_predict(work: Path, capsys) -> None:
    with gzip.open("reviews.csv.gz", "wb") as file:
        file.write((work / "reviews.csv").read_bytes())
    write_reviews(Path("dev.csv"), count=60, seed=1)
    Path("dev.zip").write_bytes(zipped(("dev.csv", Path("dev.csv").read_bytes()), ("__MACOSX/._dev.csv", b"")))
    status, said, errors = cli(capsys, "new", "reviews.csv.gz", "dev.zip")
    assert status == 0, errors
    assert "wrote reviews.yaml" in said
    recipe = load_recipe("reviews.yaml")
    assert (recipe.data.train, recipe.data.validation) == (str(work / "reviews.csv.gz"), str(work / "dev.zip"))
    for asked in ("check", "plan"):
        status, said, errors = cli(capsys, asked, "reviews.yaml")
        assert status < 2, errors
        assert "240 for training, 60 for validation" in said
    shutil.copy("reviews.yaml", "recipe.yaml")
    done = train(work, "train.max_updates=2", "output=run", "model.scratch={layers: 1, hidden: 32, heads: 2}")
    assert done.returncode == 0, done.stderr
    done = command("python", "-m", "accel_cls.predict", "run", "--file", "dev.zip", "--out", "o.jsonl", cwd=work)
    assert done.returncode == 0, done.stderr
    assert len([json.loads(line) for line in Path("o.jsonl").read_text(encoding="utf-8").splitlines()]) == 60
