"""Data files of every format and encoding, checked and split."""

import codecs
import json
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import stay_alone
from datasets import ClassLabel, Dataset, Features, List, Value

from accel_cls.data.corpus import load_corpus
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of

LINES = [
    (text + end, label)
    for end in ("", "！", "啊")
    for text, label in (("很好, 真的", "1"), ("差", "0"), ("还行", "1"), ("不行", "0"))
]


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """Own folders, and no network."""
    stay_alone(tmp_path, monkeypatch)


def write(name, content, encoding="utf-8"):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return str(path)


def corpus_of(train, seed=42, **data):
    values = {"name": "a", "seed": seed, "output": "o", "data": {"train": train, **data}}
    return load_corpus(recipe := Recipe.model_validate(values), task_of(recipe))


def refusal(train, **data):
    with pytest.raises(UserError) as caught:
        corpus_of(train, **data)
    return str(caught.value)


def read(train, **data):
    """(texts, class names) of all examples, in the order of the files: the file is its own validation."""
    corpus = corpus_of(train, validation=train, **data)
    names = [corpus.classes.names[i] for i in corpus.train.labels]
    return corpus.train.texts["text"][:], names


def csv_of(rows, header="text,label"):
    return "\n".join([header, *(f"{text},{label}" for text, label in rows)]) + "\n"


def rows_of(labels):
    """A csv file with these labels and texts that are all different."""
    return csv_of((f"text {i}", label) for i, label in enumerate(labels))


TEXTS, LABELS = [text for text, _ in LINES], [label for _, label in LINES]
QUOTED = "".join(f'"{text}",{label}\n' for text, label in LINES)
TABBED = "".join(f"{text}\t{label}\n" for text, label in LINES)
RECORDS = [{"text": text, "label": int(label)} for text, label in LINES]
JSON_LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS)


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
    assert said.startswith("a.csv: line 3 is neither UTF-8 nor GB18030; convert the file to UTF-8")


def test_utf_8_that_is_cut_off_at_the_end_names_the_last_line():
    assert refusal(write("a.csv", "text,label\na,1\nb,差".encode()[:-2])).startswith("a.csv: line 3 is neither")


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
    assert said == "a.xlsx: unknown ending '.xlsx'; expected one of .csv, .tsv, .txt, .json, .jsonl, .parquet"


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
    assert said.startswith("a.csv: row 1 has 3 cells, expected 2 (text, label): 'good, really,1'.")
    assert said.endswith("Put a text that holds the separator into double quotes")


def test_later_row_too_long():
    said = refusal(write("a.csv", "text,label\ngood,1\nbad,0\nso, so,1\n"))
    assert said.startswith("a.csv: row 3 has 3 cells, expected 2 (text, label): 'so, so,1'.")


def test_row_too_short():
    said = refusal(write("a.csv", "text,label\ngood,1\nbad\n"))
    assert said.startswith("a.csv: row 2 has 1 cell, expected 2 (text, label): 'bad'. Give it the cells that it lacks")


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


# Labels


@pytest.mark.parametrize(
    ("found", "order"),
    [
        (["10", "2", "0", "1"], ["0", "1", "2", "10"]),
        (["10", "-1", "9"], ["-1", "9", "10"]),
        (["class 10", "class 2", "class 1"], ["class 1", "class 2", "class 10"]),
        (["b", "a", "C"], ["C", "a", "b"]),
        (["x", "10", "9"], ["9", "10", "x"]),
        (["差评", "好评"], ["好评", "差评"]),
        (["2.5", "1.0"], ["1", "2.5"]),
        (["01", "1"], ["1", "01"]),
        (["x²", "x3"], ["x3", "x²"]),
        (["²", "3"], ["3", "²"]),
    ],
)
def test_order_of_labels(found, order):
    assert list(corpus_of(write("a.csv", rows_of(found * 10))).classes.names) == order


def test_order_of_labels_does_not_depend_on_the_order_of_rows():
    found = ["a01", "a1", "a 1", "A1"]
    forward = corpus_of(write("a.csv", rows_of(found * 10))).classes
    assert corpus_of(write("b.csv", rows_of(found[::-1] * 10))).classes == forward


