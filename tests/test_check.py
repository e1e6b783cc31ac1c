"""`accel-cls check` and `accel-cls plan`: what they find, count and refuse."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import cli, write_recipe

from accel_cls.authoring.check import check_recipe
from accel_cls.authoring.truncation import kept_by_choice, kept_by_length
from accel_cls.data.labels import Classes
from accel_cls.recipe import load_recipe
from accel_cls.recipe.sections.data import Data, Windows
from accel_cls.tasks import SingleLabel
from accel_cls.tokenization.encoded import Encoded

NOUNS = ["soup", "rice", "bread", "salad", "pizza", "curry", "pasta", "cake", "fish", "tea"]
PLACES = ["home", "work", "school", "the park", "the beach", "the office", "my flat", "the shop", "town", "bed"]
VERBS = ["cold", "late", "salty", "burnt", "great", "fresh", "cheap", "huge", "tiny", "warm"]


def clean(count: int = 1000) -> list[tuple[str, str]]:
    """(text, label) of so many texts that are all different and not alike."""
    texts = [
        f"{verb} {noun} brought to {place} {i * 7919 % 1009}"
        for i, (noun, place, verb) in enumerate((n, p, v) for n in NOUNS for p in PLACES for v in VERBS)
    ]
    return [(text, "good" if i % 3 else "bad") for i, text in enumerate(texts[:count])]


def write(name: str, rows: list[tuple[str, str]]) -> None:
    with open(name, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("text", "label"), *rows])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with train.csv and validation.csv, in which nothing is to be found."""
    monkeypatch.chdir(tmp_path)
    rows = clean()
    write("train.csv", rows[:700])
    write("validation.csv", list(rows[700:]))
    write_recipe(tmp_path, data="{train: train.csv, validation: validation.csv}", evaluate="{best: accuracy}")
    return tmp_path


def findings(*overrides: str) -> dict:
    """The findings of the recipe in the current folder, by kind."""
    return {finding.kind: finding for finding in check_recipe(load_recipe("recipe.yaml", overrides)).findings}


def change(name: str, rows: list[tuple[str, str]]) -> None:
    """Put these rows behind the first ones of a data file."""
    with open(name, encoding="utf-8", newline="") as file:
        old = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    write(name, old + rows)


def test_nothing_is_found_in_clean_data(folder: Path) -> None:
    # The similarity of generated texts is no accident, so that check is tested in test_similar.py.
    assert set(findings()) <= {"near-duplicate"}


def test_duplicates_are_named_with_their_rows(folder: Path) -> None:
    text, label = clean()[5]
    change("train.csv", [(text, label)])
    finding = findings()["duplicate"]
    assert finding.what == "the same text with the same label: 1 text, 2 rows"
    (case,) = finding.cases
    assert case.rows == ("train.csv:6", "train.csv:701")
    assert case.text == text


def test_conflicting_labels_are_named_with_rows_and_labels(folder: Path) -> None:
    text, label = clean()[5]
    other = {"good": "bad", "bad": "good"}[label]
    change("train.csv", [(text, other)])
    change("validation.csv", [(text, other)])
    finding = findings()["conflict"]
    assert finding.what == "the same text with different labels: 1 text, 3 rows"
    assert finding.cases[0].rows == ("train.csv:6", "train.csv:701", "validation.csv:301")
    assert finding.cases[0].labels == (label, other, other)
    assert "duplicate" not in findings()


def test_text_on_both_sides(folder: Path) -> None:
    change("validation.csv", [clean()[5], clean()[6]])
    finding = findings()["leak"]
    assert finding.what.startswith(
        "the same text in data.validation and data.train: 2 of 302 validation examples (0.7%)"
    )
    assert [case.rows for case in finding.cases] == [
        ("validation.csv:301", "train.csv:6"),
        ("validation.csv:302", "train.csv:7"),
    ]


