"""model/README.md: what the hub reads of it, and that it is the same whenever the same is trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import train, write_recipe, write_reviews
from huggingface_hub import ModelCard

from accel_cls.recipe import Hub
from accel_cls.reporting.card import model_card
from accel_cls.reporting.facts import Facts, read_facts
from accel_cls.runs.folder import RunFolder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training twice, in the run folders `one` and `two`."""
    folder = tmp_path_factory.mktemp("cards")
    write_reviews(folder / "reviews.csv", 160)
    write_reviews(folder / "test.csv", 40, seed=1)
    write_recipe(folder, data="{train: reviews.csv, test: test.csv, text: review, labels: {0: BAD, 1: A|B_c}}")
    for name in ("one", "two"):
        done = train(folder, f"output={name}")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def facts(finished: Path) -> Facts:
    return read_facts(RunFolder(finished / "one"))


def test_hub_reads_scores_of_both_parts(finished: Path) -> None:
    card = ModelCard.load(finished / "one" / "model" / "README.md")
    results = json.loads((finished / "one" / "results.json").read_text(encoding="utf-8"))
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.library_name == "transformers"
    assert card.data.language == ["zh"]
    assert "license" not in card.data.to_dict()
    assert "base_model" not in card.data.to_dict()
    found = {(one.dataset_split, one.metric_type): one.metric_value for one in card.data.eval_results}
    expected = {
        (part, name): score
        for part, scores in (("test", results["test"]["scores"]), ("validation", results["scores"]))
        for name, score in scores.items()
    }
    assert found == pytest.approx(expected, abs=1e-6)
    assert {one.dataset_name for one in card.data.eval_results} == {"reviews.csv"}


def test_text_says_what_it_does_and_how_good_it_is(finished: Path) -> None:
    text = ModelCard.load(finished / "one" / "model" / "README.md").text
    assert "Classifies a text: 2 classes, BAD, A\\|B\\_c." in text
    results = json.loads((finished / "one" / "results.json").read_text(encoding="utf-8"))
    assert f"| test | {results['test']['scores']['loss']:.4f} (" in text
    assert results["test"]["verdict"].partition(";")[2] in text
    assert str(finished) not in text, "the folders of whoever has trained are nobody's business"


def test_two_trainings_leave_the_same_bytes(finished: Path) -> None:
    one, two = (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (finished / "one" / "model", finished / "two" / "model")
    )
    assert "README.md" in one
    assert one == two


def front(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_hub_ids_are_named_and_folders_are_not_taken_for_such(facts: Facts, tmp_path: Path) -> None:
    def with_model(name: str) -> Facts:
        return replace(facts, recipe=facts.recipe.model_copy(update={"model": facts.recipe.model.model_copy(
            update={"name": name, "scratch": None})}))  # fmt: skip

    assert front(model_card(with_model("org/encoder")))["base_model"] == "org/encoder"
    (tmp_path / "encoder").mkdir()
    card = model_card(with_model(str(tmp_path / "encoder")))
    assert "base_model" not in front(card)
    assert "Fine-tuned from encoder." in card
    data = facts.recipe.data.model_copy(update={"train": Hub(hub="org/reviews", split="train")})
    card = model_card(replace(facts, recipe=facts.recipe.model_copy(update={"data": data})))
    assert front(card)["datasets"] == ["org/reviews"]
    assert front(card)["model-index"][0]["results"][0]["dataset"]["type"] == "org/reviews"


def test_score_that_is_no_finite_number_and_intervals(facts: Facts) -> None:
    results = facts.results | {
        "scores": facts.results["scores"] | {"loss": None},
        "intervals": {"accuracy": [0.25, 0.75], "f1": None},
    }
    card = model_card(replace(facts, results=results))
    entries = {one["dataset"]["split"]: one["metrics"] for one in front(card)["model-index"][0]["results"]}
    assert "loss" not in {one["type"] for one in entries["validation"]}
    assert "(0.2500 to 0.7500)" in card
    assert "| validation | nan |" in card
