"""Nearly equal texts: what is found is what comparing every pair finds."""

import random
import re

import pytest

from accel_cls.evaluation.suspicion import similar
from accel_cls.evaluation.suspicion.similar import SIMILAR, normal_form, similar_pairs

WORDS = re.findall(r"\S+", "the parcel came late and wet but your people were kind 送餐 很快 味道 不错 骑手 热情")


def brute_force(left, right):
    """Each left text's highest similarity to a right text, all pairs compared."""

    def grams(text):
        form = normal_form(text)
        return {form[i : i + 3] for i in range(len(form) - 2)} if len(form) >= 10 else set()

    found = {}
    for i, a in enumerate(left):
        for b in right:
            mine, theirs = grams(a), grams(b)
            alike = len(mine & theirs) / len(mine | theirs) if mine and theirs else 0.0
            if normal_form(a) and normal_form(a) == normal_form(b):
                alike = 1.0
            if alike >= SIMILAR:
                found[i] = max(found.get(i, 0.0), alike)
    return found


def sentences(count, seed):
    """Texts of which many are small changes of others."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        if made and draw.random() < 0.5:
            words = draw.choice(made).split()
            words[draw.randrange(len(words))] = draw.choice(WORDS)
        else:
            words = draw.choices(WORDS, k=draw.randint(1, 14))
        made.append(" ".join(words))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_finds_what_comparing_all_pairs_finds(seed, monkeypatch):
    monkeypatch.setattr(similar, "_CHUNK", 500)  # many parts
    texts = sentences(300, seed)
    left, right = texts[::3], [text for i, text in enumerate(texts) if i % 3]
    pairs, compared = similar_pairs(left, right)
    expected = brute_force(left, right)
    assert len(expected) > 10
    assert {pair.left: pair.similarity for pair in pairs} == pytest.approx(expected)
    assert compared == len(left)
    for pair in pairs:
        assert brute_force([left[pair.left]], [right[pair.right]])[0] == pytest.approx(pair.similarity)


def test_case_width_spaces_and_signs_make_no_difference():
    (pair,), _ = similar_pairs(["Ｇｏｏｄ， 好吃!!"], ["nothing", "good 好吃。"])
    assert (pair.left, pair.right, pair.similarity) == (0, 1, 1.0)


def test_short_texts_must_be_equal():
    assert similar_pairs(["太慢了"], ["太慢了吧"])[0] == []


def test_texts_without_letters_are_like_nothing():
    assert similar_pairs(["!!!", "", "。。。"], ["!!!", "…"])[0] == []


def test_nothing_to_compare():
    assert similar_pairs([], ["a"]) == ([], 0)
    assert similar_pairs(["a"], [])[0] == []


def test_only_a_part_is_compared_where_there_is_too_much_alike(monkeypatch):
    monkeypatch.setattr(similar, "_MOST_CANDIDATES", 1000)
    left = [f"the parcel came late and wet, number {i}" for i in range(50)]
    pairs, compared = similar_pairs(left, left[::-1])
    assert compared == 5, "every tenth: all of them would be 10 times as many candidates"
    assert len(pairs) == 50  # those of equal normal form are found in any case
