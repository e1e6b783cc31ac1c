"""Baselines on the same rows, how a model compares with them, and what a finished run is told."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import cli, train, write_recipe
from scipy.stats import chi2
from sentences import in_empty_folder as in_empty_folder
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.data.loading import load_corpus
from accel_cls.evaluation import baselines as module
from accel_cls.evaluation.baselines import Baseline, baselines
from accel_cls.evaluation.statistics.paired import paired_difference
from accel_cls.recipe import load_recipe
from accel_cls.reporting.verdict import advice, verdict
from accel_cls.tasks import task_of
from accel_cls.tokenization.cache import cache_folder

TASTE = {"good": ["lovely soup", "tasty rice", "great cake"], "bad": ["cold soup", "stale rice", "awful cake"]}


def write_corpus(texts: list[tuple[str, str]], extra: str = "", task: str = "single_label") -> Corpus:
    lines = ["text,label", *(f'"{text}","{label}"' for text, label in texts)]
    Path("a.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    Path("a.yaml").write_text(f"name: a\noutput: a\ntask: {task}\ndata: {{train: a.csv{extra}}}\n", encoding="utf-8")
    recipe = load_recipe("a.yaml")
    return load_corpus(recipe, task_of(recipe))


def some_texts(count: int = 300, times: int = 1) -> list[tuple[str, str]]:
    """Every third of them good; the words tell."""
    draw = np.random.default_rng(0)
    labels = ["good" if i % 3 == 0 else "bad" for i in range(count)]
    return [(f"{draw.choice(TASTE[label])} today, order {i}", label) for i, label in enumerate(labels)] * times


def accuracy(corpus: Corpus, name: str) -> float:
    task = corpus.reader
    [one] = [one for one in baselines(corpus, task, []) if one.name == name]
    return float(task.row_scores(corpus.validation.labels, task.decode(one.logits["validation"]).predicted).mean())


def answers(one: Baseline) -> list[int]:
    return one.logits["validation"].argmax(1).tolist()


def test_they_are_what_scikit_learn_makes_of_the_same_rows() -> None:
    corpus = write_corpus(some_texts())
    train, validation = (part.texts["text"][:] for part in (corpus.train, corpus.validation))
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\b\w+\b", sublinear_tf=True, min_df=2)
    model = LogisticRegression(C=4, tol=1e-6, max_iter=1000).fit(vectorizer.fit_transform(train), corpus.train.labels)
    found = {one.name: one for one in baselines(corpus, corpus.reader, [])}
    assert list(found) == ["majority", "TF-IDF", "TF-IDF balanced"]
    assert answers(found["TF-IDF"]) == model.predict(vectorizer.transform(validation)).tolist()
    assert answers(found["majority"]) == [0] * len(validation)
    assert found["TF-IDF"].about == "logistic regression on TF-IDF of 1 to 2 words"


def test_scripts_without_spaces_are_told_apart_by_characters() -> None:
    corpus = write_corpus([(f"{'味道很好' if i % 2 else '味道很差'}{i}", str(i % 2)) for i in range(100)])
    assert baselines(corpus, corpus.reader, [])[1].about == "logistic regression on TF-IDF of 1 to 3 characters"
    assert accuracy(corpus, "TF-IDF") == 1


def test_pairs_are_compared() -> None:
    """Neither text alone tells whether the two are the same."""
    words = ["soup", "rice", "cake", "tea", "bread"]
    rows = [(a, b, str(int(a == b))) for a in words for b in (a, a, a, a, *words)] * 8
    lines = ["text,pair,label", *(f"{a} {i % 7},{b} {i % 5},{label}" for i, (a, b, label) in enumerate(rows))]
    Path("p.csv").write_text("\n".join(lines), encoding="utf-8")
    Path("p.yaml").write_text("name: a\noutput: a\ndata: {train: p.csv, text: [text, pair]}\n", encoding="utf-8")
    recipe = load_recipe("p.yaml")
    assert accuracy(load_corpus(recipe, task_of(recipe)), "TF-IDF") > 0.95


def test_several_classes_a_text() -> None:
    kinds = [("soup", "a"), ("rice", "b"), ("soup and rice", "a|b"), ("nothing", "")]
    texts = [(f"{kinds[i % 4][0]} {i}", kinds[i % 4][1]) for i in range(200)]
    corpus = write_corpus(texts, ", label_separator: '|'", "multi_label")
    assert accuracy(corpus, "TF-IDF") == 1
    assert accuracy(corpus, "majority") < 0.5


@pytest.mark.parametrize("texts", ["…", "a", "?!"])
def test_texts_without_words_have_baselines_too(texts: str) -> None:
    corpus = write_corpus([(f"{texts}{'.' * i}", "ab"[i % 2]) for i in range(40)])
    assert accuracy(corpus, "majority") == pytest.approx(0.5)
    assert 0 <= accuracy(corpus, "TF-IDF") <= 1


def test_they_are_made_once_for_the_same_data(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = write_corpus(some_texts(120))
    first = baselines(corpus, corpus.reader, [])
    monkeypatch.setattr(module, "_linear", lambda *_: pytest.fail("made again"))
    monkeypatch.setattr(Examples, "texts", property(lambda _: pytest.fail("texts are read again")), raising=False)
    again = baselines(corpus, corpus.reader, [])
    assert [answers(one) for one in first] == [answers(one) for one in again]
    assert [one.about for one in first] == [one.about for one in again]
    assert first[1].about == "logistic regression on TF-IDF of 1 to 2 words"


@pytest.mark.parametrize("damage", ["", "2 words", "\xff"])
def test_sentence_that_is_not_what_was_written_is_made_anew(damage: str) -> None:
    """Whoever can write there can write checksums, too."""
    corpus = write_corpus(some_texts(120))
    first = baselines(corpus, corpus.reader, [])
    about = cache_folder() / "baselines" / module._key(corpus, corpus.reader) / "about.txt"
    about.write_bytes(damage.encode("latin-1"))
    manifest = about.with_name("manifest.json")
    digests = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(digests | {"about.txt": hashlib.sha256(about.read_bytes()).hexdigest()}))
    assert [one.about for one in baselines(corpus, corpus.reader, [])] == [one.about for one in first]


def test_more_examples_than_fit_are_a_stated_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = write_corpus(some_texts(304))
    characters = sum(map(len, corpus.train.texts["text"][:]))
    monkeypatch.setattr(module, "_MOST_OF_ALL", characters * 100 // len(corpus.train) + 1)
    assert "from 100 of 243 examples" in baselines(corpus, corpus.reader, [])[1].about
    assert accuracy(corpus, "TF-IDF") > 0.9


def test_difference_of_two_on_the_same_rows() -> None:
    first, second = np.zeros(1000, bool), np.zeros(1000, bool)
    first[:820] = second[:800] = True  # 20 won
    second[820:828] = True  # 8 lost
    found = paired_difference(first, second)
    assert found.difference == pytest.approx(0.012)
    assert found.low < 0.012 < found.high
    assert found.p == pytest.approx(chi2.sf((20 - 8) ** 2 / 28, 1))  # McNemar's score test
    same = paired_difference(first, first)
    assert (same.difference, same.p) == (0, 1)
    assert same.low < 0 < same.high


def test_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        cells = draw.choice(4, 200, p=[0.7, 0.12, 0.08, 0.1])  # both right, only the first, only the second, neither
        found = paired_difference(np.isin(cells, [0, 1]), np.isin(cells, [0, 2]))
        held += found.low <= 0.04 <= found.high
    assert 0.935 < held / 2000 < 0.975


def test_check_shows_what_is_to_be_beaten(capsys: pytest.CaptureFixture) -> None:
    corpus = write_corpus(some_texts())
    _, out, _ = cli(capsys, "check", "a.yaml")
    expected = accuracy(corpus, "TF-IDF")
    assert "to beat, on these validation rows" in out
    assert re.search(rf"TF-IDF +{expected:.4f} .* logistic regression on TF-IDF of 1 to 2 words", out)
    _, out, _ = cli(capsys, "check", "a.yaml", "--json")
    assert json.loads(out)["baselines"][1]["accuracy"] == pytest.approx(expected)


def test_run_is_told_that_something_simple_is_better(tmp_path: Path) -> None:
    texts = some_texts()
    Path("reviews.csv").write_text(
        "\n".join(["label,review", *(f'{int(label == "good")},"{text}"' for text, label in texts)]), encoding="utf-8"
    )
    done = train(write_recipe(tmp_path).parent, "train.max_updates=1")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    one = results["baselines"][1]
    assert one["accuracy"] + one["difference"] == pytest.approx(results["scores"]["accuracy"])
    points = -100 * one["difference"]
    assert points > 10
    assert f"TF-IDF {one['accuracy']:.4f}: {points:.1f} points worse (95% interval" in results["verdict"]
    assert f"  verdict       {results['verdict']}" in done.stdout
    assert "this model is worse than TF-IDF (logistic regression on TF-IDF of 1 to 2 words)" in done.stdout
    assert "all rows are said to be 'BAD': nothing was learned" in done.stdout
    report = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert f"This model: {results['verdict']}." in report
    assert "a pretrained encoder (model.name) usually is what beats it" in report


def finished(scores: list[float], losses: list[float], difference: float = 0.1, p: float = 0.001) -> dict:
    """results.json of a run with these evaluations, its last the best."""
    baseline = {"name": "TF-IDF", "about": "x", "accuracy": 0.8, "scores": {"accuracy": 0.8}}
    interval = [difference - 0.02, difference + 0.02]
    return {
        "decided_by": "accuracy",
        "rows": {"validation": 1000},
        "update": 10 * len(scores),
        "updates": 10 * len(scores),
        "stopped_early": False,
        "classes": [{"name": name, "examples": 5, "predicted": 5} for name in "ab"],
        "confusion": [],
        "slices": {"validation": {"worst": []}},
        "baselines": [baseline | {"difference": difference, "interval": interval, "p": p}],
        "evaluations": [
            {"epoch": i + 1, "evaluation": {"accuracy": score, "loss": loss}}
            for i, (score, loss) in enumerate(zip(scores, losses, strict=True))
        ],
    }


@pytest.mark.parametrize(
    ("difference", "p", "words"),
    [
        (0.015, 0.008, "accuracy 0.8150; TF-IDF 0.8000: 1.5 points better (95% interval -0.5 to +3.5, p = 0.008)"),
        (-0.02, 0.0001, "accuracy 0.7800; TF-IDF 0.8000: 2.0 points worse (95% interval -4.0 to +0.0, p < 0.001)"),
        (0.002, 0.7, "+0.2 points, which 1,000 rows can't tell from chance (95% interval -1.8 to +2.2, p = 0.70)"),
    ],
)
def test_verdict_is_a_sentence(difference: float, p: float, words: str) -> None:
    found = finished([0.8], [0.5], difference, p)
    assert words in verdict(found["baselines"], "accuracy", 1000)


def test_advice_is_for_what_went_wrong_only() -> None:
    Path("a.yaml").write_text("name: a\noutput: a\ndata: {train: a.csv}\n", encoding="utf-8")
    recipe = load_recipe("a.yaml")
    assert advice(recipe, finished([0.85, 0.9, 0.9], [0.5, 0.4, 0.45])) == []
    [rising] = advice(recipe, finished([0.8, 0.85, 0.9], [0.5, 0.45, 0.4]))
    assert rising == "accuracy was still improving when the rate reached 0: more epochs (train.epochs)"
    constant = load_recipe("a.yaml", ["train.schedule=constant"])
    assert advice(constant, finished([0.8, 0.85, 0.9], [0.5, 0.45, 0.4])) == []
    [sure] = advice(recipe, finished([0.8, 0.9, 0.9], [0.4, 0.5, 1.0]))
    assert sure.startswith("the validation loss is 2.5 times what it was after epoch 1.00")
    unsure = finished([0.8, 0.8], [0.5, 0.5], 0.002, 0.7)
    [alike] = advice(recipe, unsure)
    assert alike.startswith("this model is no better than TF-IDF")
    better = {"scores": {"accuracy": 0.815}, "baselines": finished([0.8], [0.5], 0.015, 0.008)["baselines"]}
    assert advice(recipe, unsure | {"test": better}) == [], "where few validation rows can't tell, many test rows may"
    rare = finished([0.9, 0.9], [0.5, 0.5])
    rare["classes"].append({"name": "c", "examples": 3, "predicted": 0})
    [missed] = advice(recipe, rare)
    assert missed.startswith("never predicted: c; loss.logit_adjustment")
