"""Calibration and decisions by the real command lines: fitted at a run's end, saved with its model, used later."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import BAD, GOOD, cli, command, train, write_recipe
from run_results import interrupt, metrics, read_csv, weights_of
from safetensors.numpy import load_file
from sklearn import metrics as sk

from accel_cls.evaluation.deciding.postprocessing import PLAIN, Postprocessing

DATA = "{train: train.csv, validation: validation.csv, test: test.csv, text: review, label: label, max_length: 32}"
TRAIN = "{epochs: 3, batch_size: 32, micro_batch_tokens: 1024, learning_rate: 5e-3}"
DECIDE = "{precision: {GOOD: 0.8}, abstain_below: 0.6, coverage: 0.9}"
OF_TWO = (0.03, 0.5, 0.97)  # how often a text is GOOD, by how many of its two phrases are


def write_mixed(path: Path, rows: int, seed: int) -> None:
    """Reviews of two phrases, whose labels are drawn: GOOD by how many of them are good. No text stands twice."""
    draw = random.Random(seed)
    lines = ["label,review"]
    for i in range(rows):
        good = draw.randrange(3)
        phrases = [*draw.choices(GOOD, k=good), *draw.choices(BAD, k=2 - good)]
        lines.append(f"{'GOOD' if draw.random() < OF_TWO[good] else 'BAD'},{'，'.join(phrases)}{seed}{i}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decided")
    for seed, (name, rows) in enumerate((("train", 400), ("validation", 500), ("test", 300))):
        write_mixed(folder / f"{name}.csv", rows, seed)
    write_recipe(folder, data=DATA, train=TRAIN, decide=DECIDE)
    done = train(folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def told(run: Path) -> dict:
    """What the model's config.json has of temperature and rules."""
    return json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))["accel_cls"]["postprocessing"]


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(np.float64))
    return weights / weights.sum(1, keepdims=True)


