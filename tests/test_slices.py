"""Scores by parts of the rows: how rows are told apart, which parts are found to be worse, what a run says of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import cli, train, write_recipe, write_reviews
from scipy.stats import fisher_exact

from accel_cls.data.corpus import Corpus
from accel_cls.data.loading import load_corpus
from accel_cls.evaluation.slices.conditions import Condition, by_class, by_column, by_file, by_length, by_truncation
from accel_cls.evaluation.slices.worst_parts import find_slices
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of

# How rows are told apart


def told(conditions) -> list[tuple[str, int]]:
    return [(str(one), int(one.rows.sum())) for one in conditions]


def test_lengths_are_in_quarters() -> None:
    texts = ["x" * length for length in range(1, 101)]
    assert told(by_length([texts])) == [
        ("length 1 to 25 characters", 25),
        ("length 26 to 50 characters", 25),
        ("length 51 to 75 characters", 25),
        ("length 76 to 100 characters", 25),
    ]
    assert told(by_length([["a", "bb"], ["c", "d"]])) == [
        ("length 2 to 2 characters", 1),
        ("length 3 to 3 characters", 1),
    ]
    assert told(by_length([["same", "long"]])) == []


def test_files_are_told_apart_where_there_are_several() -> None:
    assert told(by_file(["a.csv:1", "a.csv:2", "b:c.csv:1"])) == [("file a.csv", 2), ("file b:c.csv", 1)]
    assert told(by_file(["a.csv:1", "a.csv:2"])) == []


def test_columns_are_numbers_or_their_most_frequent_values() -> None:
    assert told(by_column("price", [str(i / 10) for i in range(40)] + [" "])) == [
        ("price 0 to 0.9", 10),
        ("price 1 to 1.9", 10),
        ("price 2 to 2.9", 10),
        ("price 3 to 3.9", 10),
        ("price missing", 1),
    ]
    assert told(by_column("stars", ["5", "1", "5", ""])) == [("stars 5", 2), ("stars missing", 1), ("stars 1", 1)]
    shops = [f"shop {i}" for i in range(30)] + ["shop 29"]
    found = told(by_column("shop", shops))
    assert found[0] == ("shop shop 29", 2)
    assert found[-1] == ("shop one of 10 others", 10)
    assert sum(count for _, count in found) == 31
    assert told(by_column("class", ["a", "b"]))[0] == ("column class a", 1)
    assert told(by_column("shop", ["a", "a"])) == []


def test_a_class_and_a_cut_are_conditions_too() -> None:
    assert told(by_class([[0], [1], [0, 1], []], ["a", "b", "never"])) == [("class a", 2), ("class b", 2)]
    assert told(by_truncation(np.array([True, False, False]))) == [("truncation cut", 1), ("truncation whole", 2)]
    assert told(by_truncation(np.zeros(3, bool))) == []


# Which are worse


def drawn(seed: int, count: int = 600) -> tuple[np.random.Generator, list[Condition], np.ndarray, np.ndarray]:
    """Rows of eight shops and some lengths."""
    draw = np.random.default_rng(seed)
    shops, lengths = draw.integers(0, 8, count), draw.integers(2, 100, count)
    conditions = [*by_length([["x" * n for n in lengths]]), *by_column("shop", [f"S{shop}" for shop in shops])]
    return draw, conditions, shops, lengths


def test_score_interval_and_difference_are_those_of_the_rows() -> None:
    draw, conditions, shops, _ = drawn(0)
    right = draw.random(600) < 0.8
    found = find_slices(right, np.arange(600), conditions)
    one = next(one for one in found.single if one.conditions[0].value == "S3")
    own = right[shops == 3]
    assert (one.count, one.score) == (len(own), own.mean())
    assert one.difference == pytest.approx(own.mean() - right[shops != 3].mean())
    z, n, share = 1.959964, len(own), own.mean()
    center, margin = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert (one.low, one.high) == pytest.approx(
        ((center - margin) / (1 + z**2 / n), (center + margin) / (1 + z**2 / n))
    )
    table = [[own.sum(), (~own).sum()], [right[shops != 3].sum(), (~right[shops != 3]).sum()]]
    assert one.p == pytest.approx(fisher_exact(table).pvalue, abs=0.05)  # a permutation test is that test, but drawn


def test_nothing_is_found_where_nothing_is() -> None:
    """Of 60 runs without a worse part, 3 may tell of one; 8 or more would be one chance in 100."""
    false = 0
    for seed in range(60):
        draw, conditions, *_ = drawn(seed, 300)
        false += bool(find_slices(draw.random(300) < 0.85, np.arange(300), conditions, seed).worst)
    assert false < 8


@pytest.mark.parametrize("kind", ["right or wrong", "numbers"])
def test_a_planted_pair_is_found_and_told_once(kind: str) -> None:
    draw, conditions, shops, lengths = drawn(1, 2000)
    bad = (shops == 5) & (lengths > 50)
    right = draw.random(2000) < np.where(bad, 0.4, 0.95)
    scores = right if kind == "right or wrong" else -draw.exponential(1 + 3 * bad)
    found = find_slices(scores, np.arange(2000), conditions)
    assert found.worst
    for one in found.worst:
        assert "shop S5" in [str(condition) for condition in one.conditions], one
        assert one.difference < 0
        assert one.low <= one.score <= one.high
        assert one.corrected_p < 0.05
    assert found.looked_at > len(conditions)


def test_copies_of_a_text_are_no_more_evidence_than_one() -> None:
    """One text that is wrong, eighty times in a part of a hundred rows."""
    right = np.ones(400, bool)
    right[:80] = False
    rows = np.arange(400) < 100
    groups = np.concatenate([np.zeros(80, np.int64), np.arange(1, 321)])
    conditions = [Condition("shop", "A", rows), Condition("shop", "B", ~rows)]
    assert find_slices(right, np.arange(400), conditions).worst
    assert not find_slices(right, groups, conditions).worst


def test_small_parts_and_classes_are_scored_and_not_looked_for() -> None:
    right = np.ones(200, bool)
    right[:15] = False
    few, many = np.arange(200) < 15, np.arange(200) < 60
    conditions = [Condition("shop", "A", few), Condition("class", "B", many)]
    found = find_slices(right, np.arange(200), conditions)
    assert [one.score for one in found.single] == [0.0, 0.75]
    assert (found.looked_at, found.worst) == (0, [])


def test_what_is_all_rows_or_has_one_score_is_no_error() -> None:
    everywhere = [Condition("shop", "A", np.ones(50, bool)), Condition("shop", "B", np.arange(50) < 25)]
    found = find_slices(np.ones(50, bool), np.arange(50), everywhere)
    assert [one.p for one in found.single] == [1.0, 1.0]
    assert not found.worst


# How columns get there


def shops_of(path: Path, **more: object) -> tuple[Corpus, list[tuple[str, str]]]:
    """Text and shop of the validation examples."""
    data = {"train": str(path), "validation": 0.5, "invalid": "drop", "slices": ["shop"], **more}
    recipe = Recipe.model_validate({"name": "a", "output": "o", "data": data})
    corpus = load_corpus(recipe, task_of(recipe))
    columns = corpus.validation.columns
    assert columns is not None
    return corpus, list(zip(corpus.validation.texts["text"], columns["shop"], strict=True))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_columns_stay_with_their_rows(tmp_path: Path, ending: str) -> None:
    """Whatever is dropped and split off; a shop is a number here, and one is missing."""
    rows = [{"text": f"text {i}", "label": "ab"[i % 2], "shop": i} for i in range(40)]
    rows[3]["text"], rows[5]["shop"] = "", None
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label", "shop"])
            writer.writeheader()
            writer.writerows(rows)
    corpus, found = shops_of(path, validation=str(path))
    assert found == [(f"text {i}", "" if i == 5 else str(i)) for i in range(40) if i != 3]
    split, part = shops_of(path)
    assert {*part} < {*found}
    assert corpus.train.columns is split.train.columns is None  # what is learned from is not judged
    recipe = Recipe.model_validate(
        {"name": "a", "output": "o", "data": {"train": str(path), "validation": 0.5, "invalid": "drop"}}
    )
    assert load_corpus(recipe, task_of(recipe)).digest == split.digest


# What a run says

TRAIN = "{epochs: 3, batch_size: 16, micro_batch_tokens: 512, learning_rate: 5e-3}"


def write_shops(folder: Path) -> None:
    """Reviews of two shops, of which one has its labels at random."""
    write_reviews(folder / "reviews.csv", 600)
    draw = np.random.default_rng(0)
    with open(folder / "reviews.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(folder / "reviews.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "shop", "review", "price"])
        for i, row in enumerate(rows):
            is_odd = i % 4 == 0
            label = draw.integers(2) if is_odd else row["label"]
            writer.writerow([label, "Odd" if is_odd else "Even", row["review"], i])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slices")
    write_shops(folder)
    data = "{train: reviews.csv, text: review, validation: 0.4, test: 0.1, max_length: 32, slices: [shop, price]}"
    write_recipe(folder, data=data, train=TRAIN)
    done = train(folder)
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def results(folder: Path) -> dict:
    return json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))


def test_run_tells_of_the_shop_that_it_is_worse_on(finished: Path) -> None:
    found = results(finished)
    assert set(found["slices"]) == {"validation", "test"}
    slices = found["slices"]["validation"]
    assert (slices["score"], slices["rows"]) == ("accuracy", 240)
    assert slices["mean"] == pytest.approx(found["scores"]["accuracy"])
    by = {one["where"][0][0] for one in slices["single"]}
    assert by == {"length", "truncation", "class", "shop", "price"}
    assert ["shop", "Odd"] in [condition for one in slices["worst"] for condition in one["where"]]
    report = (finished / "run" / "report.md").read_text(encoding="utf-8")
    assert "## Slices of the validation rows" in report
    assert "## Slices of the test rows" in report
    [sentence] = [one for one in found["advice"] if "shop Odd" in one]
    assert " ".join(sentence.split()[:8]) in " ".join((finished / "said.txt").read_text(encoding="utf-8").split())
    rows = next(one for one in slices["single"] if one["where"] == [["class", "0"]])
    assert rows["rows"] == next(one for one in found["classes"] if one["name"] == "0")["examples"]


def test_slices_are_no_part_of_the_training(finished: Path) -> None:
    """A finished run that is asked for others is judged anew, and not trained."""
    before = (finished / "run" / "metrics.jsonl").read_bytes()
    done = train(finished, "data.slices=[price]")
    assert done.returncode == 0, done.stderr
    assert "is to be judged anew (data.slices: " in " ".join(done.stdout.split())
    assert (finished / "run" / "metrics.jsonl").read_bytes() == before
    by = {one["where"][0][0] for one in results(finished)["slices"]["validation"]["single"]}
    assert "shop" not in by
    again = train(finished, "data.slices=[price]")
    assert "already finished" in again.stdout


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        (
            "[shpo]",
            "there is no column 'shpo'; did you mean shop? It has 'label', 'shop', 'review', 'price'; data.slices",
        ),
        ("[review]", "data.slices: found 'review', which data.text or data.label names too; expected another column"),
        ("[shop, shop]", "data.slices: found the same column twice; expected each once"),
    ],
)
def test_columns_that_can_not_be_are_errors_before_training(tmp_path: Path, slices: str, said: str) -> None:
    write_shops(tmp_path)
    write_recipe(tmp_path, data=f"{{train: reviews.csv, text: review, slices: {slices}}}")
    done = train(tmp_path)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert not (tmp_path / "run").exists()


def test_check_says_so_too(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_shops(tmp_path)
    write_recipe(tmp_path, data="{train: reviews.csv, text: review, slices: [shpo]}")
    status, said, wrong = cli(capsys, "check", "recipe.yaml")
    assert status == 2
    assert "did you mean shop?" in " ".join((said + wrong).split())