def test_test_rows_that_the_model_or_who_chose_it_has_seen(folder: Path) -> None:
    seen, chosen_by = clean()[5], clean()[9]
    change("validation.csv", [chosen_by])
    write("test.csv", [seen, chosen_by, clean()[11]])
    found = [
        one for one in check_recipe(load_recipe("recipe.yaml", ["data.test=test.csv"])).findings if one.kind == "leak"
    ]
    said = {one.what.partition(":")[0]: [case.rows[0] for case in one.cases] for one in found}
    assert said["the same text in data.test and data.train"] == ["test.csv:1", "test.csv:2", "test.csv:3"]
    assert said["the same text in data.test and data.validation"] == ["test.csv:2"]
    assert "chosen by" in next(one.advice for one in found if "data.validation:" in one.what)


def test_our_own_split_leaks_nothing(folder: Path) -> None:
    text, label = clean()[5]
    change("train.csv", [(text, label)] * 20)
    assert "leak" not in findings("data.validation=0.3")


def test_nearly_equal_texts_on_both_sides(folder: Path) -> None:
    text, label = clean()[5]
    change("validation.csv", [(text.upper() + "!!", label)])
    rows = [case.rows for case in findings()["near-duplicate"].cases]
    assert ("validation.csv:301", "train.csv:6") in rows


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("tiny", ["好", "!!!", "…"]),
        (
            "encoding",
            ["caf\ufffd au lait", "trÃ¨s bon cafÃ©", "锟斤拷送餐", "bell\x07 rang", "naïve \x93quote\x94 here"],
        ),
        ("markup", ["so good<br/>again", "fish &amp; chips", "<p>cold</p>"]),
    ],
)
def test_odd_texts_are_named(folder: Path, kind: str, texts: list[str]) -> None:
    change("train.csv", [(text, "good") for text in texts])
    finding = findings()[kind]
    assert [case.rows for case in finding.cases] == [(f"train.csv:{701 + i}",) for i in range(len(texts))]
    assert [case.text for case in finding.cases] == texts