def predict(folder: Path, *arguments: str, stdin: str | None = None, run: str = "run"):
    done = command("python", "-m", "accel_cls.predict", run, *arguments, cwd=folder, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done


# What a run leaves


@pytest.mark.parametrize("part", ["", "test_"])
def test_files_of_predictions_say_what_follows_from_temperature_and_rules(finished: Path, part: str) -> None:
    run = finished / "run"
    rows, kept, ours = (
        read_csv(run / f"{part}predictions.csv"),
        load_file(run / f"{part}predictions.safetensors"),
        told(run),
    )
    p = softmax(kept["logits"] / ours["temperature"])
    names = ["BAD", "GOOD"]
    assert np.allclose(p, [[float(row[f"p({name})"]) for name in names] for row in rows], atol=1e-6)
    best = kept["logits"].argmax(1)
    thresholds = np.array([ours["thresholds"][name] for name in names])
    assert thresholds[0] == 0.6
    decided = p.max(1) >= thresholds[best]
    assert 0 < decided.sum() < len(rows)
    for i, row in enumerate(rows):
        assert row["predicted"] == names[best[i]]
        assert row["decision"] == (names[best[i]] if decided[i] else "")
        held = [name for at, name in enumerate(names) if p[i, at] >= ours["sets_from"] or at == best[i]]
        assert sorted(json.loads(row["set"])) == held


def test_what_was_reached_is_told_of_rows_that_were_not_fitted_on(finished: Path) -> None:
    found = results(finished / "run")["decisions"]
    precision, floor, coverage = found["rules"]
    assert [one["rule"] for one in found["rules"]] == ["precision", "abstain_below", "coverage"]
    assert all(one["kept"] for one in found["rules"])
    assert (precision["class"], precision["target"]) == ("GOOD", 0.8)
    assert precision["promised"] >= 0.8
    assert coverage["between"][0] < 0.9 < coverage["between"][1]
    rows = read_csv(finished / "run" / "test_predictions.csv")
    good = [row["label"] == "GOOD" for row in rows if row["decision"] == "GOOD"]
    assert precision["test"]["precision"] == pytest.approx(np.mean(good))
    assert precision["test"]["decided"] == len(good)
    decided = [row["decision"] == row["label"] for row in rows if row["decision"]]
    for one in (floor["test"], found["test"]):
        assert one["share"] == pytest.approx(len(decided) / len(rows))
        assert one["accuracy"] == pytest.approx(np.mean(decided))
    held = [row["label"] in json.loads(row["set"]) for row in rows]
    assert coverage["test"]["coverage"] == pytest.approx(np.mean(held))
    assert precision["validation"]["rows"] == coverage["validation"]["rows"] == 500
    assert precision["validation"]["precision"] > 0.8


def test_calibration_is_told_with_its_diagram(finished: Path) -> None:
    found = results(finished / "run")["calibration"]
    assert found["temperature"] == told(finished / "run")["temperature"] != 1
    assert found["why_none"] is None
    validation = found["validation"]
    assert validation["after"]["log_loss"] < validation["before"]["log_loss"]
    kept = load_file(finished / "run" / "test_predictions.safetensors")
    p = softmax(kept["logits"] / found["temperature"])
    loss = -np.log(p[np.arange(300), kept["labels"]]).mean()
    assert found["test"]["after"]["log_loss"] == pytest.approx(loss)
    assert sum(found["test"]["after"]["reliability"]["count"]) == 300
    out = (finished / "stdout.txt").read_text(encoding="utf-8")
    assert f"calibrated    temperature {found['temperature']:.2f}: " in out
    assert "decides       GOOD from probability" in out
    report = (finished / "run" / "report.md").read_text(encoding="utf-8")
    assert "## Calibration" in report
    assert "sets of the classes from probability" in report


# What predict makes of it


def test_predict_decides_as_the_run_does_from_csv_jsonl_and_standard_input(finished: Path) -> None:
    expected = read_csv(finished / "run" / "test_predictions.csv")
    said = predict(finished, "--file", "test.csv", "--out", "out.csv")
    found = read_csv(finished / "out.csv")
    columns = ["predicted", "probability", "decision", "set", "p(BAD)", "p(GOOD)"]
    assert [*found[0]] == ["label", "review", *columns]
    for one, other in zip(found, expected, strict=True):
        assert [one[key] for key in ("predicted", "decision", "set")] == [
            other[key] for key in ("predicted", "decision", "set")
        ]
        assert float(one["p(GOOD)"]) == pytest.approx(float(other["p(GOOD)"]), abs=1e-4)
    decided = sum(bool(row["decision"]) for row in expected)
    right = sum(row["decision"] == row["label"] for row in expected)
    assert f"decided {decided} of 300 texts; the run's rules abstain from the others; sets of 1." in said.stderr
    assert f"decided {decided} of these rows, accuracy {right / decided:.4f} of the decisions" in said.stderr
    assert "sets hold the label in 0." in said.stderr
    predict(finished, "--file", "test.csv", "--out", "out.jsonl", "--top", "1")
    lines = [json.loads(line) for line in (finished / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["decision"] or "" for line in lines] == [row["decision"] for row in expected]
    texts = "".join(f"{row['text']}\n" for row in expected[:40])
    lines = [json.loads(line) for line in predict(finished, stdin=texts).stdout.splitlines()]
    assert [*lines[0]] == ["text", "label", "probability", "probabilities", "decision", "set"]
    assert [line["decision"] or "" for line in lines] == [row["decision"] for row in expected[:40]]
    assert {type(line["decision"]) for line in lines} == {str, type(None)}


def test_text_that_is_not_decided_is_shown_so(finished: Path) -> None:
    rows = read_csv(finished / "run" / "test_predictions.csv")
    abstained = next(row for row in rows if not row["decision"])
    decided = next(row for row in rows if row["decision"])
    first, second = predict(finished, "--text", abstained["text"], "--text", decided["text"]).stdout.splitlines()
    assert first.startswith("–  {")
    assert second.startswith(f"{decided['decision']}  {{{decided['decision']}")


def test_raw_is_what_the_model_itself_says(finished: Path) -> None:
    """Also what transformers' pipeline says; and its logits, divided by the temperature, are what predict says."""
    from transformers import pipeline

    text = read_csv(finished / "test.csv")[0]["review"]
    (raw,) = map(json.loads, predict(finished, "--raw", stdin=f"{text}\n").stdout.splitlines())
    (own,) = map(json.loads, predict(finished, stdin=f"{text}\n").stdout.splitlines())
    assert [*raw] == ["text", "label", "probability", "probabilities"]
    classify = pipeline("text-classification", model=str(finished / "run" / "model"))
    assert classify(text)[0]["score"] == pytest.approx(raw["probability"], abs=1e-4)
    logits = {one["label"]: one["score"] for one in classify(text, top_k=None, function_to_apply="none")}
    cooled = softmax(np.array([[logits["BAD"], logits["GOOD"]]]) / told(finished / "run")["temperature"])[0]
    assert own["probabilities"]["GOOD"] == pytest.approx(cooled[1], abs=1e-4)
    assert own["label"] == raw["label"]


def test_model_folder_decides_by_itself_and_a_spoiled_one_is_explained(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "run" / "model", tmp_path / "model")
    text = read_csv(finished / "test.csv")[0]["review"]
    assert predict(tmp_path, "--text", text, run="model").stdout == predict(finished, "--text", text).stdout
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["accel_cls"]["postprocessing"]["temperature"] = 0
    path.write_text(json.dumps(config), encoding="utf-8")
    done = command("python", "-m", "accel_cls.predict", "model", "--text", text, cwd=tmp_path)
    assert done.returncode == 2
    said = "model: in its config.json, accel_cls.postprocessing is not as a run writes it: temperature is not above 0;"
    assert said in done.stderr


@pytest.mark.parametrize(
    "spoiled", [{"temperature": "warm"}, {"thresholds": {"A": 0.5}}, {"sets_from": None}, {"temperature": True}]
)
def test_what_a_run_writes_is_read_and_nothing_else(spoiled: dict) -> None:
    names = ["A", "B"]
    for post in (PLAIN, Postprocessing((1.5,), None, 0.1), Postprocessing((2.0, 0.5), (0.3, 0.0))):
        assert Postprocessing.from_json(json.loads(json.dumps(post.as_json(names))), names) == post
    with pytest.raises(ValueError, match=next(iter(spoiled))):
        Postprocessing.from_json(spoiled, names)


# Going on


def test_run_that_was_interrupted_leaves_the_same_files(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "again")
    again, run = tmp_path / "again", finished / "run"
    interrupt(again / "run", metrics(run)[-1]["update"] // 2)
    done = train(again)
    assert done.returncode == 0, done.stderr
    for name in ("predictions.csv", "test_predictions.csv", "model/config.json"):
        assert (again / "run" / name).read_bytes() == (run / name).read_bytes(), name
    for key in ("calibration", "decisions"):
        assert results(again / "run")[key] == results(run)[key]


def test_finished_run_decides_otherwise_without_training(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "other")
    other, run = tmp_path / "other", tmp_path / "other" / "run"
    done = train(other, "decide.precision={GOOD: 0.84}", "~decide.abstain_below")
    assert done.returncode == 0, done.stderr
    assert "is to be judged anew (decide.precision.GOOD: 0.8 → 0.84; decide.abstain_below" in " ".join(
        done.stdout.split()
    )
    assert metrics(run) == metrics(finished / "run")
    assert weights_of(run / "model" / "model.safetensors") == weights_of(finished / "run/model/model.safetensors")
    assert told(run)["thresholds"]["GOOD"] > told(finished / "run")["thresholds"]["GOOD"]
    done = train(other, "~decide", "evaluate.calibrate=none")
    assert done.returncode == 0, done.stderr
    config = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["accel_cls"] == {"text": ["review"]}
    rows = read_csv(run / "predictions.csv")
    assert "decision" not in rows[0]
    p = softmax(load_file(run / "predictions.safetensors")["logits"])
    assert [float(row["p(GOOD)"]) for row in rows] == pytest.approx(p[:, 1], abs=1e-6)
    assert results(run)["calibration"]["why_none"] == "evaluate.calibrate: none"


def test_promise_that_cannot_be_given_is_left_out_and_told(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "other")
    done = train(tmp_path / "other", "~decide", "decide={precision: {GOOD: 0.98, BAD: 0.8}}")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "look at decide.precision: 0.98 of GOOD can't be promised and is left out" in said
    broken, kept = results(tmp_path / "other/run")["decisions"]["rules"]
    assert (broken["kept"], broken["threshold"], broken["test"]) == (False, None, None)
    assert broken["at_most"] < 0.98
    assert f"{broken['at_most']:.3f} is the most that" in said
    assert kept["kept"]
    assert told(tmp_path / "other/run")["thresholds"]["GOOD"] == 0
    done = train(tmp_path / "other", "~decide", "decide={accuracy: 0.85}")
    (rule,) = results(tmp_path / "other/run")["decisions"]["rules"]
    thresholds = told(tmp_path / "other/run")["thresholds"]
    assert thresholds["GOOD"] == thresholds["BAD"] == rule["threshold"] > 0.5
    assert rule["promised"] >= 0.85


# What is refused


@pytest.mark.parametrize(
    ("decide", "said"),
    [
        ("{precision: {FINE: 0.8}}", "decide.precision: found FINE; expected some of the classes: BAD, GOOD"),
        ("{precision: 0.999}", "validation rows; to promise 0.999 with a confidence of 95% takes 2,995 or more"),
        ("{accuracy: 0.999}", "decide.accuracy: there are 500 validation rows; to promise 0.999 with a confidence"),
        ("{coverage: 0.999}", "there are 500 validation rows; to promise 0.999 takes 999 or more"),
    ],
)
def test_what_no_model_could_keep_is_refused_before_training(finished: Path, decide: str, said: str) -> None:
    done = train(finished, "~decide", f"decide={decide}", "output=never")
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert not (finished / "never").exists()


def test_check_says_so_too(finished: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    status, out, _ = cli(capsys, "check", "recipe.yaml", "decide.coverage=0.999")
    assert status == 2
    assert "decide.coverage: there are 500 validation rows; to promise 0.999 takes 999 or more" in " ".join(
        out.split()
    )


# Several labels a text

EVALUATE = "{best: loss, metrics: [f1_macro]}"
SEVERAL = "{train: train.jsonl, validation: validation.jsonl, text: review, label: label, max_length: 32}"


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    for seed, name in enumerate(("train", "validation")):
        draw = random.Random(seed)
        lines = []
        for i in range(400):
            has = {label: draw.random() < 0.25 for label in ("taste", "speed")}
            phrases = [phrase for label, phrase in (("taste", "味道"), ("speed", "送餐")) if has[label]]
            labels = [label for label, there in has.items() if (there and draw.random() < 0.6) or draw.random() < 0.04]
            lines.append(json.dumps({"review": f"{'，'.join(phrases)}还行{seed}{i}", "label": labels}))
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    decide = "{precision: {taste: 0.4}, threshold: {speed: 0.3}}"
    write_recipe(folder, task="multi_label", data=SEVERAL, train=TRAIN, decide=decide, evaluate=EVALUATE)
    done = train(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_each_of_several_classes_has_its_threshold(several: Path) -> None:
    ours, rows = told(several / "run"), read_csv(several / "run" / "predictions.csv")
    assert ours["thresholds"]["speed"] == 0.3
    assert [*rows[0]] == ["row", "text", "label", "predicted", "decision", "p(speed)", "p(taste)"]
    for row in rows:
        p = {name: float(row[f"p({name})"]) for name in ("speed", "taste")}
        assert {*json.loads(row["decision"])} == {name for name in p if p[name] >= ours["thresholds"][name]}
        assert {*json.loads(row["predicted"])} == {name for name in p if p[name] >= 0.5}
    precision, threshold = results(several / "run")["decisions"]["rules"]
    assert precision["promised"] >= 0.4
    true, decided = (
        [[name in row[key] for name in ("speed", "taste")] for row in rows] for key in ("label", "decision")
    )
    macro = sk.f1_score(true, decided, average="macro")
    assert threshold["validation"]["f1_macro"] == pytest.approx(macro, abs=0.05)  # fold by fold others for taste
    out = predict(several, stdin="味道还行\n还行\n").stdout.splitlines()
    first, second = (json.loads(line)["decision"] for line in out)
    assert "taste" in first
    assert second == []


def test_thresholds_of_the_best_f1(several: Path) -> None:
    done = train(several, "~decide", "decide={threshold: f1}", "output=f1")
    assert done.returncode == 0, done.stderr
    (rule,) = results(several / "f1")["decisions"]["rules"]
    if rule["kept"]:
        assert rule["validation"]["f1_macro"] > rule["validation"]["f1_macro_at_0.5"]
        assert told(several / "f1")["thresholds"] == rule["thresholds"]
    else:
        assert "decide.threshold: f1 is left out" in " ".join(done.stdout.split())
