"""`repeat`: several trainings by one command, each as it would be alone, and what they come to together."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import cli, command, train, train_by, write_recipe, write_reviews
from html_pages import Page
from run_results import interrupt, metrics, read_csv, weights_of
from safetensors.numpy import load_file

from accel_cls.evaluation.statistics.repeats import deviation_of_mean, far_below, mean_of, spread_of
from tools import warm

TRAIN = "{epochs: 3, batch_size: 16, micro_batch_tokens: 512, learning_rate: 5e-3}"


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def weights(run: Path) -> dict[str, str]:
    return weights_of(run / "model" / "model.safetensors")


def stamps(run: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}


def work_in(folder: Path, **sections: str) -> Path:
    """240 reviews, of which the last five stand there twice, and a minute model."""
    write_reviews(folder / "reviews.csv", 240)
    lines = (folder / "reviews.csv").read_text(encoding="utf-8").splitlines()
    (folder / "reviews.csv").write_text("\n".join([*lines, *lines[-5:]]) + "\n", encoding="utf-8")
    write_reviews(folder / "test.csv", 60, seed=1)
    write_recipe(folder, train=TRAIN, **sections)
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return work_in(tmp_path)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds, and one of them trained alone."""
    folder = work_in(tmp_path_factory.mktemp("seeds"))
    env = {"ACCEL_CLS_CACHE": str(folder / "cache")}  # where looks at test rows are counted, other tests' among them
    for done in (
        train(folder, "repeat.seeds=2", "data.test=test.csv", env=env),
        train(folder, "seed=43", "data.split_seed=42", "data.test=test.csv", "output=alone", env=env),
    ):
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folds by two processes."""
    folder = work_in(tmp_path_factory.mktemp("folds"))
    done = train_by(2, folder, "repeat.folds=3", "train.min_micro_batches=2")
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def test_runs_have_a_page_together(seeds: Path, folds: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for work, kind in ((seeds, "seed"), (folds, "fold")):
        run = work / "run"
        page, found = Page((run / "report.html").read_text(encoding="utf-8")), results(run)
        assert page.faults == []
        links = [one.attributes["href"] or "" for one in page.all("a")]
        inner = [link for link in links if not link.startswith("#")]
        assert inner == [f"{one['run']}/report.html" for one in found["runs"]]
        assert all(link.startswith(kind) and (run / link).is_file() for link in inner)
        part = "test" if found["test"] else "validation"
        mean = found[part]["scores"]["accuracy"]
        assert page.all("p", "big")[0].text == f"{mean['mean']:.4f}"
        assert f"± {mean['sd']:.4f}" in page.all("p", "interval")[0].text
        copy = tmp_path / kind
        copy.mkdir()
        for name in ("recipe.yaml", "origin.json", "results.json"):
            shutil.copy(run / name, copy)
        status, said, error = cli(capsys, "report", str(copy))
        assert (status, error) == (0, "")
        assert said.count("wrote ") == 2
        for name in ("report.html", "report.md"):
            assert (copy / name).read_bytes() == (run / name).read_bytes()


def test_each_seed_is_trained_to_the_bit_as_alone(seeds: Path) -> None:
    assert weights(seeds / "run" / "seed-43") == weights(seeds / "alone")
    assert weights(seeds / "run" / "seed-42") != weights(seeds / "alone")
    of_run, alone = results(seeds / "run" / "seed-43"), results(seeds / "alone")
    assert of_run["scores"] == alone["scores"]
    assert of_run["test"]["scores"] == alone["test"]["scores"]
    looks = [results(seeds / "run" / f"seed-{n}")["test"]["looks"] for n in (42, 43)]
    assert [*looks, alone["test"]["looks"]] == [1, 1, 2], "of runs of which none is chosen all are one look"
    rows = [[row["row"] for row in read_csv(seeds / "run" / f"seed-{n}" / "predictions.csv")] for n in (42, 43)]
    assert rows[0] == rows[1], "all seeds are judged by the same rows"
    assert (seeds / "run" / "seed-43" / "report.md").is_file()


def test_mean_and_spread_are_those_of_the_runs(seeds: Path) -> None:
    found = results(seeds / "run")
    for part, get in (("validation", lambda r: r["scores"]), ("test", lambda r: r["test"]["scores"])):
        scores = [get(results(seeds / "run" / f"seed-{n}"))["loss"] for n in (42, 43)]
        kept = found[part]["scores"]["loss"]
        assert kept["mean"] == pytest.approx(np.mean(scores), abs=1e-12)
        assert kept["sd"] == pytest.approx(np.std(scores, ddof=1), abs=1e-12)
        half = 12.706205 * kept["sd"] / math.sqrt(2)  # Student's t with one degree of freedom
        assert (kept["low"], kept["high"]) == pytest.approx((kept["mean"] - half, kept["mean"] + half), abs=1e-6)
    assert found["best"] in ("seed-42", "seed-43")
    said = " ".join((seeds / "run" / "report.md").read_text(encoding="utf-8").split())
    assert "test accuracy: seeds differ by ±" in said
    assert "another sample of 60 rows by ±" in said


def test_finished_seeds_are_kept_and_more_are_added(seeds: Path) -> None:
    shown = train(seeds, "repeat.seeds=2", "data.test=test.csv")
    assert "already finished" in shown.stdout, shown.stderr
    first = stamps(seeds / "run" / "seed-42")
    more = train(seeds, "repeat.seeds=3", "data.test=test.csv")
    assert more.returncode == 0, more.stderr
    assert [one["run"] for one in results(seeds / "run")["runs"]] == ["seed-42", "seed-43", "seed-44"]
    assert {path: first[path] for path in first} == stamps(seeds / "run" / "seed-42")


def test_other_recipe_sets_all_runs_aside_when_finished_and_is_refused_before(seeds: Path, tmp_path: Path) -> None:
    for name in ("reviews.csv", "test.csv", "recipe.yaml"):
        shutil.copy(seeds / name, tmp_path / name)
    shutil.copytree(seeds / "run", tmp_path / "run")
    asked = ("data.test=test.csv", "train.epochs=1")
    (tmp_path / "run" / "results.json").rename(tmp_path / "results.json")
    refused = train(tmp_path, "repeat.seeds=2", *asked)
    assert refused.returncode == 2
    assert "train.epochs: 3 → 1" in refused.stderr
    (tmp_path / "results.json").rename(tmp_path / "run" / "results.json")
    done = train(tmp_path, "repeat.seeds=2", *asked)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run.1" / "seed-43").is_dir()
    assert metrics(tmp_path / "run" / "seed-43")[-1]["epoch"] == 1


def test_one_run_and_several_do_not_go_on_with_each_other(work: Path) -> None:
    short = "train.epochs=1"
    for overrides in ([], ["repeat.seeds=2"], []):
        done = train(work, short, *overrides)
        assert done.returncode == 0, done.stderr
    assert (work / "run.1" / "model").is_dir()
    assert (work / "run.2" / "seed-43").is_dir()
    assert not (work / "run" / "seed-42").exists()
    (work / "run.2" / "results.json").unlink()
    refused = train(work, short, "output=run.2")
    assert refused.returncode == 2
    assert "repeat.seeds: 2 → not set" in refused.stderr


def test_out_of_fold_answers_are_of_every_row_once_and_in_order(folds: Path) -> None:
    run = folds / "run"
    rows = read_csv(run / "predictions.csv")
    assert [row["row"] for row in rows] == [f"reviews.csv:{i}" for i in range(1, 246)]
    parts = [read_csv(run / f"fold-{n}" / "predictions.csv") for n in (1, 2, 3)]
    by_row = {row["row"]: row for part in parts for row in part}
    assert rows == [by_row[row["row"]] for row in rows]
    assert sorted(len({row["text"] for row in part}) for part in parts) == [80, 80, 80]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not {row["text"] for row in parts[one]} & {row["text"] for row in parts[other]}
    assert load_file(run / "predictions.safetensors")["logits"].shape == (245, 2)
    pooled = results(run)["pooled"]
    assert pooled["scores"]["accuracy"] == pytest.approx(
        np.mean([row["label"] == row["predicted"] for row in rows]), abs=1e-12
    )
    for part in parts:
        assert sum(row["label"] == "GOOD" for row in part) == pytest.approx(len(part) / 3, abs=2)


def test_a_fold_is_what_it_is_alone(folds: Path) -> None:
    alone = train(folds, "data.fold={number: 2, of: 3}", "train.min_micro_batches=2", "output=alone")
    assert alone.returncode == 0, alone.stderr
    one, other = (load_file(folds / run / "predictions.safetensors") for run in ("alone", "run/fold-2"))
    assert np.array_equal(one["labels"], other["labels"])
    assert np.allclose(one["logits"], other["logits"], atol=1e-3)  # one process, and two
    by_one = train(folds, "repeat.folds=3", "train.min_micro_batches=2", "output=by-one")
    assert by_one.returncode == 0, by_one.stderr
    assert weights(folds / "by-one" / "fold-2") == weights(folds / "alone")


def test_folder_of_several_runs_is_no_model(folds: Path) -> None:
    said = command("python", "-m", "accel_cls.predict", "run", "--text", "好吃", cwd=folds)
    assert said.returncode == 2
    words = " ".join(said.stderr.split())
    assert "3 runs of one recipe" in words
    assert "run/fold-1" in words
    assert results(folds / "run")["best"] in words
    inner = command("python", "-m", "accel_cls.predict", "run/fold-1", "--text", "好吃", cwd=folds)
    assert inner.stdout.startswith(("GOOD", "BAD")), inner.stderr


def test_killed_command_goes_on_in_the_run_where_it_was(work: Path) -> None:
    whole = train(work, "repeat.seeds=3", "output=whole")
    assert whole.stdout.count("  classifier  ") == 1, whole.stderr  # what all have in common is told once
    assert whole.returncode == 0, whole.stderr
    with warm.Warm("accel_cls.train", ["recipe.yaml", "repeat.seeds=3"], work) as process:
        while "seed-42: accuracy" not in process.out:
            assert process.poll() is None, process.err
        (work / "run" / "SAVE").touch()
        assert process.wait(60) == 75, process.err
        assert "of 3 runs" in process.out
    assert not (work / "run" / "results.json").exists()
    first = stamps(work / "run" / "seed-42")
    again = train(work, "repeat.seeds=3")
    assert again.returncode == 0, again.stderr
    assert stamps(work / "run" / "seed-42") == first, "a run that was over is taken as it is"
    for n in (42, 43, 44):
        assert weights(work / "run" / f"seed-{n}") == weights(work / "whole" / f"seed-{n}")
    assert results(work / "run")["validation"] == results(work / "whole")["validation"]

    (work / "run" / "results.json").unlink()
    interrupt(work / "run" / "seed-43", 26)
    last = train(work, "repeat.seeds=3")
    assert "continues an unfinished run from update 26" in last.stdout, last.stderr
    assert weights(work / "run" / "seed-43") == weights(work / "whole" / "seed-43")
    fresh = train(work, "repeat.seeds=2", "--fresh", "train.epochs=1")
    assert fresh.returncode == 0, fresh.stderr
    assert (work / "run.1" / "seed-44").is_dir()
    assert not (work / "run" / "seed-44").exists()


def test_rate_is_searched_for_once_and_plan_knows_of_all_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reviews(tmp_path / "reviews.csv", 600)
    write_recipe(tmp_path, train="{epochs: 1, batch_size: 16, micro_batch_tokens: 512, learning_rate: auto}")
    done = train(tmp_path, "repeat.folds=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("← taken") == 1
    recipes = [(tmp_path / run / "recipe.yaml").read_text(encoding="utf-8") for run in ("run/fold-1", "run/fold-2")]
    rates = {line for text in recipes for line in text.splitlines() if "learning_rate:" in line}
    assert len(rates) == 1
    assert "auto" not in rates.pop()
    monkeypatch.chdir(tmp_path)
    status, said, _ = cli(capsys, "plan", "recipe.yaml", "repeat.folds=2")
    assert status == 0
    assert "2 such runs, about" in said
    assert "fold 1 of 2 of data.train" in said
    assert json.loads(cli(capsys, "plan", "recipe.yaml", "repeat.folds=2", "--json")[1])["runs"] == 2
    _, said, _ = cli(capsys, "resume", "recipe.yaml", "repeat.folds=2")
    assert "fold-2: finished" in said
    assert "shows the result again" in said
    status, said, _ = cli(capsys, "check", "recipe.yaml", "repeat.folds=2")
    assert status in (0, 1)
    assert "2 such runs" in said


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["repeat.folds=90"], "found 90 folds, more than some classes have different texts: 'GOOD' has 80"),
        (
            ["repeat.folds=3", "data.validation=test.csv"],
            "data.validation: found a source of its own beside repeat.folds",
        ),
        (["data.fold={number: 1, of: 3}", "data.validation=test.csv"], "a source of its own beside data.fold"),
        (["repeat={seeds: 2, folds: 2}"], "repeat: found both; expected one of seeds and folds"),
        (["repeat={}"], "repeat: found neither; expected one of seeds and folds"),
        (["repeat.seeds=1"], "repeat.seeds: found 1; expected a whole number from 2 to 100"),
        (["repeat.seeds=2", "seed=4294967295"], "found 2 from seed 4294967295 on"),
        (["data.fold={number: 4, of: 3}"], "data.fold.number: found 4; expected 3 at most"),
        (["repeat.folds=2", "data.fold={number: 1, of: 3}"], "data.fold: found it beside repeat.folds"),
        (["repeat.seeds=2", "--tune"], "repeat.seeds: found 2, so many trainings; accel-cls tune looks at one"),
    ],
)
def test_what_makes_no_sense_is_refused_before_training(work: Path, overrides: list[str], said: str) -> None:
    done = train(work, *overrides)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert not (work / "run").exists()


@pytest.mark.parametrize("arguments", [["parity"], ["profile"], ["tune"], ["resume", "--prove"]])
def test_tools_around_one_training_say_so(
    work: Path, arguments: list[str], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    status, _, said = cli(capsys, *arguments, "recipe.yaml", "repeat.folds=3")
    assert status == 2
    assert f"repeat.folds: found 3, so many trainings; accel-cls {' '.join(arguments)} looks at one" in said


def test_runs_that_have_learned_nothing_or_diverged_are_told(work: Path) -> None:
    done = train(work, "repeat.seeds=2", "train.learning_rate=1e-7", "train.epochs=1")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "seed-42 has gone wrong: says" in said
    diverged = train(work, "repeat.seeds=2", "train.learning_rate=9", "train.weight_decay=1", "output=diverged")
    assert diverged.returncode == 2
    assert "repeat: 2 of 2 runs have diverged" in diverged.stderr, diverged.stdout


def test_noise_of_seeds_and_of_rows_are_told_apart() -> None:
    """Of many drawn experiments the estimates are right on average."""
    draw = np.random.default_rng(0)
    runs, rows, groups = 6, 400, np.arange(400)
    found = []
    for _ in range(300):
        values = draw.normal(0, 0.3, (1, rows)) + draw.normal(0, 0.02, (runs, 1)) + draw.normal(0, 0.2, (runs, rows))
        found.append(spread_of(values, groups))
    assert np.mean([one.seeds**2 for one in found]) == pytest.approx(0.02**2 + 0.2**2 / rows, rel=0.1)
    assert np.mean([one.rows**2 for one in found]) == pytest.approx((0.3**2 + 0.2**2) / rows, rel=0.05)
    assert np.mean([one.seeds_alone**2 for one in found]) == pytest.approx(0.02**2, rel=0.15)
    same = spread_of(np.tile(draw.random(rows), (3, 1)), groups)
    assert (same.seeds, same.seeds_alone, same.share_of_seeds) == (0, 0, 0)


def test_copies_of_a_text_are_no_more_evidence() -> None:
    values = np.array([0.0, 1, 1, 0, 1])
    assert deviation_of_mean(values, np.arange(5)) == pytest.approx(values.std(ddof=1) / math.sqrt(5))
    twice = np.tile(values, 2)
    assert deviation_of_mean(twice, np.tile(np.arange(5), 2)) == pytest.approx(values.std(ddof=1) / math.sqrt(5))


def test_mean_has_the_interval_of_students_t() -> None:
    found = mean_of([0.8, 0.82, 0.84])
    assert (found.mean, found.sd) == pytest.approx((0.82, 0.02))
    assert found.high - found.mean == pytest.approx(4.302653 * 0.02 / math.sqrt(3), rel=1e-6)


def test_run_far_below_the_others_is_found_and_chance_is_not() -> None:
    assert far_below([0.9, 0.91, 0.89, 0.6], [0.02] * 4) == pytest.approx([0, 0, 0, 0.295])
    assert far_below([0.9, 0.91, 0.89, 0.86], [0.02] * 4) == [0, 0, 0, 0]
    assert far_below([0.9, 0.5], [0.01] * 2) == [0, 0], "of two none is told from the other"
