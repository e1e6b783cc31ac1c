"""Byte-order marks where no file begins: no cell is cut by them, no class made, and `check` tells of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import cli
from hostile_data import Rows, answer, check
from hostile_data import alone as alone

from accel_cls.data.loading import load_corpus
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of

MARK = "\ufeff"
LEFT_OUT = "1 byte-order mark (U+FEFF) left out: "


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", f"label,text\nx,a\n{MARK}x,b\ny,c\n", Rows([*"abc"], [*"xxy"], (LEFT_OUT + "a.csv:2",))),
        ("a.csv", f'label,text\nx,a\n{MARK}"x","b, c"\ny,c\n', Rows(["a", "b, c", "c"], [*"xxy"], (LEFT_OUT,))),
        ("a.csv", f'text,label\na,x\n{MARK}"b, c",y\n', Rows(["a", f"{MARK}b, c"], [*"xy"])),  # a text stays as it is
        ("a.csv", f'text,label\na,x\n"b\n{MARK}c",y\n', Rows(["a", f"b\n{MARK}c"], [*"xy"])),
        ("a.csv", f"text,label\na,x\n{MARK}\nb,y\n{MARK}", Rows([*"ab"], [*"xy"])),
        (
            "a.csv",
            f"{MARK}{MARK}text,{MARK}label\na,x\nb,y\n",
            Rows([*"ab"], [*"xy"], (f"{LEFT_OUT}a.csv, col",)),
        ),
        ("a.tsv", f'label\ttext\nx\ta\n{MARK}y\t"b\tc"\n', Rows(["a", "b\tc"], [*"xy"], ("double quotes", LEFT_OUT))),
        (
            "a.jsonl",
            lines({"text": "a", "label": "x"}) + MARK + lines({"text": "b", "label": "y"}),
            Rows([*"ab"], [*"xy"], (f"{LEFT_OUT}a.jsonl, line 2",)),
        ),
        (
            "a.jsonl",
            lines({f"{MARK}text": "a", "label": "x"}, {f"{MARK}text": "b", "label": f"y{MARK}"}),
            Rows([*"ab"], [*"xy"], (f"{LEFT_OUT}a.jsonl, column 'text'", f"{LEFT_OUT}a.jsonl:2")),
        ),
        (
            "a.parquet",
            lambda path: pa.parquet.write_table(pa.table({f"{MARK}text": [*"ab"], "label": ["x", f"{MARK}y"]}), path),
            Rows([*"ab"], [*"xy"], (f"{LEFT_OUT}a.parquet, column 'text'", f"{LEFT_OUT}a.parquet:2")),
        ),
        ("a.csv", f"text,label\na,x\nb,{MARK}\n", "the label is missing in 1 row: a.csv:2"),
        ("a.jsonl", lines({f"{MARK}text": "a", "text": "b", "label": "x"}), "the column 'text' stands twice"),
    ],
)
def test_marks_are_no_part_of_labels_names_and_lines(name: str, content: Any, expected: Any) -> None:
    check(answer(name, content), expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "gb18030"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_mark_of_the_file_is_nobodys_also_where_the_recipe_says_the_encoding(name: str, encoding: str) -> None:
    content = {
        "a.csv": "text,label\n好,x\n坏,y\n",
        "a.jsonl": lines({"text": "好", "label": "x"}, {"text": "坏", "label": "y"}),
    }[name]
    check(answer(name, f"{MARK}{content}".encode(encoding), encoding=encoding), Rows(["好", "坏"], ["x", "y"]))


def test_several_labels_have_no_marks() -> None:
    Path("a.csv").write_text(f'text,label\na,{MARK}x\nb,"{MARK}[""x"", ""y""]"\n', encoding="utf-8")
    Path("b.jsonl").write_text(lines({"text": "c", "label": [f"{MARK}x"]}, {"text": "d", "label": ["y"]}), "utf-8")
    data = {"train": ["a.csv", "b.jsonl"], "validation": "b.jsonl"}
    recipe = Recipe.model_validate({"name": "a", "output": "o", "task": "multi_label", "data": data})
    corpus = load_corpus(recipe, task_of(recipe))
    assert corpus.classes.names == ("x", "y")
    assert corpus.train.labels.tolist() == [[1, 0], [1, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize("mark", ["", MARK])
def test_header_line_of_a_file_that_was_put_behind_another_is_no_row(mark: str) -> None:
    part = "label,text\nx,a\ny,b\n"
    check(answer("a.csv", part + mark + part), "the row repeats the header line in 1 row: a.csv:3")
    read = answer("a.csv", part + mark + part, invalid="drop")
    assert isinstance(read, Rows)
    assert (read.texts, read.labels) == ([*"abab"], [*"xyxy"])


def test_check_tells_how_many_there_are_and_where(capsys: pytest.CaptureFixture) -> None:
    rows = [f"{'good' if i % 2 else 'bad'} text {i},{'pos' if i % 2 else 'neg'}" for i in range(60)]
    rows[3], rows[7], rows[9] = f"{MARK}{rows[3]}", f"good te{MARK}xt,{MARK}pos", "good caf\ufffd,pos"
    Path("b.csv").write_text("\n".join([f"text,{MARK}label", *rows]) + "\n", encoding="utf-8")
    Path("a.csv").write_text(
        "text,label\n" + "".join(f"text {i} of a,n\ufffdg\n" for i in range(20)), encoding="utf-8"
    )
    Path("r.yaml").write_text(
        "name: r\noutput: run\ndata: {train: [a.csv, b.csv], validation: b.csv}\n"
        "model: {scratch: {layers: 1, hidden: 32, heads: 2, vocabulary: 200}}\n",
        encoding="utf-8",
    )
    status, said, _ = cli(capsys, "check", "r.yaml", "--json")
    assert status == 1
    found = json.loads(said)
    left_out, texts = (finding for finding in found["findings"] if finding["kind"] == "byte-order-mark")
    assert [case["rows"] for case in left_out["cases"]] == [["b.csv, column 'label'"], ["b.csv:8"]]
    assert left_out["what"].endswith("lines: 2")
    assert "texts with a byte-order mark (U+FEFF) in them, which the model sees: 4 texts" in texts["what"]
    assert texts["cases"][0] == {
        "rows": ["b.csv:4"],
        "text": f"{MARK}good text 3",
        "labels": [],
        "excerpt": r"\ufeffgood text 3",
    }
    damaged, classes = (finding for finding in found["findings"] if finding["kind"] == "encoding")
    assert damaged["cases"][0]["rows"] == ["b.csv:10"]
    assert classes["what"] == "classes with traces of a wrong encoding in their names: 'n\ufffdg'"
    assert {*found["data"]["classes"]["train"]} == {"neg", "pos", "n\ufffdg"}
