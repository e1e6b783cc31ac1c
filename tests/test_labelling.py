"""`accel-cls new` and `check`: whether a text has one class or several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import cli, command
from sentences import SENTENCES
from sentences import in_empty_folder as in_empty_folder

from accel_cls.authoring.check import check_recipe
from accel_cls.authoring.labelling import find_labelling
from accel_cls.recipe import load_recipe

TEXTS = [f"{SENTENCES[i % len(SENTENCES)]} {i}" for i in range(60)]
SETS = [["work"], ["home", "urgent"], ["home"], ["urgent", "work"], []]


def columns_of(cells: list[str]) -> dict[str, list[str]]:
    return {"text": TEXTS, "labels": [cells[i % len(cells)] for i in range(60)]}


def flags(*names: str, several: bool = True) -> dict[str, list[str]]:
    """Columns of 0 and 1; `several`: some rows have two ones, else each has one."""
    step = 1 if several else len(names)
    return {
        name: [str(int(i % (at + 2) == 0 if several else i % step == at)) for i in range(60)]
        for at, name in enumerate(names)
    }


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["a|b", "a", "b", "c|b"], "|"),
        (["a; b", "a", "b", "c; b"], ";"),
        (["快、好", "快", "好", "快、贵"], "、"),
        (["a, b", "a", "b", "c, b", ""], ","),
        ([json.dumps(one) for one in SETS], None),
        ([str(one) for one in SETS], None),
        ([str(tuple(one)) for one in SETS], None),
        (["['a' 'b']", "['a']", "['b' 'c']"], None),
    ],
)
def test_cells_that_hold_several_classes(cells: list[str], separator: str | None) -> None:
    found = find_labelling(columns_of(cells))
    assert (found.task, found.label, found.separator) == ("multi_label", "labels", separator)


@pytest.mark.parametrize(
    "cells",
    [
        ["a", "b"],
        ["Business, money", "Sports", "Arts, crafts"],  # commas within names
        ["Sci/Tech", "World"],
        ["1", "2", "3"],
        ["[red]", "[blue]"],
    ],
)
def test_cells_that_hold_one_class(cells: list[str]) -> None:
    assert find_labelling(columns_of(cells)).task == "single_label"


def test_columns_of_0_and_1() -> None:
    several = {"comment": TEXTS, **flags("toxic", "threat", "insult")}
    assert find_labelling(several).label == ["toxic", "threat", "insult"]
    one_each = {"comment": TEXTS, **flags("red", "green", "blue", several=False)}
    assert find_labelling(one_each).label == ["red", "green", "blue"]
    # A column that is named a label is one; flags beside it are something else.
    assert find_labelling({"text": TEXTS, **flags("label", "verified", "helpful")}).label == "label"
    assert find_labelling({"text": TEXTS, **flags("verified", "sentiment")}).label == "sentiment"


def test_written_recipe_trains_several_labels_a_text(capsys: pytest.CaptureFixture) -> None:
    rows = [{"text": text, "labels": SETS[i % len(SETS)]} for i, text in enumerate(TEXTS)]
    Path("tags.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    status, out, err = cli(capsys, "new", "tags.jsonl")
    assert (status, err) == (0, "")
    assert "task          multi_label: any number of classes a text; its cells are lists: 3 different ones" in out
    recipe = load_recipe("tags.yaml")
    assert (recipe.task, recipe.data.labels) == ("multi_label", ["home", "urgent", "work"])
    assert recipe.evaluate.best == "f1_micro"
    done = command("python", "-m", "accel_cls.train", "tags.yaml", "train.epochs=1", cwd=Path.cwd())
    assert done.returncode == 0, done.stderr


def test_label_columns_may_be_named(capsys: pytest.CaptureFixture) -> None:
    named = flags("fast", "cheap")
    lines = [f"{text},{a},{b}" for text, a, b in zip(TEXTS, *named.values(), strict=True)]
    Path("a.csv").write_text("\n".join(["text,fast,cheap", *lines]), encoding="utf-8")
    assert cli(capsys, "new", "a.csv", "--label", "fast", "--label", "cheap")[0] == 0
    assert load_recipe("a.yaml").data.label == ["fast", "cheap"]
    status, _, err = cli(capsys, "new", "a.csv", "--force", "--label", "fast", "--label", "text")
    assert status == 2
    assert "--label: 'text' holds" in err
    assert "expected 0 and 1, as several label columns have, one for each class" in err


def test_check_says_that_combinations_of_classes_are_none() -> None:
    lines = [f"{text},{['a|b', 'a', 'b', 'c|b'][i % 4]}" for i, text in enumerate(TEXTS)]
    Path("a.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    Path("a.yaml").write_text("name: a\noutput: runs/a\ndata: {train: a.csv}\n", encoding="utf-8")
    found = {one.kind: one for one in check_recipe(load_recipe("a.yaml")).findings}["several-labels"]
    assert found.what == "'label' seems to hold several classes between '|': each of 4 combinations is a class here"
    assert found.advice == "task: multi_label with data.label_separator: '|' learns the 3 classes themselves"
    several = load_recipe("a.yaml", ["task=multi_label", "data.label_separator=|"])
    assert "several-labels" not in {one.kind for one in check_recipe(several).findings}


def test_counts_of_new_are_those_of_check(capsys: pytest.CaptureFixture) -> None:
    """Copies of a text stay together, so that fewer can be split off than were asked for."""
    frequent = [f"good,{'ab'[i % 2]}" for i in range(100)]
    Path("a.csv").write_text("\n".join(["text,label", *frequent, *(f"{t},b" for t in TEXTS)]), encoding="utf-8")
    status, out, _ = cli(capsys, "new", "a.csv")
    assert status == 0
    found = check_recipe(load_recipe("a.yaml"))
    split_off = len(found.corpus.validation)
    assert split_off < 20
    assert f"{split_off} of 160 examples" in out
    assert f"# {split_off} of 160 examples" in Path("a.yaml").read_text(encoding="utf-8")
    [finding] = [one for one in found.findings if one.kind == "small-split"]
    assert f"asks for 32 of 160 examples, {split_off} were split off" in finding.what


@pytest.mark.parametrize(
    ("name", "cells", "task"),
    [
        ("score", [f"{i / 10}" for i in range(40)], "regression"),
        ("price", [f"{i / 10}" for i in range(40)], "regression"),  # the only column that may be labels
        ("score", [f"{i % 4 / 2}" for i in range(40)], "single_label"),  # few different ones
        ("stars", [str(1 + i % 5) for i in range(40)], "ordinal"),
        ("stars", [str(2 * (i % 5)) for i in range(40)], "single_label"),  # not in a row
        ("topic", [str(i % 5) for i in range(40)], "single_label"),  # no rating
    ],
)
def test_numbers_and_ratings_are_found(name: str, cells: list[str], task: str) -> None:
    found = find_labelling({name: cells, "text": [f"a text of some words {i}" for i in range(40)]})
    assert (found.label, found.task) == (name, task)