@pytest.mark.parametrize(
    "found",
    [["1", " 1", "1 ", "0", "0 ", " 0"], ["1.0", "0.0", "1", "0", "1.00", "0."], ["+1", "0", "1", "0"]],
)
def test_one_number_written_differently_is_one_label(found):
    corpus = corpus_of(write("a.csv", rows_of(found * 3)))
    assert corpus.classes.names == ("0", "1")


@pytest.mark.parametrize("cells", [[0, 1, 0, 1], ["0", "1", "0", "1"], [0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, None]])
def test_numbers_texts_and_floats_name_the_same_classes(cells):
    Dataset.from_dict({"text": [f"t{i}" for i in range(12)], "label": cells * 3}).to_parquet("a.parquet")
    corpus = corpus_of("a.parquet", labels={0: "bad", 1: "good"}, invalid="drop", validation="a.parquet")
    assert corpus.train.labels[:3].tolist() == [0, 1, 0]


def test_long_numbers_stay_apart():
    corpus = corpus_of(write("a.csv", rows_of(["9007199254740993", "9007199254740992"] * 4)))
    assert corpus.classes.names == ("9007199254740992", "9007199254740993")


def test_numbers_too_long_for_a_float():
    corpus = corpus_of(write("a.csv", rows_of(["1" * 400, "2"] * 4)))
    assert corpus.classes.names == ("2", "1" * 400)


@pytest.mark.parametrize("cells", [["true", "false"], ["True", "False"], [True, False]])
def test_truth_values(cells):
    labels = {True: "good", False: "bad"}
    if isinstance(cells[0], bool):
        content = {"text": [f"t{i}" for i in range(8)], "label": cells * 4}
        Dataset.from_dict(content).to_parquet("a.parquet")
        corpus = corpus_of("a.parquet", labels=labels, validation="a.parquet")
    else:
        corpus = corpus_of(write("a.csv", rows_of(cells * 4)), labels=labels, validation="a.csv")
    assert corpus.classes.names == ("good", "bad")
    assert corpus.train.labels[:2].tolist() == [0, 1]


def test_mapping_names_the_classes_in_its_order():
    corpus = corpus_of(write("a.csv", rows_of("1010" * 3)), labels={1: "POSITIVE", 0: "NEGATIVE"}, validation="a.csv")
    assert corpus.classes.values == ("1", "0")
    assert corpus.classes.names == ("POSITIVE", "NEGATIVE")
    assert corpus.train.labels.tolist() == [0, 1] * 6


def test_mapping_of_floats_as_written():
    corpus = corpus_of(write("a.csv", rows_of(["1.0", "0.0"] * 4)), labels={"0.0": "bad", "1.0": "good"})
    assert corpus.classes.names == ("bad", "good")


def test_list_of_labels_gives_their_order():
    corpus = corpus_of(write("a.csv", rows_of("abab" * 3)), labels=["b", "a"], validation="a.csv")
    assert corpus.classes.names == ("b", "a")
    assert corpus.train.labels[:2].tolist() == [1, 0]


def test_class_without_an_example_is_noted():
    corpus = corpus_of(write("a.csv", rows_of("abab" * 3)), labels=["a", "b", "c"])
    assert corpus.notes == ("the class 'c' has no training example: it can't be learned",)


def test_one_class_only():
    assert refusal(write("a.csv", rows_of("aaaaa"))).endswith(
        "examples are of one class; a classifier needs two or more"
    )


def test_texts_in_the_place_of_labels():
    said = refusal(write("a.csv", rows_of(f"label {i}" for i in range(1500))))
    assert said.startswith("data.label: the column 'label' has 1500 different values, the first is 'label 0'")


# The split


def test_split_is_disjoint_and_complete():
    corpus = corpus_of(write("a.csv", rows_of(["a"] * 60 + ["b"] * 30 + ["c"] * 10)), validation=0.2)
    rows = sorted((*corpus.train.rows, *corpus.validation.rows), key=lambda row: int(row.split(":")[1]))
    assert rows == [f"a.csv:{i + 1}" for i in range(100)]
    assert (len(corpus.train), len(corpus.validation)) == (80, 20)


