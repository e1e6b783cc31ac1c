"""`refit`: in the end a training on all labelled examples, whose model is kept, while scores are of the one before."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import cli, command, train, train_by, write_recipe, write_reviews
from run_results import read_csv, weights_of
from safetensors.numpy import load_file

from accel_cls.data.loading import load_corpus
from accel_cls.inference.learned_rows import learned_by
from accel_cls.recipe import load_recipe, with_values
from accel_cls.reporting.teacher import describe_flattery, teacher_results
from accel_cls.tasks import task_of
from tools import warm

# The best of four evaluations is not the last one: the rate of 1e-2 is too high for so few texts.
TRAIN = "{epochs: 4, batch_size: 32, micro_batch_tokens: 256, learning_rate: 1e-2}"
VALIDATION = 60  # rows

# Ends its process in so many updates of all trainings together, as kill -9 would.
KILLED = """
import os, sys
from accel_cls.train import main
from accel_cls.training import loop

whole, left = loop.take_step, int(os.environ["ACCEL_CLS_UPDATES"])

def step(*given):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    return whole(*given)

loop.take_step = step
sys.exit(main())
"""


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def weights(run: Path, model: str = "model") -> dict[str, str]:
    return weights_of(run / model / "model.safetensors")


def work_in(folder: Path, **sections: str) -> Path:
    """Reviews to train on, some of them with wrong labels, to validate on, and to test by; a minute model."""
    for name, count, seed in (("reviews.csv", 200, 0), ("more.csv", VALIDATION, 1), ("test.csv", 90, 2)):
        write_reviews(folder / name, count, seed)
    data = "{train: reviews.csv, validation: more.csv, test: test.csv, text: review, label: label, max_length: 32}"
    write_recipe(folder, **{"data": data, "train": TRAIN, **sections})
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was refitted, and one that was not."""
    folder = work_in(tmp_path_factory.mktemp("refit"))
    refitted = train(folder, "refit=true", "evaluate.behaviour=20")
    assert refitted.returncode == 0, refitted.stderr
    (folder / "stdout.txt").write_text(refitted.stdout, encoding="utf-8")
    plain = train(folder, "output=plain", "evaluate.behaviour=20")
    assert plain.returncode == 0, plain.stderr
    return folder


def test_its_model_is_that_of_a_training_on_all_examples_which_ends_where_the_best_one_did(work: Path) -> None:
    found = results(work / "run")
    refit, epochs = found["refit"], round(found["epoch"])
    assert (refit["examples"], refit["epoch"]) == (260, epochs)
    assert refit["updates"] == 9 * epochs  # 260 examples in updates of 32
    whole = ["data.train=[reviews.csv, more.csv]", f"train.max_updates={9 * epochs}", "evaluate.every=end"]
    alone = train(work, *whole, "output=whole")
    assert alone.returncode == 0, alone.stderr
    assert weights(work / "run") == weights(work / "whole")
    assert weights(work / "run") != weights(work / "plain")


def test_validation_scores_are_of_the_model_before_and_test_scores_of_the_new_one(work: Path) -> None:
    run, plain, whole = (results(work / name) for name in ("run", "plain", "whole"))
    assert weights(work / "run", "selected_model") == weights(work / "plain")
    for key in ("scores", "intervals", "classes", "evaluations", "behaviour", "verdict", "baselines"):
        assert run[key] == plain[key], key
    assert run["calibration"]["temperature"] == plain["calibration"]["temperature"]
    answers = [load_file(work / name / "predictions.safetensors")["logits"].tolist() for name in ("run", "plain")]
    assert answers[0] == answers[1]
    assert run["test"]["scores"] == whole["test"]["scores"] != plain["test"]["scores"]
    assert run["test"]["baselines"] == whole["test"]["baselines"], "what is simple has learned as many examples"
    assert not (work / "run" / "refit" / "predictions.csv").exists(), "answers to what was learned"