def test_pairs_with_an_empty_half_are_named(folder: Path) -> None:
    rows = [(f"first {i} one", f"second {i * 31} two", "ab"[i % 2]) for i in range(400)]
    rows[7], rows[8] = ("", "x y", "b"), ("x y", " ", "a")
    with open("pairs.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("q1", "q2", "label"), *rows])
    found = findings("data.train=pairs.csv", "data.validation=pairs.csv", "data.text=[q1, q2]")["half-pair"]
    assert found.what == "pairs of which one text is empty: 4"
    assert [case.rows for case in found.cases] == [("pairs.csv:8",), ("pairs.csv:9",)] * 2


def test_place_of_the_damage_is_shown(folder: Path) -> None:
    change("train.csv", [("\x08fine", "good"), ("x" * 100 + " caf\ufffd " + "y" * 100, "bad")])
    shown = [case.excerpt for case in findings()["encoding"].cases]
    assert shown == ["\\x08fine", "…" + "x" * 16 + " caf\ufffd " + "y" * 38 + "…"]


@pytest.mark.parametrize(
    "text", ["a < b and b > c", "R&D; fine", "naïve café, très bon", "1 < 2", "好吃", "👍👍", "…ok"]
)
def test_innocent_texts_are_not_named(folder: Path, text: str) -> None:
    change("train.csv", [(text, "good")])
    assert not {"tiny", "encoding", "markup"} & set(findings())


def test_unusable_rows_are_errors_and_the_rest_is_still_looked_at(folder: Path) -> None:
    change("train.csv", [("  ", "good"), ("fine", ""), clean()[5]])
    report = check_recipe(load_recipe("recipe.yaml"))
    assert report.exit_status == 2
    errors = [finding for finding in report.findings if finding.is_error]
    assert [finding.what for finding in errors] == [
        "data.train: the text is empty in 1 row",
        "data.train: the label is missing in 1 row",
    ]
    assert [case.rows for finding in errors for case in finding.cases] == [("train.csv:701",), ("train.csv:702",)]
    assert "duplicate" in {finding.kind for finding in report.findings}
    assert check_recipe(load_recipe("recipe.yaml", ["data.invalid=drop"])).exit_status == 1


def test_classes_that_are_missing_rare_alike_and_uneven(folder: Path) -> None:
    change("train.csv", [(f"a dish without a name {i}", "Bad") for i in range(3)])
    change("train.csv", [(f"a dish with a name {i}", "odd") for i in range(4)])
    found = findings()
    assert found["alike-classes"].what.endswith("'Bad' and 'bad'")
    assert found["rare-class"].what == "classes with fewer than 10 training examples: Bad (3), odd (4)"
    assert found["missing-class"].what == "data.validation has no example of Bad, odd: can't be evaluated"
    assert found["imbalance"].what == "good has 155 times the examples of Bad (466 and 3)"
    assert "f1_macro" in found["imbalance"].advice
    assert "try loss.logit_adjustment=0.35" in found["imbalance"].advice


@pytest.mark.parametrize(
    ("done", "left"),
    [
        (["evaluate.best=f1_macro", "evaluate.metrics=[f1_macro]"], "try loss.logit_adjustment=0.35"),
        (["loss.logit_adjustment=0.5"], "evaluate by f1_macro (evaluate.metrics, evaluate.best)"),
        (["loss.logit_adjustment=0.5", "evaluate.best=f1_macro", "evaluate.metrics=[f1_macro]"], None),
        (["train.class_weights=balanced", "evaluate.best=f1_macro", "evaluate.metrics=[f1_macro]"], None),
    ],
)
def test_uneven_classes_are_told_where_something_is_left_to_do(
    folder: Path, done: list[str], left: str | None
) -> None:
    change("train.csv", [(f"a dish without a name {i}", "poor") for i in range(12)])
    found = {one.kind: one for one in check_recipe(load_recipe("recipe.yaml", done)).findings}
    if left is None:
        assert "imbalance" not in found
    else:
        assert found["imbalance"].advice.endswith(f"): {left}")


@pytest.mark.parametrize(
    "mark", ["\u200b", "\u2060", "\u200d", "\u200e", "\u00ad", "\ufe0f", "\u034f", "\u3164", "\U000e0041"]
)
def test_classes_that_differ_in_what_does_not_show(folder: Path, capsys: pytest.CaptureFixture, mark: str) -> None:
    labels = ("bad", "good", f"go{mark}od")
    for name in ("train.csv", "validation.csv"):
        write(name, [(f"{text} {name}", labels[i % 3]) for i, (text, _) in enumerate(clean(300))])
    found = findings()["alike-classes"]
    pair = f"'good' and 'go{mark.encode('ascii', 'backslashreplace').decode()}od'"
    assert found.what == f"classes that differ in case, width, spaces or what does not show only: {pair}"
    _, out, err = cli(capsys, "new", "train.csv")
    assert f"note          {found.what}; {found.advice}" in out, err
    assert (mark in out) == (mark in "\u200d\ufe0f\U000e0041"), "what emoji and scripts are joined by stays as it is"


@pytest.mark.parametrize("labels", [("-1", "1"), ("C", "C++"), ("<30", ">30")])
def test_signs_tell_classes_apart(folder: Path, labels: tuple[str, str]) -> None:
    for name in ("train.csv", "validation.csv"):
        write(name, [(f"{text} {name}", labels[i % 2]) for i, (text, _) in enumerate(clean(300))])
    assert "alike-classes" not in findings()


def test_labels_that_fit_no_row_are_named(folder: Path, capsys: pytest.CaptureFixture) -> None:
    status, _, err = cli(capsys, "check", "recipe.yaml", "data.labels=[x, y]")
    assert status == 2
    assert "no usable row is left of 700: the label 'bad' is not among x, y in 234 rows: train.csv:1, " in err


def test_small_validation(folder: Path) -> None:
    finding = findings("data.validation=0.2")["small-validation"]
    assert finding.what == "140 validation examples: an accuracy of 0.90 is known to ± 0.05 only"


def test_truncation_names_the_class_and_what_would_help(folder: Path) -> None:
    write("train.csv", [(text + " and so on" * 20 * (label == "bad"), label) for text, label in clean(700)])
    finding = findings("data.max_length=32")["truncation"]
    assert finding.what.startswith("data.max_length 32 cuts 23.4% of the texts")
    assert finding.what.endswith("most of all bad, 70.1% of its texts")
    assert finding.advice == "data.max_length=128 cuts 0.0% of the texts"  # the end says what the start says
    write("train.csv", [("so " * 40 + text, label) for text, label in clean(700)])
    advice = findings("data.max_length=32")["truncation"].advice
    assert "data.truncate=middle keeps 100% of the cut texts' different tokens instead of 18%" in advice
    write("train.csv", [("so on " * 40 + text, label) for text, label in clean(700)])
    windows = "data.windows={overlap: 0, most: 2}"
    finding = findings("data.max_length=16", windows)["truncation"]
    assert re.fullmatch(r"2 windows of 16 tokens leave \d\d.\d% of the tokens of longer texts unread", finding.what)
    assert "truncation" not in findings("data.max_length=64", windows)


def test_idle_setting(folder: Path) -> None:
    finding = findings("model.dropout=0", "model.scratch.dropout=0.5")["idle-setting"]
    assert finding.what == "model.scratch.dropout: not used, since model.dropout is set"


def test_model_that_can_not_be_loaded_is_an_error_and_the_audit_is_given(folder: Path) -> None:
    change("train.csv", [clean()[5]])
    report = check_recipe(load_recipe("recipe.yaml", ["model={name: ./nowhere, scratch: null}"]))
    assert report.exit_status == 2
    assert report.errors[0].startswith("model.name: the tokenizer of the folder, which does not exist, ")
    assert "duplicate" in {finding.kind for finding in report.findings}
    assert report.forecast is None


# What lengths keep, by hand


def encoded(*texts: list[int]) -> Encoded:
    offsets = np.cumsum([0, *map(len, texts)])
    return Encoded(np.concatenate([np.array(text, np.int32) for text in texts]), None, offsets, 0)


def test_kept_by_length() -> None:
    lengths, labels = np.array([10, 40, 100, 600]), np.array([0, 0, 1, 1])
    classes = Classes(*2 * [("a", "b", "c")])
    kept = {k.max_length: k for k in kept_by_length(lengths, labels, classes, SingleLabel(), 50)}
    assert list(kept) == [32, 50, 64, 128, 256, 512]
    assert kept[32].cut == 0.75
    assert kept[50].tokens == (10 + 40 + 50 + 50) / 750
    assert kept[50].by_class == (0.0, 1.0, 0.0)
    assert kept[512].by_class == (0.0, 0.5, 0.0)


def test_kept_by_choice() -> None:
    data = Data(train="a.csv", max_length=8)
    found = kept_by_choice(encoded([1, 2], [1] * 7 + [2, 3, 4, 5, 6, 7, 8, 9, 10], [1] * 24 + [2, 3]), data)
    by_name = {choice.name: choice for choice in found}
    assert list(by_name) == ["end", "start", "middle", "windows"]
    assert [choice.is_chosen for choice in found] == [True, False, False, False]
    assert [by_name[way].tokens for way in ("end", "start", "middle")] == [16 / 42] * 3
    assert by_name["end"].different == pytest.approx((2 / 10 + 1 / 3) / 2)
    assert by_name["start"].different == pytest.approx((8 / 10 + 3 / 3) / 2)
    assert by_name["middle"].different == pytest.approx((7 / 10 + 3 / 3) / 2)
    # Windows of 8 that have 2 in common: of 16 tokens three, of 26 four.
    assert (by_name["windows"].tokens, by_name["windows"].different, by_name["windows"].passes) == (1, 1, 3.5)
    two = data.model_copy(update={"windows": Windows(overlap=0, most=2), "truncate": "start"})
    chosen = next(choice for choice in kept_by_choice(encoded([1] * 24 + [2, 3]), two) if choice.is_chosen)
    assert (chosen.name, chosen.tokens, chosen.different, chosen.passes) == ("windows", 16 / 26, 1, 2)
    assert kept_by_choice(encoded([1, 2]), data) == []


# The command


def test_command_shows_rows_advice_and_plan(folder: Path, capsys: pytest.CaptureFixture) -> None:
    text, label = clean()[5]
    change("train.csv", [(text, label)] * 3)
    status, out, err = cli(capsys, "check", "recipe.yaml", "--rows", "1", "data.validation=0.2")
    assert (status, err) == (1, "")
    assert "duplicate  the same text with the same label: 1 text, 4 rows" in out
    assert f"train.csv:6, train.csv:701, train.csv:702, train.csv:703  “{text}”" in out
    assert "→ keep one row each" in out
    assert "updates       " in out
    assert out.rstrip().splitlines()[-1].endswith(" findings")


def test_command_with_json(folder: Path, capsys: pytest.CaptureFixture) -> None:
    change("train.csv", [clean()[5], ("", "good")])
    status, out, _ = cli(capsys, "check", "recipe.yaml", "--json")
    report = json.loads(out)
    assert status == report["exit_status"] == 2
    kinds = {finding["kind"]: finding for finding in report["findings"]}
    assert kinds["duplicate"]["cases"] == [
        {"rows": ["train.csv:6", "train.csv:701"], "text": clean()[5][0], "labels": [], "excerpt": ""}
    ]
    assert kinds["invalid"]["is_error"] is True
    assert report["plan"]["updates"] == 44
    assert report["data"]["classes"]["train"] == {"bad": 234, "good": 467}
    assert {kept["max_length"] for kept in report["max_length"]} >= {32, 128}


def test_command_tells_mistakes_in_the_recipe(folder: Path, capsys: pytest.CaptureFixture) -> None:
    status, out, err = cli(capsys, "check", "recipe.yaml", "train.epoch=1", "seed=x")
    assert (status, out) == (2, "")
    assert err == (
        "override 'seed=x'  seed: found 'x'; expected a whole number from 0 to 4294967295\n"
        "override 'train.epoch=1'  train.epoch: unknown key; did you mean epochs?\n"
    )
    status, out, _ = cli(capsys, "check", "recipe.yaml", "train.epoch=1", "--json")
    (error,) = json.loads(out)["errors"]
    assert (status, error["key"], error["source"]) == (2, "train.epoch", "override")


def test_command_tells_what_is_wrong_with_the_data(folder: Path, capsys: pytest.CaptureFixture) -> None:
    status, _, err = cli(capsys, "check", "recipe.yaml", "data.train=nowhere.csv")
    assert status == 2
    assert err.endswith("nowhere.csv: there is no such data file\n")
    status, out, _ = cli(capsys, "check", "recipe.yaml", "data.text=words", "--json")
    assert status == 2
    assert "there is no column 'words'" in json.loads(out)["errors"][0]["message"]


def test_warmup_that_is_longer_than_the_run_is_refused(folder: Path, capsys: pytest.CaptureFixture) -> None:
    status, out, _ = cli(capsys, "check", "recipe.yaml", "train.warmup=44")
    assert status == 2
    assert "train.warmup: found 44 updates; expected less than the 44 of the run (2 epochs × 22)" in out
    assert cli(capsys, "check", "recipe.yaml", "train.warmup=43")[0] in (0, 1)


def test_plan_divides_the_work(folder: Path, capsys: pytest.CaptureFixture) -> None:
    status, out, _ = cli(capsys, "plan", "recipe.yaml", "--processes", "2", "--json")
    plan = json.loads(out)
    assert (status, plan["processes"], plan["updates"], plan["updates_per_epoch"]) == (0, 2, 44, 22)
    assert plan["tokens_per_epoch"] == 7280
    assert (plan["cutting"]["micro_batches"], plan["cutting"]["busy"]) == (2.0, 1.0)
    assert plan["cutting"]["padding"] == pytest.approx(1 - 7280 / (21 * 2 * 192 + 2 * 160))
    rates = {point["update"]: point["rate"] for point in plan["learning_rate"]}
    assert (len(rates), max(rates)) == (21, 44)
    for update, rate in ((1, 1e-2 * 1 / 6), (5, 1e-2 * 5 / 6), (20, 1e-2 * 25 / 39), (44, 1e-2 * 1 / 39)):
        assert rates[update] == pytest.approx(rate), "rises over 5 updates, falls over 39"
    status, out, _ = cli(capsys, "plan", "recipe.yaml", "hardware=cpu_multi")
    assert "2 processes" in out


def test_plan_refuses_what_training_would(folder: Path, capsys: pytest.CaptureFixture) -> None:
    change("train.csv", [("", "good")])
    status, _, err = cli(capsys, "plan", "recipe.yaml")
    assert status == 2
    assert "the text is empty in 1 row: train.csv:701" in err