def test_split_is_by_class():
    corpus = corpus_of(write("a.csv", rows_of(["a"] * 60 + ["b"] * 30 + ["c"] * 10)), validation=0.2)
    assert np.bincount(corpus.validation.labels).tolist() == [12, 6, 2]
    assert np.bincount(corpus.train.labels).tolist() == [48, 24, 8]


def test_parts_keep_text_label_and_row_together():
    corpus = corpus_of(write("a.csv", rows_of(["a", "b"] * 20)))
    for part in (corpus.train, corpus.validation):
        numbers = [int(row.split(":")[1]) - 1 for row in part.rows]
        assert part.texts["text"][:] == [f"text {i}" for i in numbers]
        assert part.labels.tolist() == [i % 2 for i in numbers]
        assert numbers == sorted(numbers)


def test_seed_decides_the_split():
    """The very rows: another split would be evaluated on other texts, and an unfinished run could not go on."""
    path = write("a.csv", rows_of(["a", "b"] * 20))
    first, other = (corpus_of(path, seed=seed) for seed in (1, 2))
    assert [int(row.split(":")[1]) for row in first.validation.rows] == [11, 17, 22, 23, 24, 25, 30, 38]
    assert [int(row.split(":")[1]) for row in other.validation.rows] == [8, 12, 14, 16, 17, 27, 31, 39]
    assert first.digest == "7f2b6b6f8f64e9ac4a4e38f1721c979f7d899b34002e3f61a8318dbc4e439893"
    assert other.digest == "8b0cc1255859977240020e444cb05fef5e9303ce590ac427a3804d31d2e8090a"


def test_examples_of_one_text_stay_together():
    texts = ["same", "other"] * 10 + [f"text {i}" for i in range(30)]
    corpus = corpus_of(write("a.csv", "text,label\n" + "".join(f"{t},{i % 3}\n" for i, t in enumerate(texts))))
    train, validation = set(corpus.train.texts["text"]), set(corpus.validation.texts["text"])
    assert not train & validation
    assert len(train | validation) == 32
    assert len(corpus.train) + len(corpus.validation) == 50


def test_files_of_one_name_are_told_apart_by_their_folders():
    for folder in ("p", "q", "v"):
        write(f"{folder}/data.csv", rows_of("ab" * 4))
    corpus = corpus_of(["p/data.csv", "q/data.csv"], validation="v/data.csv")
    assert corpus.train.rows[0] == "p/data.csv:1"
    assert corpus.train.rows[8] == "q/data.csv:1"
    assert corpus.validation.rows[0] == "v/data.csv:1"


def test_numbers_are_ordered_by_size_decimals_too():
    values = ["0", "1", "0.5", "-2", "10", "1.5"]
    assert corpus_of(write("a.csv", rows_of(values * 5))).classes.names == ("-2", "0", "0.5", "1", "1.5", "10")


def test_label_of_thousands_of_digits():
    assert len(corpus_of(write("a.csv", rows_of(["9" * 6000, "x" + "8" * 6000] * 5))).classes.names) == 2


def test_half_a_character_in_json_becomes_the_replacement_character():
    lines = "".join(f'{{"text": "cut \\ud83d {i}", "label": {i % 2}}}\n' for i in range(10))
    assert "cut \ufffd 3" in read(write("a.jsonl", lines))[0]


def test_bytes_and_lists_in_parquet_are_texts():
    table = Dataset.from_dict({"text": [f"好 {i}".encode() for i in range(10)], "label": ["a", "b"] * 5})
    table.to_parquet("a.parquet")
    assert read("a.parquet")[0][3] == "好 3"
    Dataset.from_dict({"text": [["好", str(i)] for i in range(10)], "label": ["a", "b"] * 5}).to_parquet("b.parquet")
    assert read("b.parquet")[0][3] == '["好", "3"]'


def test_hint_of_excel_in_the_first_line_is_no_header():
    path = write("a.csv", "sep=;\n" + csv_of(LINES).replace(",", ";").replace("; ", ", "))
    assert read(path, separator=";")[0] == TEXTS