def test_it_is_told(work: Path, capsys: pytest.CaptureFixture) -> None:
    said = (work / "stdout.txt").read_text(encoding="utf-8")
    assert "then once more, validation examples included" in said
    assert "on all 260 labelled examples, up to where the best model was" in said
    assert len(re.findall(r"(?m)^ +\d\.00 +\d+ ", said)) == 4, "the refit's evaluation is not shown"
    sentence = "rained once more, on all 260 labelled examples, those for validation included, up to epoch"
    assert sentence in said
    run = work / "run"
    for place in (run / "report.md", run / "report.html", run / "model" / "README.md"):
        text = " ".join(place.read_text(encoding="utf-8").split())
        assert sentence in text, place
        assert "in selected_model/; the test scores are of the new one" in text or "selected\\_model/" in text, place
    before = ("report.md", "The model before its refit: accuracy"), ("report.html", "the model before its refit")
    for name, words in before:
        assert words in (run / name).read_text(encoding="utf-8"), name
        assert words not in (work / "plain" / name).read_text(encoding="utf-8"), name
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    assert "split: test" in card
    assert "split: validation" not in card, "the card's model was not asked about these"
    forecast = json.loads(cli(capsys, "plan", str(work / "recipe.yaml"), "--json")[1])
    more = json.loads(cli(capsys, "plan", str(work / "recipe.yaml"), "refit=true", "--json")[1])
    assert more["disk_bytes"] == forecast["disk_bytes"] + forecast["checkpoint_bytes"] + forecast["model_bytes"]


def test_both_models_answer(work: Path) -> None:
    for model, run in (("run", "run"), ("run/selected_model", "plain")):
        done = command("python", "-m", "accel_cls.predict", model, "--file", "test.csv", "--out", "a.csv", cwd=work)
        assert done.returncode == 0, done.stderr
        answers, kept = read_csv(work / "a.csv"), read_csv(work / run / "test_predictions.csv")
        assert len(answers) == 90
        assert [row["predicted"] for row in answers] == [row["predicted"] for row in kept]


def test_finished_run_is_refitted_by_the_same_command_and_goes_back(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work, tmp_path / "copy")
    folder = tmp_path / "copy"
    added = train(folder, "output=plain", "refit=true", "evaluate.behaviour=20")
    assert added.returncode == 0, added.stderr
    assert "is to be judged anew (refit: False → True)" in added.stdout
    assert weights(folder / "plain") == weights(work / "run")
    taken = train(folder, "output=plain", "refit=false", "evaluate.behaviour=20")
    assert taken.returncode == 0, taken.stderr
    assert weights(folder / "plain") == weights(work / "plain")
    assert not (folder / "plain" / "selected_model").exists()
    assert results(folder / "plain")["test"]["scores"] == results(work / "plain")["test"]["scores"]
    again = train(folder, "output=plain", "refit=true", "evaluate.behaviour=20")
    assert again.returncode == 0, again.stderr
    assert weights(folder / "plain") == weights(work / "run")


@pytest.mark.parametrize("place", ["in the refit", "between the two models"])
def test_killed_run_ends_with_the_same_models(work: Path, tmp_path: Path, place: str) -> None:
    folder = work_in(tmp_path)
    (folder / "killed.py").write_text(KILLED, encoding="utf-8")
    updates = 4 * 7 + 12 if place == "in the refit" else 10**6
    asked = ["recipe.yaml", "refit=true", "evaluate.behaviour=20"]
    killed = warm.run("killed", asked, folder, None, {"ACCEL_CLS_UPDATES": str(updates)})
    run = folder / "run"
    if place == "in the refit":
        assert killed.returncode == 9
        assert [*(run / "refit" / "checkpoints").iterdir()]
    else:
        assert killed.returncode == 0, killed.stderr
        (run / "results.json").unlink()
        (run / "model").rename(run / "refit" / "model")
    done = train(folder, *asked[1:])
    assert done.returncode == 0, done.stderr
    assert weights(run) == weights(work / "run")
    assert weights(run, "selected_model") == weights(work / "run", "selected_model")
    for key in ("scores", "behaviour"):
        assert results(run)[key] == results(work / "run")[key]
    assert results(run)["test"]["scores"] == results(work / "run")["test"]["scores"]


