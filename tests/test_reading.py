"""Data files of every format and encoding: their names, columns, cells and text pairs."""

import codecs
import json
import os

import pytest
from corpora import (
    JSON_LINES,
    LABELS,
    LINES,
    QUOTED,
    RECORDS,
    TABBED,
    TEXTS,
    corpus_of,
    csv_of,
    read,
    refusal,
    rows_of,
    write,
)
from corpora import alone as alone
from datasets import Dataset

# Formats


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\n" + QUOTED),
        ("A.CSV", "text,label\n" + QUOTED),
        ("a.tsv", "text\tlabel\n" + TABBED),
        ("a.txt", "text\tlabel\n" + TABBED),
        ("a.jsonl", JSON_LINES),
        ("lines.json", JSON_LINES),
        ("list.json", json.dumps(RECORDS)),
    ],
)
def test_format(name, content):
    assert read(write(name, content)) == (TEXTS, LABELS)


def test_parquet():
    Dataset.from_list(RECORDS).to_parquet("a.parquet")
    assert read("a.parquet") == (TEXTS, LABELS)


@pytest.mark.parametrize(("name", "content"), [("a.csv", QUOTED), ("a.tsv", TABBED), ("a.txt", TABBED)])
def test_file_without_header(name, content):
    assert read(write(name, content), columns=["text", "label"]) == (TEXTS, LABELS)


def test_columns_by_other_names_and_order():
    content = csv_of(((f"{label},x", f'"{text}"') for text, label in LINES), header="stars,more,review")
    assert read(write("a.csv", content), text="review", label="stars") == (TEXTS, LABELS)


def test_index_column_without_a_name():
    content = ",text,label\n" + "".join(f'{i},"{text}",{label}\n' for i, (text, label) in enumerate(LINES))
    assert read(write("a.csv", content)) == (TEXTS, LABELS)


def test_hint_of_excel_in_the_first_line_is_no_header():
    path = write("a.csv", "sep=;\n" + csv_of(LINES).replace(",", ";").replace("; ", ", "))
    assert read(path, separator=";")[0] == TEXTS


# Files


def test_list_of_files_keeps_their_order():
    paths = [write("b.csv", csv_of([("b1", "x"), ("b2", "y")])), write("a.tsv", "label\ttext\nx\ta1\n")]
    assert read(paths)[0] == ["b1", "b2", "a1"]


def test_glob_takes_each_file_once_by_name():
    for name in ("b", "a", "c"):
        write(f"d/{name}.csv", csv_of([(f"{name}1", "x"), (f"{name}2", "y")]))
    assert read(["d/*.csv", "d/a.csv"])[0] == ["a1", "a2", "b1", "b2", "c1", "c2"]


def test_file_whose_name_looks_like_a_glob():
    assert read(write("a[1].csv", csv_of([("a1", "x"), ("a2", "y")])))[0] == ["a1", "a2"]


def test_changed_file_is_read_anew():
    path = write("a.csv", csv_of([("old 1", "x"), ("old 2", "y")]))
    assert read(path)[0] == ["old 1", "old 2"]
    write("a.csv", csv_of([("new 1", "x"), ("new 2", "y"), ("new 3", "y")]))
    assert read(path)[0] == ["new 1", "new 2", "new 3"]


def test_changed_file_with_the_same_time_stamp_is_read_anew():
    path = write("a.csv", csv_of([("old 1", "x"), ("old 2", "y")]))
    times = (os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns)
    assert read(path)[0] == ["old 1", "old 2"]
    write("a.csv", csv_of([("new 1", "x"), ("new 2", "y")]))
    os.utime(path, ns=times)
    assert read(path)[0] == ["new 1", "new 2"]


def test_files_of_one_name_are_told_apart_by_their_folders():
    for folder in ("p", "q", "v"):
        write(f"{folder}/data.csv", rows_of("ab" * 4))
    corpus = corpus_of(["p/data.csv", "q/data.csv"], validation="v/data.csv")
    assert corpus.train.rows[0] == "p/data.csv:1"
    assert corpus.train.rows[8] == "q/data.csv:1"
    assert corpus.validation.rows[0] == "v/data.csv:1"


# Cells


def test_words_for_nothing_are_texts():
    words = ["NA", "null", "None", "nan", "N/A", "-", "#N/A"]
    texts, labels = read(write("a.csv", csv_of(zip(words, ["null", "NA"] * 3 + ["None"], strict=True))))
    assert texts == words
    assert labels == ["null", "NA"] * 3 + ["None"]


def test_numbers_in_cells_are_texts_as_written():
    assert read(write("a.csv", csv_of([("007", "x"), ("1.50", "y")])))[0] == ["007", "1.50"]


