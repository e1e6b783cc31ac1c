"""JSON as annotation tools and pandas write it: nested values have dotted paths, rows may lie within an object."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import cli

from accel_cls.data.reading import read_file
from accel_cls.data.rows import open_rows
from accel_cls.data.separated import FileFormat
from accel_cls.errors import UserError
from accel_cls.recipe import load_recipe


def export(i: int) -> dict:
    result = {"result": {"label": "pos" if i % 2 else "neg"}}
    return {"id": i, "data": {"text": f"the lamp {i} is fine", "lang": "en"}, "annotations": [result]}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return path


def test_nested_values_are_read_by_their_paths(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(export(i)) for i in range(3)) + "\n", encoding="utf-8")
    columns = ["data.text", "annotations.0.result.label", "data"]
    table = read_file(path, columns, FileFormat(), [])
    assert table["data.text"] == [f"the lamp {i} is fine" for i in range(3)]
    assert table["annotations.0.result.label"] == ["neg", "pos", "neg"]
    assert json.loads(table["data"][0]) == {"text": "the lamp 0 is fine", "lang": "en"}
    with pytest.raises(UserError, match=r"there is no column 'data\.txt'; did you mean data\.text"):
        read_file(path, ["data.txt"], FileFormat(), [])


def test_of_several_objects_in_a_list_none_is_picked(tmp_path: Path) -> None:
    rows = [export(0), {"id": 1, "data": {"text": "x"}, "annotations": [{"result": 1}, {"result": 2}]}]
    table = read_file(write(tmp_path / "a.json", rows), None, FileFormat(), [])
    assert table.column_names == ["id", "data.text", "data.lang", "annotations"]


def test_new_finds_text_and_label_in_what_is_nested(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.json", [export(i) for i in range(60)])
    status, _, errors = cli(capsys, "new", "a.json")
    assert status == 0, errors
    recipe = load_recipe("a.yaml")
    assert (recipe.data.text, recipe.data.label) == ("data.text", "annotations.0.result.label")
    assert cli(capsys, "check", "a.yaml")[0] in (0, 1)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ({"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}, "its objects are columns"),
        ({"columns": ["text", "label"], "index": [0, 1], "data": [["a", "x"], ["b", "y"]]}, "it is split"),
        ({"text": {"7": "a", "12": "b"}, "label": {"7": "x", "12": "y"}}, "its objects are columns"),
        ({"0": {"text": "a", "label": "x"}, "1": {"text": "b", "label": "y"}}, "its objects are rows"),
        ({"7": {"text": "a", "label": "x"}, "12": {"text": "b"}}, "its objects are rows"),
        ({"0": {"0": "x", "text": "a"}, "1": {"0": "y", "text": "b"}}, "its objects are rows"),
        ({"schema": {"fields": []}, "data": [{"text": "a"}, {"text": "b"}]}, "its rows are those under 'data'"),
        ({"version": 1, "rows": [{"text": "a"}, {"text": "b"}]}, "its rows are those under 'rows'"),
    ],
)
def test_rows_within_an_object_are_found(content: dict, note: str, tmp_path: Path) -> None:
    notes: list[str] = []
    assert read_file(write(tmp_path / "a.json", content), ["text"], FileFormat(), notes)["text"] == ["a", "b"]
    assert notes == [f"a.json: {note}"]


def test_rows_by_names_of_their_own(tmp_path: Path) -> None:
    rows = {f"doc{i}": {"text": f"t{i}", "label": "x"} for i in range(3)} | {"doc3": {"text": "t3"}}
    notes: list[str] = []
    table = read_file(write(tmp_path / "a.json", rows), ["text", "label"], FileFormat(), notes)
    assert (table["text"], table["label"]) == (["t0", "t1", "t2", "t3"], ["x", "x", "x", None])
    assert notes == ["a.json: its objects are rows"]


def test_columns_by_names_of_their_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": ["x", "y", "x"]}, index=["r1", "r2", "r3"])
    for orient in ("columns", "index", "split", "table", "records"):
        frame.to_json(tmp_path / "a.json", orient=orient)
        table = read_file(tmp_path / "a.json", ["text", "label"], FileFormat(), [])
        assert (table["text"], table["label"]) == (["a", "b", "c"], ["x", "y", "x"]), orient


@pytest.mark.parametrize("index", [None, [3, 7, 9, 20], ["p", "q", "r", "s"]])
@pytest.mark.parametrize("orient", ["columns", "index", "split", "table", "records"])
def test_whatever_pandas_writes(tmp_path: Path, monkeypatch, capsys, orient: str, index: list | None) -> None:
    texts = [f"the lamp {i} is {'fine' if i % 2 else 'broken'}" for i in range(60)]
    names = index and [*index, *(f"{index[0]}0{i}" for i in range(56))]
    frame = pd.DataFrame({"text": texts, "label": ["neg", "pos"] * 30}, index=names)
    frame.to_json(tmp_path / "a.json", orient=orient)
    monkeypatch.chdir(tmp_path)
    status, _, errors = cli(capsys, "new", "a.json")
    assert status == 0, errors
    assert load_recipe("a.yaml").data.labels == ["neg", "pos"]
    rows = open_rows(tmp_path / "a.json", FileFormat())
    assert [rows.value(row, "text") for row in rows] == texts


def test_rows_under_several_keys_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", {"version": 1, "train": [{"text": "a"}] * 2, "test": [{"text": "b"}]})
    with pytest.raises(UserError) as caught:
        read_file(path, ["text"], FileFormat(), [])
    assert str(caught.value) == (
        f"{path}: its rows are under several keys, train (2), test (1); put each list into a file of its own, such as "
        "train.json"
    )


@pytest.mark.parametrize(
    "record",
    [
        {"data": {"text": "a"}, "meta": {"label": "x"}},
        {"text": "a", "entities": [{"start": 1}], "relations": [{"head": 1}]},
        {"a": {"text": "x"}},
    ],
)
def test_one_nested_object_is_one_row(record: dict, tmp_path: Path) -> None:
    assert len(read_file(write(tmp_path / "a.json", record), None, FileFormat(), [])) == 1


def test_one_object_is_one_row(tmp_path: Path) -> None:
    assert read_file(write(tmp_path / "a.json", {"text": "a", "label": 1}), ["text"], FileFormat(), [])["text"] == [
        "a"
    ]
