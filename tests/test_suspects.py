"""`accel-cls suspects`: labels that were made wrong on purpose come first, with what they should be."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from conftest import BAD, GOOD, cli, train, write_recipe
from run_results import read_csv

from accel_cls.data.examples import Examples
from accel_cls.data.texts import Texts
from accel_cls.evaluation.suspicion.confident import doubts_of
from accel_cls.evaluation.suspicion.twins import likeness, twins_with_other_labels

WRONG = [7, 31, 58, 90, 111, 160, 203, 239]  # data rows, from 1, whose label is made the other one


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """240 reviews, each of five phrases that decide its label; of eight the label is wrong."""
    draw = random.Random(0)
    lines = ["label,review"]
    for row in range(1, 241):
        is_good = row % 3 == 0
        text = "，".join(draw.choice(GOOD if is_good else BAD) for _ in range(5))
        lines.append(f"{int(is_good != (row in WRONG))},{text}{row}")
    (tmp_path / "reviews.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_recipe(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_wrong_labels_are_the_first_suspects_of_a_recipe(work: Path, capsys: pytest.CaptureFixture) -> None:
    status, said, error = cli(capsys, "suspects", "recipe.yaml", "--out", "suspects.csv")
    assert status == 0, error
    first = read_csv(work / "suspects.csv")[: len(WRONG)]
    assert {row["row"] for row in first} == {f"reviews.csv:{row}" for row in WRONG}
    lines = (work / "reviews.csv").read_text(encoding="utf-8").splitlines()
    for row in first:
        number = int(row["row"].partition(":")[2])
        assert row["text"] == lines[number].partition(",")[2]
        assert row["suggestion"] == ("GOOD" if number % 3 == 0 else "BAD")
        assert row["label"] != row["suggestion"]
        assert float(row["p(label)"]) < float(row["p(suggestion)"])
    assert "naive Bayes on n-grams, in 10 folds" in said
    assert f"reviews.csv:{WRONG[0]}" in said
    assert "knows little" not in said
    assert not (work / "run").exists()
    again, found, _ = cli(capsys, "suspects", "recipe.yaml", "--json")
    assert again == 0
    found = json.loads(found)
    assert found["rows"] == 240
    assert found["estimated_wrong"] == pytest.approx(len(WRONG), abs=2)
    assert [one["row"] for one in found["suspects"][:8]] == [row["row"] for row in first]


def test_judge_that_knows_nothing_is_told(work: Path, capsys: pytest.CaptureFixture) -> None:
    draw = random.Random(2)
    lines = [f"{draw.randrange(2)},{draw.choice(GOOD)}，{draw.choice(BAD)}{row}" for row in range(200)]
    (work / "reviews.csv").write_text("\n".join(["label,review", *lines]) + "\n", encoding="utf-8")
    status, said, error = cli(capsys, "suspects", "recipe.yaml")
    assert status == 0, error
    assert "its doubts tell more of it than of them" in " ".join(said.split())


def test_folds_of_a_run_judge_its_rows(work: Path, capsys: pytest.CaptureFixture) -> None:
    ngrams = "{scratch: {architecture: ngrams, hidden: 16}}"
    write_recipe(
        work, model=ngrams, train="{epochs: 6, batch_size: 16, micro_batch_tokens: 2048, learning_rate: 2e-2}"
    )
    done = train(work, "repeat.folds=3")
    assert done.returncode == 0, done.stderr
    status, said, error = cli(capsys, "suspects", "run")
    assert status == 0, error
    assert "the 3 models of run, each row by the one that has not seen it" in said
    first = {row["row"] for row in read_csv(work / "run" / "suspects.csv")[: len(WRONG)]}
    assert len(first & {f"reviews.csv:{row}" for row in WRONG}) >= len(WRONG) - 1
    inner, said, _ = cli(capsys, "suspects", "run/fold-1")
    assert inner == 0
    assert "naive Bayes on n-grams" in said, "one fold's run judges a third of the rows only"
    assert (work / "run" / "fold-1" / "suspects.csv").is_file()
    for folder in ("run", "run/fold-1"):
        page = (work / folder / "report.html").read_text(encoding="utf-8")
        assert f"names {len(read_csv(work / folder / 'suspects.csv')):,} rows that somebody should look at" in page


def test_same_and_similar_texts_with_other_labels_and_texts_like_no_other_are_told(
    work: Path, capsys: pytest.CaptureFixture
) -> None:
    lines = (work / "reviews.csv").read_text(encoding="utf-8").splitlines()
    label, _, text = lines[1].partition(",")
    other = str(1 - int(label))
    long = "这一家的味道很差分量少骑手态度差洒了再也不点了"
    lines += [f"{other},{text}", f"0,{long}", f"1,{long}！", "1,quite another language"]
    (work / "reviews.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _, said, error = cli(capsys, "suspects", "recipe.yaml", "--json", "--outliers", "1")
    kinds = {one["row"]: one for one in json.loads(said)["suspects"]}
    for row, twin in (("reviews.csv:1", "reviews.csv:241"), ("reviews.csv:241", "reviews.csv:1")):
        assert "same text" in kinds[row]["kinds"], error
        assert f"{twin} is " in kinds[row]["why"]
    for row, twin in (("reviews.csv:242", "reviews.csv:243"), ("reviews.csv:243", "reviews.csv:242")):
        assert "near-duplicate" in kinds[row]["kinds"]
        assert f"nearly: {twin} is " in kinds[row]["why"]
    assert [row for row, one in kinds.items() if "outlier" in one["kinds"]] == ["reviews.csv:244"]


def test_of_several_classes_a_text_each_is_doubted(work: Path, capsys: pytest.CaptureFixture) -> None:
    draw = random.Random(1)
    words = {"food": GOOD[:4], "speed": BAD[:4], "price": ["太贵了", "很便宜", "不值这个价", "物超所值"]}
    records = []
    for _ in range(300):
        classes = sorted(draw.sample(sorted(words), draw.choice([1, 2])))
        text = "，".join(draw.choice(words[name]) for name in classes for _ in range(3))
        records.append({"text": text + str(len(records)), "labels": classes})
    true = records[5]["labels"]
    records[5]["labels"] = ["food"] if "food" not in true else ["speed"]
    (work / "texts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    write_recipe(work, data="{train: texts.jsonl, label: labels}", task="multi_label")
    _, said, error = cli(capsys, "suspects", "recipe.yaml", "--json")
    first = json.loads(said)["suspects"][0]
    assert first["row"] == "texts.jsonl:6", error
    assert sorted(json.loads(first["suggestion"])) == true
    assert "not " in first["why"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["recipe.yaml", "--by", "magic"], "--by: found 'magic'; expected auto, ngrams or encoder"),
        (["recipe.yaml", "--by", "encoder"], "--by: found encoder, but the recipe names none in model.name"),
        (["recipe.yaml", "--out", "a.txt"], "--out a.txt: expected a file that ends in .csv"),
        (["."], ".: found no run; expected a run folder such as runs/food, or a recipe"),
        (["recipe.yaml", "task=regression"], "task: found regression, whose labels are numbers"),
    ],
)
def test_what_makes_no_sense_is_told(
    work: Path, capsys: pytest.CaptureFixture, arguments: list[str], said: str
) -> None:
    if "task=regression" in arguments:
        write_recipe(work, data="{train: reviews.csv, text: review}")
    status, _, error = cli(capsys, "suspects", *arguments)
    assert status == 2
    assert said in " ".join(error.split())


def test_pretrained_encoder_judges_where_asked(work: Path, capsys: pytest.CaptureFixture) -> None:
    from tiny import write_model

    write_model(work / "encoder")
    status, said, error = cli(capsys, "suspects", "recipe.yaml", "model.name=./encoder", "--by", "encoder")
    assert status == 0, error
    assert "logistic regression on what" in said


def test_confident_learning_counts_as_in_the_paper() -> None:
    """Of five examples labelled 0, three are at its threshold, 0.6, or above; two at that of class 1, 0.525."""
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.4, 0.6], [0.6, 0.4], [0.45, 0.55], [0.5, 0.5]])
    given = np.array([0, 0, 0, 0, 0, 1, 1])
    doubts = doubts_of(given, probabilities)
    threshold = (probabilities[:5, 0].mean(), probabilities[5:, 1].mean())
    assert threshold == pytest.approx((0.6, 0.525))
    assert doubts.joint == pytest.approx(np.array([[3, 2], [0, 2]]))
    assert doubts.wrong == pytest.approx(2)
    assert doubts.suggestion.tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert doubts.is_doubted.tolist() == [False, False, True, True, False, False, False]
    assert doubts.confidence.tolist() == [0.9, 0.7, 0.4, 0.4, 0.6, 0.55, 0.5]


def test_twins_are_found_whatever_the_number_of_labels() -> None:
    texts = [
        "送餐很快，味道也好，还会再点的",
        "送餐很快味道也好还会再点的！",
        "老板人很好，分量也足，下次再来",
        "别的",
    ] * 3
    labels = np.array([0, 5, 6, 1, 0, 5, 2, 1, 0, 5, 6, 1])
    found = {twin.one: twin.other for twin in twins_with_other_labels(texts, labels)}
    assert set(found) == {0, 1, 2, 4, 5, 6, 8, 9, 10}
    assert all(labels[one] != labels[other] for one, other in found.items())


def test_text_like_no_other_is_the_least_alike() -> None:
    texts = [f"{a}，{b}" for a in GOOD for b in GOOD] + ["zzz", "zzz"]
    examples = Examples(Texts.of({"text": texts}), np.zeros(len(texts), np.int64), tuple(map(str, range(len(texts)))))
    alike = likeness(examples, 0)
    assert alike[-2:].tolist() == [0, 0], "a copy is no other text"
    assert alike[:-2].min() > 0.3
