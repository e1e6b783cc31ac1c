"""JSON as annotation tools and pandas write it: nested values have dotted paths, rows may lie within an object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import cli

from accel_cls.data.reading import read_file
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
        ({"schema": {"fields": []}, "data": [{"text": "a"}, {"text": "b"}]}, "its rows are those under 'data'"),
        ({"version": 1, "rows": [{"text": "a"}, {"text": "b"}]}, "its rows are those under 'rows'"),
    ],
)
def test_rows_within_an_object_are_found(content: dict, note: str, tmp_path: Path) -> None:
    notes: list[str] = []
    assert read_file(write(tmp_path / "a.json", content), ["text"], FileFormat(), notes)["text"] == ["a", "b"]
    assert notes == [f"a.json: {note}"]


def test_one_object_is_one_row(tmp_path: Path) -> None:
    assert read_file(write(tmp_path / "a.json", {"text": "a", "label": 1}), ["text"], FileFormat(), [])["text"] == [
        "a"
    ]
