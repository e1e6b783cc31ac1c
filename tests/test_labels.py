"""What the labels of data are as classes: their order and names, declared classes, several labels a text."""

import numpy as np
import pytest
from corpora import alone as alone
from corpora import corpus_of, multi, refusal, rows_of, write
from datasets import ClassLabel, Dataset, Features, List, Value

from accel_cls.errors import UserError
from accel_cls.recipe import Recipe

# Labels as they are written


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


def test_numbers_are_ordered_by_size_decimals_too():
    values = ["0", "1", "0.5", "-2", "10", "1.5"]
    assert corpus_of(write("a.csv", rows_of(values * 5))).classes.names == ("-2", "0", "0.5", "1", "1.5", "10")


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


def test_label_of_thousands_of_digits():
    assert len(corpus_of(write("a.csv", rows_of(["9" * 6000, "x" + "8" * 6000] * 5))).classes.names) == 2


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


# Classes that a recipe names


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


# Labels that can't be learned


def test_one_class_only():
    assert refusal(write("a.csv", rows_of("aaaaa"))).endswith(
        "examples are of one class; a classifier needs two or more"
    )


def test_texts_in_the_place_of_labels():
    said = refusal(write("a.csv", rows_of(f"label {i}" for i in range(1500))))
    assert said.startswith("data.label: the column 'label' has 1500 different values, the first is 'label 0'")


# Classes that files declare


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


def test_declared_names_go_together_with_a_file_that_writes_them():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    content = {"text": [f"t{i}" for i in range(8)], "label": [0, 1] * 4}
    Dataset.from_dict(content, features=features).to_parquet("a.parquet")
    write("b.csv", "text,label\n" + "".join(f"u{i},{'pos' if i % 2 else 'neg'}\n" for i in range(8)))
    corpus = corpus_of(["a.parquet", "b.csv"], validation=0.25)
    assert np.bincount(np.concatenate([corpus.train.labels, corpus.validation.labels])).tolist() == [8, 8]


# Several labels

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