def test_two_processes_refit_as_one(work: Path, tmp_path: Path) -> None:
    folder = work_in(tmp_path)
    done = train_by(2, folder, "refit=true", "train.min_micro_batches=2")
    one = train(folder, "refit=true", "train.min_micro_batches=2", "output=one")
    assert done.returncode == 0, done.stderr
    assert one.returncode == 0, one.stderr
    two, one_results = results(folder / "run"), results(folder / "one")
    assert two["refit"]["updates"] == one_results["refit"]["updates"]
    assert two["test"]["scores"] == pytest.approx(one_results["test"]["scores"], rel=1e-4)


def test_earlier_end_refits_anew(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "run", tmp_path / "run")
    folder = work_in(tmp_path)
    more = train(folder, "refit=true", "evaluate.behaviour=20", "train.learning_rate=5e-3")
    assert more.returncode == 0, more.stderr  # another recipe: the finished run is set aside with its refit
    assert (folder / "run.1" / "refit").is_dir()
    early = train(folder, "refit=true", "train.learning_rate=5e-3", "train.max_updates=7", "--fresh", "output=early")
    assert early.returncode == 0, early.stderr
    assert results(folder / "early")["refit"]["updates"] == 9
    later = train(folder, "refit=true", "train.learning_rate=5e-3", "train.max_updates=28", "output=early")
    assert later.returncode == 0, later.stderr
    assert weights(folder / "early") == weights(folder / "run")


def test_frozen_encoder_is_refitted(tmp_path: Path) -> None:
    folder = work_in(tmp_path)
    first = train(folder, "output=base", "train.epochs=1")
    assert first.returncode == 0, first.stderr
    frozen = train(folder, "~model.scratch", "model.name=base/model", "model.freeze=encoder", "refit=true")
    assert frozen.returncode == 0, frozen.stderr
    assert results(folder / "run")["refit"]["examples"] == 260
    whole = train(
        folder,
        *("~model.scratch", "model.name=base/model", "model.freeze=encoder"),
        *("data.train=[reviews.csv, more.csv]", "output=whole"),
    )
    assert whole.returncode == 0, whole.stderr
    assert weights(folder / "run") == weights(folder / "whole")


@pytest.mark.parametrize(
    "of_updates",
    [(), ("loss={r_drop: 1, contrastive: 0.5, adversarial: fgm}", "train.sampling=balanced", "average={start: 0.5}")],
)
def test_head_that_no_update_made_better_is_fitted_anew(tmp_path: Path, of_updates: tuple[str, ...]) -> None:
    """Whatever else the updates had, which a fit of the head alone has none of."""
    folder = work_in(tmp_path)
    first = train(folder, "output=base", "train.epochs=1")
    assert first.returncode == 0, first.stderr
    base = ("~model.scratch", "model.name=base/model", "train.max_grad_norm=0")
    probed = (*base, "train.head_init=probe", *of_updates)
    spoiled = train(folder, *probed, "train.learning_rate=9", "refit=true")
    assert spoiled.returncode == 0, spoiled.stderr
    found = results(folder / "run")
    assert (found["epoch"], found["refit"]["epoch"], found["refit"]["updates"]) == (0, 0, 0)
    assert "up to epoch 0.00 (the head alone, " in spoiled.stdout
    both = "data.train=[reviews.csv, more.csv]"
    alone = train(folder, *base, "model.freeze=encoder", both, "output=alone")
    assert alone.returncode == 0, alone.stderr
    assert weights(folder / "run") == weights(folder / "alone")


def test_refit_that_diverges_leaves_the_best_model(work: Path, tmp_path: Path) -> None:
    folder = work_in(tmp_path)
    script = KILLED.replace("os._exit(9)", "raise Diverged('the loss is no finite number')")
    script = "from accel_cls.errors import Diverged\n" + script
    (folder / "killed.py").write_text(script, encoding="utf-8")
    done = warm.run("killed", ["recipe.yaml", "refit=true"], folder, None, {"ACCEL_CLS_UPDATES": "35"})
    assert done.returncode == 0, done.stderr
    assert "not refitted: it has diverged: the loss is no finite number" in done.stdout
    assert weights(folder / "run") == weights(work / "plain")
    assert not (folder / "run" / "selected_model").exists()
    assert "split: validation" in (folder / "run" / "model" / "README.md").read_text(encoding="utf-8")


