"""What is split off for validation, or read for it; what is told about it; the digest of the data."""

import json

import numpy as np
import pytest
from corpora import alone as alone
from corpora import corpus_of, multi, refusal, rows_of, write

from accel_cls.data.loading import load_corpus
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of

# A fraction


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


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_fraction_that_leaves_a_class_out(fraction):
    said = refusal(write("a.csv", rows_of("ab" * 5)), validation=fraction)
    assert said.startswith(f"data.validation: {fraction} of 10 texts is ")
    assert said.endswith("use another fraction or a file")


def test_too_few_examples_to_split():
    assert refusal(write("a.csv", rows_of("ab"))).startswith("data.validation: no class has two different texts")
    assert refusal(write("a.csv", rows_of("aabb"))).startswith("data.validation: 0.2 of 4 texts is 1, too few")


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


# A file


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


def test_class_that_its_own_validation_file_has_not_is_told():
    write("v.csv", rows_of(["a", "a"]))
    corpus = corpus_of(write("a.csv", rows_of("ab" * 5)), validation="v.csv")
    assert corpus.notes == ("the class 'b' has no validation example; in macro averages its scores count as 0",)


# What is told, and the digest


def test_banner_counts_examples_and_classes():
    recipe_data = {"train": write("a.csv", rows_of(["a"] * 15 + ["b"] * 5)), "validation": 0.2}
    recipe = Recipe.model_validate({"name": "a", "output": "o", "data": recipe_data})
    assert load_corpus(recipe, task_of(recipe)).describe(recipe.data) == [
        ("examples", "16 for training, 4 for validation (0.2 of data.train, by class)"),
        ("classes", "a 12, b 4"),
    ]


def test_digest_follows_the_content():
    first = corpus_of(write("a.csv", rows_of(["a", "b"] * 20)))
    moved = corpus_of(write("elsewhere/b.csv", rows_of(["a", "b"] * 20)))
    changed = corpus_of(write("c.csv", rows_of(["a", "b"] * 20).replace("text 7,", "text seven,")))
    assert first.digest == moved.digest != changed.digest