def test_digest_follows_the_content():
    first = corpus_of(write("a.csv", rows_of(["a", "b"] * 20)))
    moved = corpus_of(write("elsewhere/b.csv", rows_of(["a", "b"] * 20)))
    changed = corpus_of(write("c.csv", rows_of(["a", "b"] * 20).replace("text 7,", "text seven,")))
    assert first.digest == moved.digest != changed.digest


def test_only_example_of_a_class_is_trained_on():
    corpus = corpus_of(write("a.csv", rows_of([*("aabb" * 5), "c"])))
    assert corpus.notes == (
        "the class 'c' has one text only: it is trained on and not validated; in macro averages its scores count as 0",
    )
    assert np.bincount(corpus.train.labels).tolist() == [8, 8, 1]
    assert np.bincount(corpus.validation.labels).tolist() == [2, 2]


@pytest.mark.parametrize("fraction", [0.04, 0.2, 0.5, 0.96])
def test_class_of_two_texts_is_on_both_sides(fraction):
    """Rounded shares leave it out: 0.2 of 2 is 0.4."""
    corpus = corpus_of(write("a.csv", rows_of(["a"] * 60 + ["b"] * 36 + ["c"] * 2 + ["d"] * 2)), validation=fraction)
    assert (np.bincount(corpus.validation.labels, minlength=4) > 0).all()
    assert (np.bincount(corpus.train.labels, minlength=4) > 0).all()
    assert corpus.notes == ()


def test_class_whose_rows_repeat_one_text_is_trained_on_and_told():
    rows = "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(40)) + "same,c\n" * 3
    corpus = corpus_of(write("a.csv", "text,label\n" + rows))
    assert np.bincount(corpus.train.labels)[2] == 3
    assert len(corpus.notes) == 1
    assert "the class 'c' has one text only" in corpus.notes[0]


def test_class_that_its_own_validation_file_has_not_is_told():
    write("v.csv", rows_of(["a", "a"]))
    corpus = corpus_of(write("a.csv", rows_of("ab" * 5)), validation="v.csv")
    assert corpus.notes == ("the class 'b' has no validation example; in macro averages its scores count as 0",)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_fraction_that_leaves_a_class_out(fraction):
    said = refusal(write("a.csv", rows_of("ab" * 5)), validation=fraction)
    assert said.startswith(f"data.validation: {fraction} of 10 texts is ")
    assert said.endswith("use another fraction or a file")


def test_too_few_examples_to_split():
    assert refusal(write("a.csv", rows_of("ab"))).startswith("data.validation: no class has two different texts")
    assert refusal(write("a.csv", rows_of("aabb"))).startswith("data.validation: 0.2 of 4 texts is 1, too few")


def test_validation_file_is_used_whole():
    write("v.csv", rows_of(["b", "a", "b"]))
    corpus = corpus_of(write("a.csv", rows_of("ab" * 5)), validation="v.csv")
    assert (len(corpus.train), len(corpus.validation)) == (10, 3)
    assert corpus.validation.rows == ("v.csv:1", "v.csv:2", "v.csv:3")
    assert corpus.validation.labels.tolist() == [1, 0, 1]


def test_validation_labels_are_read_like_those_of_training():
    write("v.csv", rows_of(["1.0", "1.0"]))
    corpus = corpus_of(write("a.csv", rows_of(["1.0", "2.5"] * 5)), validation="v.csv")
    assert corpus.validation.labels.tolist() == [0, 0]


def test_banner_counts_examples_and_classes():
    recipe_data = {"train": write("a.csv", rows_of(["a"] * 15 + ["b"] * 5)), "validation": 0.2}
    recipe = Recipe.model_validate({"name": "a", "output": "o", "data": recipe_data})
    assert load_corpus(recipe, task_of(recipe)).describe(recipe.data) == [
        ("examples", "16 for training, 4 for validation (0.2 of data.train, by class)"),
        ("classes", "a 12, b 4"),
    ]


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


# Data sets in a hub's layout


