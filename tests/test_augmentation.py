"""`augment`: changed copies of the training texts, learned beside these."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from conftest import cli, train, train_by, write_recipe, write_reviews
from run_results import interrupt, weights_of

from accel_cls.data.loading import load_corpus
from accel_cls.recipe import load_recipe
from accel_cls.tasks import task_of
from accel_cls.wording.edits import edited
from accel_cls.wording.languages import Language

AUGMENT = "{copies: 2, edits: [delete, swap, typo], share: 0.2}"
CHINESE = "送餐很快，味道也好，就是不太新鲜，下次还会再来的"
ENGLISH = "The food was not good at all, and the waiter never came back to us."


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def weights(run: Path) -> dict[str, str]:
    return weights_of(run / "model" / "model.safetensors")


def work_in(folder: Path) -> Path:
    write_reviews(folder / "reviews.csv", 120)
    write_recipe(folder, augment=AUGMENT)
    return folder


@pytest.fixture(scope="module")
def augmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = work_in(tmp_path_factory.mktemp("augmented"))
    done = train(folder, "train.min_micro_batches=2")
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


@pytest.mark.parametrize(("text", "language", "kept"), [(CHINESE, "Chinese", "不"), (ENGLISH, "English", "not never")])
def test_edits_change_a_little_and_never_what_negates(text: str, language: Language, kept: str) -> None:
    def units(of: str) -> list[str]:
        return of.split() if language == "English" else [*of]

    for seed in range(40):
        shorter = edited(text, language, ["delete"], 0.1, Random(seed))
        assert len(units(text)) - len(units(shorter)) == max(1, round(0.1 * (15 if language == "English" else 21)))
        moved = edited(text, language, ["swap"], 0.3, Random(seed))
        assert sorted(units(moved)) == sorted(units(text))
        mistyped = edited(text, language, ["typo"], 0.1, Random(seed))
        assert len(mistyped) == len(text)
        assert text not in (shorter, moved, mistyped)
        for changed in (shorter, moved, mistyped):
            assert all(word in changed for word in kept.split())


def test_text_that_nothing_can_be_changed_in_stays() -> None:
    for text, language in (("好", "Chinese"), ("ok", "other"), ("not", "English"), ("不", "Chinese"), ("!", "other")):
        assert edited(text, language, ["delete", "swap", "typo"], 0.5, Random(0)) == text


def test_copies_are_of_training_texts_alone_and_have_their_labels(tmp_path: Path) -> None:
    work_in(tmp_path)
    recipe, plain = load_recipe(tmp_path / "recipe.yaml"), load_recipe(tmp_path / "recipe.yaml", ["~augment"])
    corpus, before = (load_corpus(one, task_of(one)) for one in (recipe, plain))
    assert before.changed is None
    assert (corpus.digest, corpus.train.rows) == (before.digest, before.train.rows)
    assert corpus.validation.texts["text"] == before.validation.texts["text"]
    assert corpus.changed is not None
    assert corpus.changed.labels.tolist() == [*before.train.labels] * 2
    texts, copies = before.train.texts["text"], corpus.changed.texts["text"]
    assert len(copies) == 2 * len(texts)
    differ = [copy != text for text, copy in zip(texts * 2, copies, strict=True)]
    assert sum(differ) == len(differ)
    assert copies[: len(texts)] != copies[len(texts) :]
    assert corpus.learned_rows[len(texts)] == f"{before.train.rows[0]}, copy 1"


def test_run_tells_of_its_copies(
    augmented: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(augmented)
    told = "96 and 192 changed copies (augment) for training, 24 for validation"
    assert told in (augmented / "stdout.txt").read_text(encoding="utf-8")
    found = results(augmented / "run")
    assert found["rows"]["training"] == 96
    assert found["updates"] == 18  # 288 of 32 an update, twice
    assert found["augmentation"]["copies"] == 192
    assert "Learned with 192 changed copies" in (augmented / "run" / "report.md").read_text(encoding="utf-8")
    assert "Learned with 192 changed copies" in (augmented / "run" / "report.html").read_text(encoding="utf-8")
    status, said, _ = cli(capsys, "check", "recipe.yaml")
    assert status in (0, 1)
    assert told in said
    assert " → " in said.partition("augment  ")[2]
    assert "18 = 2 epochs" in said
    assert "18 = 2 epochs" in cli(capsys, "plan", "recipe.yaml")[1]


def test_two_processes_and_a_run_that_goes_on_learn_the_same(augmented: Path, tmp_path: Path) -> None:
    work_in(tmp_path)
    done = train_by(2, tmp_path, "train.min_micro_batches=2")
    assert done.returncode == 0, done.stderr
    one, two = results(augmented / "run"), results(tmp_path / "run")
    assert two["scores"]["loss"] == pytest.approx(one["scores"]["loss"], abs=1e-4)
    assert two["augmentation"] == one["augmentation"]
    done = train(tmp_path, "train.min_micro_batches=2", "output=again")
    interrupt(tmp_path / "again", 9)
    done = train(tmp_path, "train.min_micro_batches=2", "output=again")
    assert "continues an unfinished run from update 9" in done.stdout, done.stderr
    assert weights(tmp_path / "again") == weights(augmented / "run")


def test_each_seed_has_copies_of_its_own_as_alone(augmented: Path, tmp_path: Path) -> None:
    work_in(tmp_path)
    short = ("train.epochs=1", "augment.copies=1")
    for overrides in (["repeat.seeds=2"], ["seed=43", "data.split_seed=42", "output=alone"]):
        done = train(tmp_path, *short, *overrides)
        assert done.returncode == 0, done.stderr
    assert weights(tmp_path / "run" / "seed-43") == weights(tmp_path / "alone")
    examples = [results(tmp_path / run)["augmentation"]["examples"] for run in ("run/seed-42", "run/seed-43")]
    assert examples[0] != examples[1]


def test_share_of_changes_can_be_searched_for(tmp_path: Path) -> None:
    work_in(tmp_path)
    over = "{augment.share: {from: 0.05, to: 0.5}}"
    done = train(tmp_path, f"search={{trials: 2, over: {over}}}", "train.epochs=1")
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "run")
    share = results(tmp_path / "run" / found["best"])["augmentation"]["share"]
    assert share == found["values"]["augment.share"]