def test_quoted_cells_hold_commas_quotes_and_newlines():
    content = 'text,label\n"a, b",x\n"line 1\nline 2\r\nline 3",y\n"say ""hi""",x\nplain,y\n'
    texts, labels = read(write("a.csv", content))
    assert texts == ["a, b", "line 1\nline 2\r\nline 3", 'say "hi"', "plain"]
    assert labels == ["x", "y", "x", "y"]


def test_quotes_in_tab_separated_files_are_plain_characters():
    assert read(write("a.tsv", 'text\tlabel\n"open\tx\nit\'s 5" wide\ty\n'))[0] == ['"open', "it's 5\" wide"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end):
    assert read(write("a.csv", f"text,label{end}a,x{end}{end}b,y{end}")) == (["a", "b"], ["x", "y"])


def test_rare_line_separators_in_a_text_end_no_row():
    texts = ["a\u2028b", "c\x85d", "e\x0bf", "g\x1ch"]
    assert read(write("a.csv", csv_of(zip(texts, "xyxy", strict=True))))[0] == texts


def test_json_strings_that_look_like_dates_stay_as_written():
    records = [{"text": "2020-01-01", "label": "x"}, {"text": "2020-01-02", "label": "y"}]
    content = "".join(json.dumps(record) + "\n" for record in records)
    assert read(write("a.jsonl", content))[0] == ["2020-01-01", "2020-01-02"]


def test_half_a_character_in_json_becomes_the_replacement_character():
    lines = "".join(f'{{"text": "cut \\ud83d {i}", "label": {i % 2}}}\n' for i in range(10))
    assert "cut \ufffd 3" in read(write("a.jsonl", lines))[0]


def test_bytes_and_lists_in_parquet_are_texts():
    table = Dataset.from_dict({"text": [f"好 {i}".encode() for i in range(10)], "label": ["a", "b"] * 5})
    table.to_parquet("a.parquet")
    assert read("a.parquet")[0][3] == "好 3"
    Dataset.from_dict({"text": [["好", str(i)] for i in range(10)], "label": ["a", "b"] * 5}).to_parquet("b.parquet")
    assert read("b.parquet")[0][3] == '["好", "3"]'


# Encodings


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
@pytest.mark.parametrize(
    ("encoding", "mark", "note"),
    [
        ("utf-8", b"", None),
        ("utf-8", codecs.BOM_UTF8, None),
        ("gb18030", b"", "{}: not UTF-8 (line {}), read as GB18030"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "{}: read as UTF-16, by its byte-order mark"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "{}: read as UTF-16, by its byte-order mark"),
    ],
)
def test_encoding(name, encoding, mark, note):
    content = {"a.csv": "text,label\n" + QUOTED, "a.jsonl": JSON_LINES}
    text = content.get(name, json.dumps(RECORDS, ensure_ascii=False))
    corpus = corpus_of(write(name, mark + text.encode(encoding)))
    line = 2 if name == "a.csv" else 1
    assert corpus.notes == (() if note is None else (note.format(name, line),))
    assert set(corpus.train.texts["text"]) | set(corpus.validation.texts["text"]) == set(TEXTS)


def test_neither_utf_8_nor_gb18030():
    said = refusal(write("a.csv", b"text,label\na,1\n\xff\xff,2\n"))
    assert said.startswith("a.csv: line 3 is neither UTF-8 nor GB18030; say what it is, such as data.encoding=cp1252")


def test_utf_8_that_is_cut_off_at_the_end_names_the_last_line():
    assert refusal(write("a.csv", "text,label\na,1\nb,差".encode()[:-2])).startswith("a.csv: line 3 is neither")


# Text pairs


def test_text_pairs():
    content = "q,a,label\n" + "".join(f"question {i},answer {i},{i % 2}\n" for i in range(10))
    corpus = corpus_of(write("a.csv", content), text=["q", "a"], validation="a.csv")
    assert corpus.train.texts.column_names == ["text", "pair"]
    assert corpus.train.texts[3:4] == {"text": ["question 3"], "pair": ["answer 3"]}


def test_text_pairs_whose_columns_are_called_like_ours():
    content = "pair,text,label\n" + "".join(f"first {i},second {i},{i % 2}\n" for i in range(10))
    corpus = corpus_of(write("a.csv", content), text=["pair", "text"], validation="a.csv")
    assert corpus.train.texts[:1] == {"text": ["first 0"], "pair": ["second 0"]}


def test_pair_is_empty_only_where_both_texts_are():
    content = "q,a,label\n" + "x,y,0\nx,y,1\n" * 5 + ",only,0\nonly,,1\n,,0\n"
    said = refusal(write("a.csv", content), text=["q", "a"])
    assert said.startswith("data.train: the text is empty in 1 row: a.csv:13\n")
