"""`accel-cls new`: which columns, separator and header it finds in a data file, and what can't be a data set."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from conftest import cli
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sentences import SENTENCES, lines_of, write
from sentences import in_empty_folder as in_empty_folder

from accel_cls.authoring.columns import choose_label, choose_text, look_at
from accel_cls.errors import UserError


def roles(path: Path) -> tuple[tuple[str, ...], str]:
    table = look_at(path)
    label = choose_label(table.columns).columns[0]
    return choose_text(table.columns, [label]).columns, label


@pytest.mark.parametrize(
    ("header", "line", "expected"),
    [
        ("label,review", "{label},{text}", (("review",), "label")),
        ("id,created,text,stars,sentiment", "{i},2024-01-0{i},{text},4.5,{label}", (("text",), "sentiment")),
        ("uuid,body,lang,category", "0a1b2c3d4e5f6a7b8c9d{i:04},{text},en,{label}", (("body",), "category")),
        ("评论,标签", "{text},{label}", (("评论",), "标签")),
        ("a,b", "{label},{text}", (("b",), "a")),
        ("question1,question2,same", "{text},{text} or so,{label}", (("question1", "question2"), "same")),
        ("hypothesis,premise,gold_label", "{text},{text} or so,{label}", (("premise", "hypothesis"), "gold_label")),
        ("text_a,text_b,y", "{text},{text} or so,{label}", (("text_a", "text_b"), "y")),
        ("url,title,class", "https://example.org/{i},{text},{label}", (("title",), "class")),
    ],
)
def test_columns_are_found(header: str, line: str, expected: tuple) -> None:
    assert roles(write("a.csv", header + "\n" + lines_of(60, line))) == expected


def test_doubt_is_told() -> None:
    path = write("a.csv", "title,body,priority,queue\n" + lines_of(60, "{text},{text} and more,{label},{label}"))
    table = look_at(path)
    label = choose_label(table.columns)
    assert label.columns == ("queue",)
    text = choose_text(table.columns, ["queue"])
    assert text.columns == ("body",)
    assert text.others == (("title",), ("title", "body"))


@pytest.mark.parametrize(
    ("name", "line", "separator"),
    [
        ("a.tsv", "{text}\t{label}", None),
        ("a.csv", "{text};{label}", ";"),
        ("a.csv", "{text}|{label}", "|"),
        ("a.txt", "{text}\t{label}", None),
        ("a.txt", "{text},{label}", ","),
    ],
)
def test_separator_and_missing_header_are_found(name: str, line: str, separator: str | None) -> None:
    table = look_at(write(name, lines_of(60, line)))
    assert table.separator == separator
    assert table.header == ["text", "label"]
    assert len(table) == 60


@pytest.mark.parametrize(
    "start",
    [
        ",text,label\n",  # an index without a name, as pandas writes it
        "sep=,\nn,text,label\n",  # Excel's hint to itself
        "n,text,label,,\n",
        "n,In your own words: what could we do better for you next time?,label\n",
        "n,n,text,label\n",
    ],
)
def test_odd_header_is_a_header(start: str) -> None:
    cells = start.splitlines()[-1].count(",")
    line = {2: "{i},{text},{label}", 4: "{i},{text},{label},,", 3: "{i},{i},{text},{label}"}[cells]
    table = look_at(write("a.csv", start + lines_of(60, line)))
    assert table.header is None
    assert len(table) == 60
    assert choose_label(table.columns).columns == ("label",)


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"text": "s", "emotion": "abcdef", "split": "ab"}, "emotion"),
        ({"id": "n", "review": "s", "rating": "12345", "source": "ab"}, "rating"),
        ({"comment": "s", "stars": "12345", "lang": "ab"}, "stars"),
        ({"star_rating": "12345", "verified_purchase": "YN", "review": "s"}, "star_rating"),
        ({"subject": "s", "description": "s", "department": "abcd", "status": "ab"}, "department"),
    ],
)
def test_label_is_not_just_the_column_with_the_fewest_values(columns: dict[str, str], label: str) -> None:
    made = {
        name: [
            f"{SENTENCES[i % 5]} {i}" if kind == "s" else str(i) if kind == "n" else kind[i % len(kind)]
            for i in range(120)
        ]
        for name, kind in columns.items()
    }
    assert choose_label(made).columns == (label,)


NAMES = {"1": "World", "2": "Sports", "10": "Business"}


@pytest.mark.parametrize(
    ("code", "name"),
    [("label", "label_name"), ("label", "label_text"), ("class", "category"), ("category_id", "topic"), ("y", "what")],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_of_codes_and_their_names_the_names_are_taken(code: str, name: str, is_first: bool) -> None:
    rows = [("text", code, name), *((f"{SENTENCES[i % 5]} {i}", c, NAMES[c]) for i, c in enumerate([*NAMES] * 30))]
    write("a.csv", "".join(f"{a if is_first else b},{b if is_first else a},{text}\n" for text, a, b in rows))
    choice = choose_label(look_at(Path("a.csv")).columns)
    assert (choice.columns, choice.codes, choice.others) == ((name,), code, ())
    assert choice.why == f"3 different values in 90 rows; one to one the names of the codes in {code!r}"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label_name", ["World", "Sports", "World"]),  # not one to one
        ("label_name", ["World", "Sports", ""]),  # a class without a name
        ("label_name", ["0", "7", "8"]),  # numbers, too
        ("source", ["amazon", "yelp", "imdb"]),  # where each class comes from
    ],
)
def test_what_is_no_column_of_names_is_not_taken_for_one(name: str, values: list[str]) -> None:
    columns = {
        "text": [f"{SENTENCES[i % 5]} {i}" for i in range(90)],
        "label": [str(i % 3) for i in range(90)],
        name: [values[i % 3] for i in range(90)],
    }
    assert choose_label(columns).columns == ("label",)


def test_names_are_listed_in_the_order_of_their_codes(capsys: pytest.CaptureFixture) -> None:
    rows = [f"{SENTENCES[i % 5]} {i},{c},{NAMES[c]}\n" for i, c in enumerate(["10", "2", "2", "1", "1", "1"] * 20)]
    write("a.csv", "text,label,label_name\n" + "".join(rows))
    status, said, errors = cli(capsys, "new", "a.csv")
    assert status == 0, errors
    assert "class names   in the order of the codes in 'label'" in said
    assert "classes       3: World 60, Sports 40, Business 20" in said
    assert "  labels: [World, Sports, Business]" in Path("a.yaml").read_text(encoding="utf-8")


def test_header_is_told_from_data() -> None:
    assert look_at(write("a.csv", "words,verdict\n" + lines_of(60, "{text},{label}"))).header is None
    assert look_at(write("a.csv", lines_of(60, "{label},{text}"))).header == ["label", "text"]
    assert look_at(write("a.csv", lines_of(60, "{text},{label},x"))).header == ["column1", "column2", "column3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\n" + lines_of(9, "{text}"), "a.csv: its lines are not cut into two or more cells by a comma,"),
        ("", "a.csv: the file is empty"),
        ("text,label\n", "a.csv: there are no rows in it"),
        ("a,b\n" + lines_of(9, "{text},{text} too"), "no column looks like labels: expected one with 2 to 1000"),
        ("a,b\n" + lines_of(9, "{i},{label}"), "no column looks like texts: expected one with words"),
        ("a,b\n1,2\n3,4,5\n", "a.csv: row 2 has 3 cells, expected 2 (a, b): '3,4,5'"),
    ],
)
def test_what_can_not_be_a_data_set(capsys: pytest.CaptureFixture, content: str, message: str) -> None:
    write("a.csv", content)
    status, out, err = cli(capsys, "new", "a.csv")
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert not Path("a.yaml").exists()


def test_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv: there is no such data file"):
        look_at(Path("nowhere.csv"))


PIECES = [*'a評1,;|"{}[]: ', "\t", "\n", "\r\n", "text", "label", "0.5", '"text":']
FILES = st.binary(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=60).map(lambda p: "".join(p).encode())


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(["a.csv", "a.tsv", "a.txt", "a.json", "a.jsonl", "a.parquet"]),
    FILES,
)
@example("a.csv", b"a,b\n" + b"x,1\ny,0\n" * 5)
@example("a.csv", b"\n\n")
@example("a.csv", b"a,a\n1,2\n")
@example("a.json", b"[{}]")
@example("a.json", b"[]")
@example("a.jsonl", b'{"text": {"a": 1}, "label": [1]}\n' * 3)
@example("a.csv", b"a,b\n\x00,1\n")
def test_any_file_is_a_table_with_roles_or_a_users_mistake(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        text, label = roles(path)
        assert label not in text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")
