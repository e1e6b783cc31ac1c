"""Texts that are changed: what becomes of them, which are counted, what a run says of a model's answers to them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from conftest import train, train_by, write_recipe, write_reviews

from accel_cls.data.examples import Examples
from accel_cls.data.texts import Texts
from accel_cls.evaluation.behaviour.transformations import TRANSFORMATIONS
from accel_cls.evaluation.behaviour.variations import behaviour_results, vary
from accel_cls.tasks import MultiLabel, SingleLabel
from accel_cls.wording import chinese, english
from accel_cls.wording.languages import languages_of
from accel_cls.wording.script import other_script

# What becomes of a text


def changed(name: str, text: str, language: str = "Chinese") -> str:
    [transformation] = [one for one in TRANSFORMATIONS if one.name == name]
    return transformation.apply(text, language, Random(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "opposite"),
    [
        ("送餐很快，味道也不错", "送餐不快，味道也不怎么样"),
        ("蔬菜不好吃", "蔬菜很好吃"),
        ("太慢了，等了两个小时", "不慢，等了两个小时"),
        ("都挺好吃的，还会再点", "都不好吃，不会再点"),
        ("好难吃，一点也不新鲜", "不难吃，很新鲜"),
        ("以后不会再来", "以后还会再来"),
        ("说了不要香菜和辣", "说了不要香菜和辣"),  # denied already, by what stands before
        ("没有上次好吃", "没有上次好吃"),
        ("还不如煮点方便面", "还不如煮点方便面"),
        ("越来越难吃", "越来越难吃"),
        ("等了两个小时", "等了两个小时"),
    ],
)
def test_chinese_opposite(text: str, opposite: str) -> None:
    assert chinese.negated(text) == opposite


@pytest.mark.parametrize(
    ("text", "opposite"),
    [
        ("The food was great.", "The food was not great."),
        ("It isn't good", "It is good"),
        ("It's not good", "It's good"),
        ("I can't recommend it", "I can recommend it"),
        ("I really love this place", "I do not love this place"),
        ("Great pizza", "Not great pizza"),
        ("We enjoyed the movie", "We did not enjoy the movie"),
        ("What is it about?", "What is it about?"),
        ("Two hours", "Two hours"),
    ],
)
def test_english_opposite(text: str, opposite: str) -> None:
    assert english.negated(text) == opposite


@pytest.mark.parametrize(
    ("simplified", "traditional"),
    [
        ("服务态度太差了", "服務態度太差了"),
        ("头发里面，面条后来没发现", "頭髮裡面，麵條後來沒發現"),
        ("皇后大道三公里", "皇后大道三公里"),
        ("准时送达，饼干很干净", "準時送達，餅乾很乾淨"),
    ],
)
def test_scripts_go_both_ways(simplified: str, traditional: str) -> None:
    assert other_script(simplified) == traditional
    assert other_script(traditional) == simplified


def test_marks_go_but_numbers_stay() -> None:
    assert changed("punctuation removed", "很快！3.5分，10:30到；“赞”。") == "很快3.5分10:30到赞"
    assert changed("punctuation removed", "Fast, 3.5 stars (really)!", "English") == "Fast 3.5 stars really"


def test_width_goes_both_ways() -> None:
    assert changed("full or half width", "很快，真的！") == "很快,真的!"
    assert changed("full or half width", "很快,3.5分...") == "很快，３．５分。。。"


def test_a_sentence_ends_before_another_one() -> None:
    assert changed("text twice", "很快") == "很快。很快"
    assert changed("text twice", "很快！") == "很快！很快！"
    assert changed("text twice", "Fast", "English") == "Fast. Fast"
    assert re.fullmatch("很快。.+。", changed("neutral sentence appended", "很快"))


@pytest.mark.parametrize("text", ["送餐速度很快，味道也好吃", "the delivery was quick and friendly"])
def test_a_typo_changes_little_and_no_negation(text: str) -> None:
    language = "English" if text.isascii() else "Chinese"
    swapped = changed("letters swapped", text, language)
    assert swapped != text
    assert sorted(swapped) == sorted(text)
    if language == "Chinese":
        assert sum(a != b for a, b in zip(text, changed("homophones", text), strict=True)) == 1
    assert all(chinese.swapped("不好", Random(seed)) == "不好" for seed in range(20))


def test_languages() -> None:
    found = languages_of(
        ["很好吃", "KFC很好吃", "とても美味しい", "The food was very good", "很 good food here", "123"]
    )
    assert found == ["Chinese", "Chinese", "other", "English", "English", "other"]
    german = ["Das Essen war sehr gut und kam schnell", "Wir kommen gerne wieder"]
    assert languages_of(german) == ["other", "other"]
    assert changed("negation", german[0], "other") == german[0]
    assert changed("upper case", "gut", "other") == "GUT"


# Which texts are asked about


def examples(texts: list[str], **more: list[str]) -> Examples:
    rows = tuple(f"a.csv:{i + 1}" for i in range(len(texts)))
    return Examples(Texts.of({"text": texts, **more}), np.zeros(len(texts), np.int64), rows)


def test_a_sample_is_drawn_by_seed_and_what_stays_is_not_counted() -> None:
    rows = examples([f"第{i}次点，很好吃" for i in range(30)] * 2)
    one, again, other = vary(rows, 10, 1), vary(rows, 10, 1), vary(rows, 10, 2)
    assert (one.changed, one.sample.rows) == (again.changed, again.sample.rows)
    assert one.sample.rows != other.sample.rows
    texts = one.sample.texts["text"]
    assert len(set(texts)) == len(texts) == 10  # copies are drawn once
    assert all(texts[variation.original] != variation.text for variation in one.changed)
    asked = one.examples()
    assert asked.texts["text"][:10] == texts
    assert asked.texts["text"][10:] == [variation.text for variation in one.changed]
    assert "upper case" not in {variation.transformation.name for variation in one.changed}
    assert len(vary(rows, 1000, 1).sample) == 30


def test_of_pairs_the_first_text_is_changed() -> None:
    asked = vary(examples(["很好吃", "太慢了"], pair=["一", "二"]), 10, 1)
    found = asked.examples()
    assert found.texts.column_names == ["text", "pair"]
    originals = ["一", "二"]
    assert found.texts["pair"] == originals + [originals[one.original] for one in asked.changed]


def test_answers_that_differ_are_counted() -> None:
    """A model by which "不" makes a text bad."""
    variations = vary(examples([f"第{i}次点，很好吃" for i in range(20)]), 20, 1)
    good = np.array(["不" not in text for text in variations.examples().texts["text"]])
    logits = np.stack([np.where(good, -1.0, 1.0), np.where(good, 1.0, -1.0)], 1).astype(np.float32)
    found = behaviour_results(variations, logits, SingleLabel(), ["bad", "good"])
    tests = {one["name"]: one for one in found["tests"]}
    assert (found["texts"], found["measure"]) == (20, "labels that differ")
    assert (tests["negation"]["differ"], tests["negation"]["texts"]) == (1.0, 20)
    assert tests["negation"]["interval"][0] == pytest.approx(1 / (1 + 1.959964**2 / 20), abs=1e-6)  # Wilson's
    assert tests["emoji appended"]["differ"] == 0
    shown = tests["negation"]["examples"]
    assert len(shown) == 3
    assert (shown[0]["predicted"], shown[0]["predicted_changed"]) == ("good", "bad")
    assert shown[0]["probability_change"] == pytest.approx(np.tanh(1.0), abs=1e-6)
    several = behaviour_results(variations, logits, MultiLabel(), ["bad", "good"])
    assert {one["name"]: one["differ"] for one in several["tests"]}["negation"] == 1.0


# What a run says


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def test_run_asks_its_kept_model_by_all_processes(tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", 240)
    write_recipe(tmp_path, evaluate="{behaviour: 12}")
    for done in (train(tmp_path, "output=one"), train_by(2, tmp_path, "output=two")):
        assert done.returncode == 0, done.stderr
    one, two = (results(tmp_path / name)["behaviour"] for name in ("one", "two"))
    assert one["texts"] == two["texts"] == 12
    names = [test["name"] for test in one["tests"]]
    assert names == [test["name"] for test in two["tests"]]
    assert {"punctuation removed", "homophones", "negation"} <= {*names}
    assert "upper case" not in names
    assert "## Behaviour" in (tmp_path / "one" / "report.md").read_text(encoding="utf-8")


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", 60)
    write_recipe(tmp_path, evaluate="{behaviour: 0}")
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path / "run")["behaviour"] is None
    assert "## Behaviour" not in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