def hub_folder():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    content = {"text": [f"t{i}" for i in range(20)], "label": [1, 0] * 10}
    Path("mirror/data").mkdir(parents=True)
    for split in ("train", "test"):
        Dataset.from_dict(content, features=features).to_parquet(f"mirror/data/{split}-00000-of-00001.parquet")
    return str(Path("mirror").resolve())


def test_local_hub_folder_with_declared_classes():
    folder = hub_folder()
    corpus = corpus_of({"hub": folder, "split": "train"}, validation={"hub": folder, "split": "test[:30%]"})
    assert corpus.classes.names == ("neg", "pos")
    assert corpus.train.labels[:2].tolist() == [1, 0]
    assert len(corpus.validation) == 6


def test_classes_that_a_parquet_file_declares():
    folder = hub_folder()
    corpus = corpus_of(f"{folder}/data/train-*.parquet", labels=["pos", "neg"])
    assert corpus.classes.names == ("pos", "neg")


@pytest.mark.parametrize("labels", [{0: "BAD", 1: "GOOD"}, {"neg": "BAD", "pos": "GOOD"}])
def test_declared_classes_are_renamed_by_number_or_by_name(labels):
    corpus = corpus_of({"hub": hub_folder(), "split": "train"}, labels=labels)
    assert corpus.classes.names == ("BAD", "GOOD")
    assert sorted(np.bincount(corpus.train.labels)) == [8, 8]


def declared(name, names, labels):
    """A Parquet file whose labels are ids of these classes."""
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    texts = [f"{name} {i} {label}" for i, label in enumerate(labels)]
    Dataset.from_dict(
        {"text": texts, "label": [names.index(label) for label in labels]}, features=features
    ).to_parquet(name)
    return name


def test_files_that_declare_their_classes_in_another_order_are_read_by_their_own_names():
    files = [
        declared("a.parquet", ["neg", "pos"], ["neg", "pos"] * 3),
        declared("b.parquet", ["pos", "neg"], ["pos"] * 2),
    ]
    declared("v.parquet", ["pos", "neg"], ["neg", "pos"])
    corpus = corpus_of(files, validation="v.parquet")
    assert corpus.classes.names == ("neg", "pos")
    for part in (corpus.train, corpus.validation):
        said = [text.rsplit(" ")[-1] for text in part.texts["text"]]
        assert [corpus.classes.names[label] for label in part.labels] == said
    assert corpus.notes[0] == (
        "b.parquet declares its classes as pos, neg, others as neg, pos; each file's ids are read by its own names"
    )


def test_files_that_declare_different_classes_have_all_of_them():
    files = [declared("a.parquet", ["x", "y"], ["x", "y"] * 3), declared("b.parquet", ["z", "x"], ["z", "x"] * 3)]
    corpus = corpus_of(files, validation=files)
    assert corpus.classes.names == ("x", "y", "z")
    assert np.bincount(corpus.train.labels).tolist() == [6, 3, 3]


def test_ids_that_do_not_mean_the_same_everywhere_are_not_renamed():
    files = [declared("a.parquet", ["neg", "pos"], ["neg", "pos"]), declared("b.parquet", ["pos", "neg"], ["pos"] * 2)]
    said = refusal(files, labels={0: "BAD", 1: "GOOD"})
    assert said.startswith(
        "data.labels: b.parquet declares its classes as pos, neg, others as neg, pos: an id does not"
    )
    corpus = corpus_of(files, labels={"neg": "BAD", "pos": "GOOD"}, validation=files)
    assert np.bincount(corpus.train.labels).tolist() == [1, 3]


def test_missing_label_of_a_declared_class():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    content = {"text": list("abcdef"), "label": [0, 1, -1, None, 0, 1]}
    Dataset.from_dict(content, features=features).to_parquet("a.parquet")
    assert "the label is missing in 2 rows: a.parquet:3, a.parquet:4" in refusal("a.parquet")


def test_unknown_split_of_a_hub_data_set():
    folder = hub_folder()
    said = refusal({"hub": folder, "split": "tran"})
    assert said.startswith(f"hub data set {folder!r}, split 'tran': ")
    assert "'train'" in said


def test_hub_id_without_a_network():
    said = refusal({"hub": "org/no-such-data", "split": "train"})
    assert said.startswith("hub data set 'org/no-such-data', split 'train': ")


