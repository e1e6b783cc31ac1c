"""Files and folders are written whole: texts, JSON, csv, whole folders; what fails leaves the old."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import files_of

from accel_cls.atomic import as_cell, from_cell, whole_folder, write_csv, write_json, write_text
from accel_cls.runs.folder import RunFolder


class StoppedError(Exception):
    pass


def stop_while_writing(path):
    with whole_folder(path) as beside:
        (beside / "a.txt").write_text("new")
        raise StoppedError


# Files


def test_write_text_replaces(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    write_text(tmp_path / "a.txt", "neu 新\n")
    assert files_of(tmp_path) == {"a.txt": "neu 新\n".encode()}


def test_write_text_that_fails_leaves_the_old(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "new \ud800")
    assert (tmp_path / "a.txt").read_text() == "old"


def test_json_has_no_nan(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"update": 1, "loss": float("nan"), "grad_norm": float("inf")}])
    folder.append_metrics([{"update": 1, "evaluation": {"loss": float("nan"), "accuracy": 0.5}, "best": True}])
    write_json(tmp_path / "a.json", {"a": [float("-inf"), 1.5, (2, float("nan"))]})

    def refuse(word):
        raise AssertionError(word)

    lines = folder.metrics.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line, parse_constant=refuse) for line in lines]
    assert records[0] == {"update": 1, "loss": None, "grad_norm": None}
    assert records[1]["evaluation"] == {"loss": None, "accuracy": 0.5}
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse) == {"a": [None, 1.5, [2, None]]}
    (evaluation,) = folder.evaluations()
    assert math.isnan(evaluation["evaluation"]["loss"])
    folder.rewind(1, 1)
    assert folder.metrics.read_text(encoding="utf-8").splitlines() == lines


@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\n, ab好"), max_size=6))
def test_no_cell_is_a_formula_and_each_says_what_it_was(text):
    cell = as_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert from_cell(cell) == text


@pytest.mark.parametrize(("text", "is_number"), [("-12.50", True), ("+4.5e-3", True), ("-1+1", False), ("-", False)])
def test_numbers_are_no_formulas(text, is_number):
    assert as_cell(text) == (text if is_number else f"'{text}")
    assert from_cell(as_cell(text)) == text


def test_write_csv_that_fails_leaves_the_old(tmp_path):
    def rows():
        yield ["new"]
        raise StoppedError

    write_text(tmp_path / "a.csv", "old")
    with pytest.raises(StoppedError):
        write_csv(tmp_path / "a.csv", ["x"], rows())
    assert files_of(tmp_path) == {"a.csv": b"old"}


def test_write_csv_is_read_by_excel(tmp_path):
    write_csv(tmp_path / "a.csv", ["文", "n"], iter([['a,"b"\nc', 1]]))
    assert (tmp_path / "a.csv").read_bytes() == b'\xef\xbb\xbf\xe6\x96\x87,n\n"a,""b""\nc",1\n'


def test_write_json_is_readable(tmp_path):
    write_json(tmp_path / "a.json", {"名": [1, 2.5, None]})
    assert "名" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"名": [1, 2.5, None]}


# Folders


def test_whole_folder_replaces_all_of_the_old(tmp_path):
    for number in (1, 2):
        with whole_folder(tmp_path / "model") as beside:
            (beside / "sub").mkdir()
            (beside / f"sub/{number}.txt").write_text("x")
    assert files_of(tmp_path) == {"model/sub/2.txt": b"x"}


def test_whole_folder_that_fails_leaves_the_old(tmp_path):
    with whole_folder(tmp_path / "model") as beside:
        (beside / "a.txt").write_text("old")
    with pytest.raises(StoppedError):
        stop_while_writing(tmp_path / "model")
    assert files_of(tmp_path / "model") == {"a.txt": b"old"}


def test_whole_folder_sweeps_what_an_end_between_its_renames_left(tmp_path):
    (tmp_path / ".model.old").mkdir()
    (tmp_path / ".model.old/a.txt").write_text("old")
    with whole_folder(tmp_path / "model") as beside:
        (beside / "a.txt").write_text("new")
    assert files_of(tmp_path) == {"model/a.txt": b"new"}


def test_whole_folder_that_fails_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(StoppedError):
        stop_while_writing(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_whole_folder_starts_empty_after_a_failure(tmp_path):
    with pytest.raises(StoppedError):
        stop_while_writing(tmp_path / "model")
    with whole_folder(tmp_path / "model") as beside:
        (beside / "b.txt").write_text("y")
    assert files_of(tmp_path / "model") == {"b.txt": b"y"}
