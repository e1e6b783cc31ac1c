"""`search`: trials by one command, each a run, the best of which is the result."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from conftest import cli, command, train, train_by, write_recipe, write_reviews
from html_pages import Page
from run_results import weights_of

from accel_cls.recipe import load_recipe
from accel_cls.searching.command import place_of
from accel_cls.searching.space import Axis
from accel_cls.searching.study import Study
from tools import warm

TRAIN = "{epochs: 3, batch_size: 16, micro_batch_tokens: 512, learning_rate: 5e-3}"
RATE = "train.learning_rate: {from: 1e-4, to: 5e-2, log: true}"
SEARCH = f"{{trials: 4, over: {{{RATE}, train.batch_size: [16, 32], train.epochs: {{from: 1, to: 3}}}}}}"


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def trials(run: Path) -> list[dict]:
    """All that a search keeps of its trials, but for how long they took."""
    return [{key: one[key] for key in one if key != "seconds"} for one in results(run)["trials"]]


def weights(run: Path) -> dict[str, str]:
    return weights_of(run / "model" / "model.safetensors")


def work_in(folder: Path, **sections: str) -> Path:
    write_reviews(folder / "reviews.csv", 240)
    write_reviews(folder / "test.csv", 60, seed=1)
    write_recipe(folder, **{"train": TRAIN, "search": SEARCH} | sections)
    return folder


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = work_in(tmp_path_factory.mktemp("searched"))
    done = train(folder, "data.test=test.csv")
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def test_best_trial_is_the_result_and_it_alone_saw_the_test_rows(searched: Path) -> None:
    run, found = searched / "run", results(searched / "run")
    scores = {one["run"]: one["score"] for one in found["trials"]}
    assert list(scores) == [f"trials/{number:03d}" for number in (1, 2, 3, 4)]
    assert scores[found["best"]] == max(scores.values())
    own = {"train.learning_rate": 5e-3, "train.batch_size": 16, "train.epochs": 3}
    assert found["trials"][0]["values"] == own, "the first trial has the recipe's own values"
    for folder in map(run.joinpath, scores):
        is_best = folder == run / found["best"]
        assert [(folder / name).exists() for name in ("model", "checkpoints", "results.json")] == [is_best] * 3
        assert (folder / "metrics.jsonl").is_file()
    best = results(run / found["best"])
    assert found["test"]["scores"] == best["test"]["scores"]
    assert found["validation"]["scores"] == best["scores"]
    assert weights(run) == weights(run / found["best"])
    said = " ".join((searched / "stdout.txt").read_text(encoding="utf-8").split())
    assert "the validation score of the best trial is optimistic" in said
    assert "which had no part in the choice: accuracy" in said


def test_best_recipe_trains_the_same_model_by_itself(searched: Path) -> None:
    shutil.copy(searched / "run" / "best.yaml", searched / "recipe_of_best.yaml")
    done = command("python", "-m", "accel_cls.train", "recipe_of_best.yaml", cwd=searched)
    assert done.returncode == 0, done.stderr
    assert weights(searched / "run-best") == weights(searched / "run")
    assert results(searched / "run-best")["test"]["scores"] == results(searched / "run")["test"]["scores"]
    text = (searched / "run" / "best.yaml").read_text(encoding="utf-8")
    assert "# Searched:\n#   train.learning_rate: 0.0001 to 0.05, log → " in text
    assert load_recipe(searched / "run" / "best.yaml").search is None


def test_folder_of_a_search_is_a_model_with_a_page(searched: Path, capsys: pytest.CaptureFixture) -> None:
    run, found = searched / "run", results(searched / "run")
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert page.faults == []
    links = [link for one in page.all("a") if not (link := one.attributes["href"] or "").startswith("#")]
    assert links == [f"{found['best']}/report.html"] * 2
    before = {name: (run / name).read_bytes() for name in ("report.html", "report.md")}
    assert cli(capsys, "report", str(run))[::2] == (0, "")
    assert before == {name: (run / name).read_bytes() for name in before}
    said = command("python", "-m", "accel_cls.predict", "run", "--text", "好吃", cwd=searched)
    assert said.stdout.startswith(("GOOD", "BAD")), said.stderr
    status, _, error = cli(capsys, "compare", str(run), str(run / found["best"]))
    assert status == 2
    assert f"found the trials of a search; expected one run, such as their best, {run}/{found['best']}" in error


def test_killed_search_goes_on_as_if_nothing_had_been(searched: Path, tmp_path: Path) -> None:
    work_in(tmp_path)
    with warm.Warm("accel_cls.train", ["recipe.yaml", "data.test=test.csv"], tmp_path) as process:
        while "trial 1 of 4" not in process.out or not list(
            (tmp_path / "run/trials").glob("002/checkpoints/update-*")
        ):
            assert process.poll() is None, process.err
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    with open(tmp_path / "run" / "study.jsonl", "ab") as journal:
        journal.write(b'{"op_code":7,"trial')  # killed while it wrote
    with warm.Warm("accel_cls.train", ["recipe.yaml", "data.test=test.csv"], tmp_path) as process:
        while "trial 2 of 4" not in process.out:
            assert process.poll() is None, process.err
        assert "trial 1 of 4" not in process.out
        (tmp_path / "run" / "SAVE").touch()
        # 0 on a busy machine, where the last two trials, a second each, were through before this was.
        assert process.wait(60) in (75, 0), process.err
        assert "of 4" in process.out
    done = train(tmp_path, "data.test=test.csv")
    assert done.returncode == 0, done.stderr
    assert trials(tmp_path / "run") == trials(searched / "run")
    assert weights(tmp_path / "run") == weights(searched / "run")


def test_more_trials_go_on_and_another_space_is_another_search(searched: Path, tmp_path: Path) -> None:
    shutil.copytree(searched / "run", tmp_path / "run")
    work_in(tmp_path)
    shown = train(tmp_path, "data.test=test.csv")
    assert "already finished" in shown.stdout, shown.stderr
    more = train(tmp_path, "data.test=test.csv", "search.trials=5")
    assert more.returncode == 0, more.stderr
    assert trials(tmp_path / "run")[:4] == trials(searched / "run")
    assert len(trials(tmp_path / "run")) == 5
    other = train(tmp_path, "search={trials: 2, over: {train.label_smoothing: [0.1, 0.2]}}", "train.epochs=1")
    assert other.returncode == 0, other.stderr
    assert "kept as run.1" in other.stdout
    assert "name rows that no trial has seen as data.test" in other.stdout


def test_two_processes_agree_on_trials_that_are_given_up_or_refused(tmp_path: Path) -> None:
    rate = RATE.replace("1e-4", "1e-6")
    over = f"{{model.scratch.hidden: [48, 32], model.scratch.heads: [2, 3], {rate}}}"
    model = "{scratch: {layers: 1, hidden: 48, heads: 2, vocabulary: 200}}"
    work_in(tmp_path, model=model, search=f"{{trials: 9, pruner: hyperband, over: {over}}}")
    done = train_by(2, tmp_path, "train.min_micro_batches=2")
    assert done.returncode == 0, done.stderr
    states = {one["state"] for one in trials(tmp_path / "run")}
    assert states == {"complete", "pruned", "refused"}
    for one in results(tmp_path / "run")["trials"]:
        assert (one["state"] == "pruned") <= (one["epochs"] in (None, 1, 2))
        wrong = (one["values"]["model.scratch.hidden"], one["values"]["model.scratch.heads"]) == (32, 3)
        assert (one["state"] == "refused") == wrong
        assert ("expected a divisor of model.scratch.hidden" in one["why"]) == wrong


def test_search_without_a_score_is_an_error_that_names_each_trial(tmp_path: Path) -> None:
    work_in(tmp_path, search="{trials: 2, over: {train.learning_rate: [8.0, 9.0]}}")
    done = train(tmp_path, "train.weight_decay=1", "train.learning_rate=9.0")
    assert done.returncode == 2, done.stdout
    said = " ".join(done.stderr.split())
    assert "search: no trial has come to its end with a score: trial 1: train.learning_rate=9: " in said


@pytest.mark.parametrize("arguments", [["parity"], ["profile"], ["tune"], ["resume", "--prove"]])
def test_tools_around_one_training_say_so(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    status, _, said = cli(capsys, *arguments, "recipe.yaml")
    assert status == 2
    assert f"search.trials: found 4, so many trainings; accel-cls {' '.join(arguments)} looks at one" in said


def test_plan_and_resume_know_of_the_trials(
    searched: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(searched)
    assert "4 trials, about" in cli(capsys, "plan", "recipe.yaml", "data.test=test.csv")[1]
    said = cli(capsys, "resume", "recipe.yaml", "data.test=test.csv", "search.trials=6")[1]
    assert "4 of 6 trials have begun" in said
    assert "goes on with the runs" in said


AXES = [Axis("rate", 1e-5, 1e-3, log=True), Axis("size", choices=[16, 32]), Axis("epochs", 2, 6, whole=True)]


def study_of(path: Path, trials: int, pruner: str, ended_in: int | None = None) -> Study:
    """A study whose trials score by a formula; killed in one of them."""
    study = Study(path, AXES, 42, False, pruner, 6)
    study.propose({"rate": 2e-5, "size": 32, "epochs": 3})
    while (trial := study.next(trials)) is not None and trial.number != ended_in:
        for place in (1, 2):
            study.report(trial.number, place, 1000 * place * trial.values["rate"])
            if study.is_hopeless(trial.number):
                study.tell(trial.number, "pruned", 0.0)
                break
        else:
            study.tell(trial.number, "complete", 1000 * trial.values["rate"] + trial.values["epochs"] / 10)
    return study


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_study_is_the_same_however_often_it_was_killed(tmp_path: Path, pruner: str) -> None:
    whole = study_of(tmp_path / "whole.jsonl", 18, pruner).trials
    for ended_in in (1, 15):
        study_of(tmp_path / "study.jsonl", 18, pruner, ended_in)
        (tmp_path / "study.jsonl.lock").symlink_to("whole.jsonl")  # as Optuna has it while it writes
    again = study_of(tmp_path / "study.jsonl", 18, pruner)
    assert again.trials == whole
    assert {one.state for one in whole} == {"complete", "pruned"}
    late = [one.values["rate"] for one in whole[12:]]
    assert sum(late) / len(late) > 5e-4, "from good trials on it searches where they lie"
    assert max(again.importance() or {}, key=(again.importance() or {}).__getitem__) == "rate"


def test_trials_are_compared_where_they_have_seen_as_many_examples(tmp_path: Path) -> None:
    work_in(tmp_path)
    recipe = load_recipe(tmp_path / "recipe.yaml", ["evaluate.every=10"])
    halves = [load_recipe(tmp_path / "recipe.yaml", ["evaluate.every=10", f"train.batch_size={n}"]) for n in (8, 64)]
    assert [place_of(recipe, recipe, update, 1600) for update in (10, 20, 100)] == [1, 2, 10]
    assert [place_of(recipe, halves[0], update, 1600) for update in (10, 20, 200)] == [0, 1, 10]
    assert [place_of(recipe, halves[1], update, 1600) for update in (10, 20, 25)] == [4, 8, 10]
    whole = load_recipe(tmp_path / "recipe.yaml")
    assert [place_of(whole, whole, update, 100) for update in (6, 7, 14, 21)] == [0, 1, 2, 3]  # 7 updates an epoch