def test_declared_names_go_together_with_a_file_that_writes_them():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    content = {"text": [f"t{i}" for i in range(8)], "label": [0, 1] * 4}
    Dataset.from_dict(content, features=features).to_parquet("a.parquet")
    write("b.csv", "text,label\n" + "".join(f"u{i},{'pos' if i % 2 else 'neg'}\n" for i in range(8)))
    corpus = corpus_of(["a.parquet", "b.csv"], validation=0.25)
    assert np.bincount(np.concatenate([corpus.train.labels, corpus.validation.labels])).tolist() == [8, 8]


# Several labels


def multi(train, **data):
    values = {"name": "a", "output": "o", "task": "multi_label", "data": {"train": train, "validation": train, **data}}
    recipe = Recipe.model_validate(values)
    return load_corpus(recipe, task_of(recipe))


ENCODED = [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]  # of food, price, service


@pytest.mark.parametrize(
    ("name", "content", "data"),
    [
        ("a.csv", 'text,label\na,"food,service"\nb,\nc,price\nd,"service, price,food"\n', {}),
        ("a.csv", "text,label\na,food|service\nb,\nc,price\nd,price|food|service\n", {"label_separator": "|"}),
        (
            "a.jsonl",
            '{"text": "a", "label": ["food", "service"]}\n{"text": "b", "label": []}\n'
            '{"text": "c", "label": ["price"]}\n{"text": "d", "label": ["food", "price", "service"]}\n',
            {},
        ),
        (
            "a.csv",
            "text,food,price,service\na,1,0,1\nb,0,0,0\nc,0,1,0\nd,1,1,1\n",
            {"label": ["food", "price", "service"]},
        ),
    ],
    ids=["separated", "another separator", "lists", "a column for each class"],
)
def test_several_labels_of_a_text(name, content, data):
    corpus = multi(write(name, content), **data)
    assert corpus.classes.names == ("food", "price", "service")
    assert corpus.train.labels.tolist() == ENCODED
    assert corpus.describe(Recipe.model_validate({"name": "a", "output": "o", "data": {"train": name}}).data)[1] == (
        "classes",
        "food 2, price 2, service 2",
    )


def test_several_labels_that_a_parquet_file_declares():
    features = Features({"text": Value("string"), "label": List(ClassLabel(names=["price", "food", "service"]))})
    content = {"text": list("abcd"), "label": [[1, 2], [], [0], [0, 1, 2]]}
    Dataset.from_dict(content, features=features).to_parquet("a.parquet")
    corpus = multi("a.parquet")
    assert corpus.classes.names == ("price", "food", "service")
    assert corpus.train.labels[:, [1, 0, 2]].tolist() == ENCODED


def test_several_labels_of_which_one_is_unknown_or_missing():
    lines = '{"text": "a", "label": ["x", "y"]}\n{"text": "b", "label": ["x", "z"]}\n{"text": "c", "label": null}\n'
    with pytest.raises(UserError) as caught:
        multi(write("a.jsonl", lines), labels=["x", "y"])
    assert "the label 'z' is not among x, y in 1 row: a.jsonl:2" in str(caught.value)
    assert "the label is missing in 1 row: a.jsonl:3" in str(caught.value)


def test_split_of_several_labels_has_each_on_both_sides():
    draw = np.random.default_rng(3)
    shares = {"a": 0.7, "b": 0.3, "c": 0.1, "d": 0.01}
    rows = [{"text": f"t{i}", "label": [c for c, p in shares.items() if draw.random() < p]} for i in range(300)]
    rows += [{"text": "rare 1", "label": ["a", "e"]}, {"text": "rare 2", "label": ["b", "e"]}]
    corpus = multi(write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)), validation=0.2)
    train, validation = (corpus.class_counts(part) for part in (corpus.train, corpus.validation))
    assert validation.min() > 0
    assert train.min() > 0
    assert validation[:3] / (train + validation)[:3] == pytest.approx([0.2] * 3, abs=0.06)
    assert corpus.validation.labels.any(1).all() == corpus.train.labels.any(1).all(), "texts without a class, too"