def test_teacher_that_was_refitted_has_learned_the_validation_texts(work: Path, monkeypatch) -> None:
    monkeypatch.chdir(work)
    recipe = load_recipe("recipe.yaml")
    corpus = load_corpus(recipe, task_of(recipe))
    assert learned_by("plain", corpus).counts == {"validation": 2, "test": 0}  # copies
    assert learned_by("run", corpus).counts == {"validation": VALIDATION, "test": 0}
    [said] = describe_flattery(teacher_results(with_values(recipe, {"distill": {"teacher": "run"}}), corpus))
    assert said.startswith(f"the teacher was trained on {VALIDATION} of the validation texts, with their labels")
    assert said.endswith("name selected_model/")
    assert learned_by("run/selected_model", corpus).counts == {"validation": 2, "test": 0}


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        (["repeat={seeds: 2}"], "no model of those that repeat trains is chosen"),
        (["data.fold={number: 1, of: 3}", "data.validation=0.2"], "data.fold makes it one of several trainings"),
        (["few_shot={examples: 8, pairs: 0}"], "few_shot.examples leaves other labelled texts unlearned"),
    ],
)
def test_trainings_that_are_compared_are_not_refitted_and_say_so(
    work: Path, tmp_path: Path, beside: list[str], said: str
) -> None:
    done = train(work, "refit=true", *beside, "train.epochs=1", f"output={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert f"refit is not used, since {said}" in done.stdout
    assert not [*tmp_path.rglob("selected_model")]


def test_best_of_a_search_is_refitted_by_its_own_recipe(work: Path, tmp_path: Path) -> None:
    search = "search={trials: 2, over: {train.batch_size: [16, 32]}}"
    done = train(work, "refit=true", search, "train.epochs=1", f"output={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert not [*tmp_path.rglob("selected_model")]
    assert load_recipe(tmp_path / "run" / "best.yaml").is_refitted


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ("average={last: 2}", "average.last, which evaluations decide about"),
        ("decide={abstain_below: 0.6}", "decide, whose promises hold for a model that has not learned its validation"),
    ],
)
def test_what_it_would_make_untrue_is_refused(work: Path, beside: str, said: str) -> None:
    done = train(work, "refit=true", beside)
    assert done.returncode == 2
    assert f"refit: found true beside {said}" in done.stderr
    assert "Traceback" not in done.stderr


TASKS = {
    "multi_label": ("task: multi_label", lambda label: "a|b" if label else "b", "label_separator: '|'"),
    "ordinal": ("task: ordinal", lambda label: 3 + label, ""),
    "regression": ("task: regression", lambda label: 0.5 + label, ""),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_refitted(tmp_path: Path, task: str) -> None:
    key, label_of, more = TASKS[task]
    write_reviews(tmp_path / "a.csv", 120)
    rows = read_csv(tmp_path / "a.csv")
    lines = [f'{label_of(int(row["label"]))},"{row["review"]}"' for row in rows]
    (tmp_path / "a.csv").write_text("\n".join(["label,review", *lines]) + "\n", encoding="utf-8")
    data = f"{{train: a.csv, test: 0.2, text: review, label: label, max_length: 32{', ' * bool(more)}{more}}}"
    write_recipe(tmp_path, data=data, evaluate="{behaviour: 4}")
    recipe = (tmp_path / "recipe.yaml").read_text(encoding="utf-8").replace("evaluate: {behaviour: 4}\n", "")
    (tmp_path / "recipe.yaml").write_text(f"{recipe}{key}\nrefit: true\n", encoding="utf-8")
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "run")
    assert found["refit"]["examples"] == found["rows"]["training"] + found["rows"]["validation"]
    assert found["refit"]["examples"] + found["rows"]["test"] == 120
