"""Data files that can't be read, rows that can't be used: how they are named, and when rows are dropped."""

import json
from pathlib import Path

import pytest
from corpora import JSON_LINES, LINES, QUOTED, RECORDS, corpus_of, csv_of, refusal, rows_of, write
from corpora import alone as alone
from datasets import Dataset

# Files that can't be read


def test_missing_file_with_near_miss():
    write("reviews.csv", csv_of(LINES))
    assert refusal("review.csv") == "review.csv: there is no such data file; did you mean reviews.csv?"


def test_glob_without_a_match():
    assert refusal("d/*.csv") == "d/*.csv: there is no such data file"


def test_folder_is_no_data_file():
    Path("d.csv").mkdir()
    assert refusal("d.csv").startswith("d.csv: there is no such data file")


def test_unknown_ending():
    said = refusal(write("a.xlsx", b"PK"))
    expected = ".csv, .tsv, .txt, .json, .jsonl, .parquet, or one of these in .gz or .zip"
    assert said == f"a.xlsx: unknown ending '.xlsx'; expected one of {expected}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", ""),
        ("a.csv", "\n\n"),
        ("a.csv", "text,label\n"),
        ("a.tsv", "text\tlabel\n"),
        ("a.jsonl", ""),
        ("a.jsonl", "\n"),
        ("a.json", "[]"),
        ("a.json", "{}"),
        ("a.json", "3"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", '),
        ("a.jsonl", "text,label\na,1\n"),
        ("a.parquet", ""),
        ("a.parquet", "PAR1 but not really"),
        ("a.csv", 'text,label\n"open,1\nb,2\n'),
    ],
)
def test_unreadable_or_empty_file_is_named(name, content):
    assert refusal(write(name, content)).startswith(f"{name}: ")


def test_parquet_without_rows():
    Dataset.from_dict({"text": [], "label": []}).to_parquet("a.parquet")
    assert refusal("a.parquet") == "a.parquet: there are no rows in it"


def test_first_row_too_long():
    said = refusal(write("a.csv", "text,label\ngood, really,1\nbad,0\n"))
    assert said.startswith("a.csv: row 1 has 3 cells, expected 2 (text, label): 'good, really,1', cut at ',' with")
    assert said.endswith("Put a text that holds the separator into double quotes")


def test_later_row_too_long():
    said = refusal(write("a.csv", "text,label\ngood,1\nbad,0\nso, so,1\n"))
    assert said.startswith(
        "a.csv: row 3 has 3 cells, expected 2 (text, label): 'so, so,1', cut at ',' with double quotes"
    )


def test_row_too_short():
    said = refusal(write("a.csv", "text,label\ngood,1\nbad\n"))
    assert said.startswith("a.csv: row 2 has 1 cell, expected 2 (text, label): 'bad', cut at ',' with double quotes")
    assert "Give it the cells that it lacks" in said


def test_quote_that_is_not_closed():
    said = refusal(write("a.csv", 'text,label\ngood,1\n"bad,0\ngood,1\n'))
    assert said.startswith("a.csv: row 2 has 1 cell, expected 2")
    assert said.endswith("Close the quote that opens in it")


def test_row_too_long_for_the_named_columns():
    said = refusal(write("a.tsv", "good\t1\nso\tso\t1\n"), columns=["text", "label"])
    assert said.startswith("a.tsv: row 2 has 3 cells, expected 2 (text, label)")


def test_column_twice_in_the_header():
    assert refusal(write("a.csv", "text,text,label\na,b,1\n")) == (
        "a.csv: the column 'text' stands twice in its header"
    )


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_missing_column_with_near_miss(name):
    if name == "a.parquet":
        Dataset.from_list(RECORDS).to_parquet(name)
    else:
        write(name, "text,label\n" + QUOTED if name == "a.csv" else JSON_LINES)
    said = refusal(name, label="lable")
    assert said.startswith(f"{name}: there is no column 'lable'; did you mean label? It has 'text', 'label'; set ")


def test_missing_column_in_one_file_of_several():
    write("a.csv", csv_of(LINES[1:3]))
    write("b.csv", csv_of(LINES[1:3], header="review,label"))
    assert refusal(["a.csv", "b.csv"]).startswith("b.csv: there is no column 'text'")


# Rows that can't be used

FAULTY = 'text,label\ngood,1\n"  ",1\nbad,0\n,0\nwell,\nbad,0\nfine,1\nodd,2\nfine,1\nodd,2\nso,0\n'


def test_faulty_rows_are_named():
    assert refusal(write("a.csv", FAULTY), labels=[0, 1]) == (
        "data.train: the text is empty in 2 rows: a.csv:2, a.csv:4\n"
        "data.train: the label is missing in 1 row: a.csv:5\n"
        "data.train: the label '2' is not among 0, 1 in 2 rows: a.csv:8, a.csv:10\n"
        "Mend them, or leave such rows out with data.invalid=drop"
    )


def test_faulty_rows_are_dropped_where_the_recipe_says_so():
    corpus = corpus_of(write("a.csv", FAULTY), validation="a.csv", labels=[0, 1], invalid="drop")
    assert corpus.train.texts["text"][:] == ["good", "bad", "bad", "fine", "fine", "so"]
    assert corpus.train.labels.tolist() == [1, 0, 0, 1, 1, 0]
    assert corpus.train.rows == ("a.csv:1", "a.csv:3", "a.csv:6", "a.csv:7", "a.csv:9", "a.csv:11")
    assert corpus.notes[:3] == (
        "data.train: dropped, the text is empty in 2 rows: a.csv:2, a.csv:4",
        "data.train: dropped, the label is missing in 1 row: a.csv:5",
        "data.train: dropped, the label '2' is not among 0, 1 in 2 rows: a.csv:8, a.csv:10",
    )
    assert corpus.notes[3].startswith("data.validation: dropped, ")


def test_many_faulty_rows_are_counted():
    said = refusal(write("a.csv", rows_of(["0", "1"] * 5 + [""] * 9)))
    assert "in 9 rows: a.csv:11, a.csv:12, a.csv:13, a.csv:14, a.csv:15 and 4 more" in said


def test_faulty_rows_of_json():
    records = [
        *({"text": f"t{i}", "label": i % 2} for i in range(10)),
        {"text": None, "label": 1},
        {"text": "x", "label": None},
        {"label": 0},
    ]
    said = refusal(write("a.jsonl", "".join(json.dumps(record) + "\n" for record in records)))
    assert "the text is empty in 2 rows: a.jsonl:11, a.jsonl:13" in said
    assert "the label is missing in 1 row: a.jsonl:12" in said


def test_label_of_validation_that_training_does_not_have():
    write("v.csv", rows_of(["a", "c"]))
    said = refusal(write("a.csv", rows_of(["a", "b"] * 4)), validation="v.csv")
    assert said.startswith("data.validation: the label 'c' is not among a, b in 1 row: v.csv:2")


def test_nothing_usable():
    assert refusal(write("a.csv", rows_of(["x", "y"])), labels=["a", "b"], invalid="drop") == (
        "data.train: no usable row is left of 2: the label 'x' is not among a, b in 1 row: a.csv:1; "
        "the label 'y' is not among a, b in 1 row: a.csv:2"
    )
