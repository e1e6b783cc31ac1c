"""Labels that are vectors of 0 and 1, an entry for each class: read by position, never as classes called 0 and 1."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import cli
from corpora import alone as alone
from corpora import multi
from sentences import SENTENCES

from accel_cls.errors import UserError
from accel_cls.recipe import load_recipe
from accel_cls.tasks import MultiLabel

VECTORS = [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1]]
NAMES = ["food", "price", "service"]


def frame() -> pd.DataFrame:
    texts = [f"{SENTENCES[i % len(SENTENCES)]} {i}" for i in range(60)]
    return pd.DataFrame({"text": texts, "label": [VECTORS[i % 5] for i in range(60)]})


def write(how: str) -> str:
    """The vectors, written in one of the ways in which they are met; returns the file's name."""
    data = frame()
    if how == "parquet":
        data.to_parquet("a.parquet")
        return "a.parquet"
    if how in ("numbers", "decimals", "booleans"):
        kind = {"numbers": int, "decimals": float, "booleans": bool}[how]
        rows = [{"text": t, "label": [*map(kind, v)]} for t, v in data.itertuples(index=False)]
        Path("a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        return "a.jsonl"
    written = {"separated": lambda v: ",".join(map(str, v)), "numpy": np.array, "list": list}[how]
    data.assign(label=[written(v) for v in data["label"]]).to_csv("a.csv", index=False)
    return "a.csv"


WAYS = ["numbers", "decimals", "booleans", "parquet", "separated", "numpy", "list"]


@pytest.mark.parametrize("how", WAYS)
def test_entries_are_the_classes_that_are_named(how: str) -> None:
    corpus = multi(write(how), labels=NAMES)
    assert corpus.classes.names == tuple(NAMES)
    assert corpus.train.labels.tolist() == [VECTORS[i % 5] for i in range(60)]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("labels", [None, {0: "food", 1: "price"}, [0, 1]])
def test_without_names_they_are_refused(how: str, labels: object) -> None:
    with pytest.raises(UserError) as caught:
        multi(write(how), labels=labels)
    assert str(caught.value) == (
        "data.label: each cell of 'label' is a list of 3 numbers, 0 or 1: one for each class, not the classes' names; "
        "name the classes in this order in data.labels, such as data.labels=[class_0,class_1,class_2]"
    )


def test_lists_of_class_numbers_are_no_vectors() -> None:
    rows = [{"text": f"t{i}", "label": label} for i, label in enumerate([[0, 1], [1], [], [0], [0, 1]] * 3)]
    Path("a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert multi("a.jsonl").classes.names == ("0", "1")


def test_a_vector_of_another_length_is_named_by_its_row() -> None:
    path = write("numbers")
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n" + json.dumps({"text": "one more", "label": [1, 0]}))
    with pytest.raises(UserError, match=r"the label '1' is not among food, price, service in 1 row: a\.jsonl:61"):
        multi(path, labels=NAMES)


def test_entries_are_read_by_the_names() -> None:
    assert MultiLabel(names=("a", "b", "c")).parse([1.0, 0.0, 1.0]) == ("a", "c")
    assert MultiLabel(names=("1", "b", "c")).parse([1, "b", "c"]) == ("1", "b", "c")


@pytest.mark.parametrize("how", WAYS)
def test_new_gives_the_entries_names_to_be_changed(how: str, capsys: pytest.CaptureFixture) -> None:
    status, out, err = cli(capsys, "new", write(how))
    assert (status, err) == (0, "")
    assert "its cells are lists of 3 numbers, 0 or 1, one for each class" in out
    recipe = load_recipe("a.yaml")
    assert (recipe.task, recipe.data.labels) == ("multi_label", ["class_0", "class_1", "class_2"])
    assert cli(capsys, "check", "a.yaml")[0] in (0, 1)


@pytest.mark.parametrize("beside", [True, False])
def test_new_takes_their_names_from_a_file(beside: bool, capsys: pytest.CaptureFixture) -> None:
    Path("classes.txt" if beside else "n").write_text("\n".join(NAMES), encoding="utf-8")
    assert cli(capsys, "new", write("numbers"), *([] if beside else ["--classes", "n"]))[0] == 0
    assert load_recipe("a.yaml").data.labels == NAMES
    assert f"by {'classes.txt' if beside else 'n'}; food 24" in Path("a.yaml").read_text(encoding="utf-8")


def test_check_says_what_they_are(capsys: pytest.CaptureFixture) -> None:
    Path("a.yaml").write_text(f"name: a\noutput: o\ndata: {{train: {write('separated')}}}\n", encoding="utf-8")
    _, out, _ = cli(capsys, "check", "a.yaml")
    assert "'label' seems to hold lists of 3 numbers, 0 or 1, one for each class: each of 5 combinations is a" in out
    assert "task: multi_label with data.labels, the names of the 3 classes in their order" in out
    status, _, err = cli(capsys, "check", "a.yaml", "task=multi_label")
    assert status == 2
    assert "is a list of 3 numbers, 0 or 1" in err
