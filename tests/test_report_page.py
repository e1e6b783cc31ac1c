"""report.html: by real runs of each kind, read by a parser; what is in it, and what no data can make of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import GOOD, cli, train, write_recipe, write_reviews
from hostile_reviews import CLASSES, HOSTILE, write_hostile
from html_pages import Page
from run_results import read_csv

from accel_cls.data.examples import Examples
from accel_cls.data.texts import Texts
from accel_cls.errors import printable
from accel_cls.evaluation.answers import Answers
from accel_cls.reporting.facts import read_facts
from accel_cls.reporting.html.page import render_page
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.suspects import KeptSuspect

TRAIN = "{epochs: 2, batch_size: 16, micro_batch_tokens: 512, learning_rate: 1e-3, log_every: 2}"


def write_single(folder: Path) -> None:
    write_reviews(folder / "reviews.csv", 640)
    write_reviews(folder / "test.csv", 40, seed=1)
    data = "{train: reviews.csv, test: test.csv, text: review, label: label, labels: {0: BAD, 1: GOOD}}"
    # Labels of which every tenth is wrong: a temperature takes mistakes.
    lines = (folder / "reviews.csv").read_text(encoding="utf-8").splitlines()
    lines[1::10] = [f"{1 - int(line[0])}{line[1:]}" for line in lines[1::10]]
    (folder / "reviews.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rules = "{precision: {BAD: 0.5, GOOD: 0.91}, coverage: 0.8}"
    write_recipe(folder, data=data, train=TRAIN.replace("1e-3", "5e-3"), decide=rules)


def write_several(folder: Path) -> None:
    rows = [{"text": f"{GOOD[i % 8]}{i}", "label": [n for k, n in enumerate("abc") if i >> k & 1]} for i in range(96)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    write_recipe(folder, task="multi_label", data="{train: rows.jsonl, text: text, label: label}", train=TRAIN)


def write_pairs(folder: Path) -> None:
    rows = [f"{GOOD[i % 8]}{i},{GOOD[i % 7]},{'same' if i % 3 else 'other'}" for i in range(96)]
    (folder / "pairs.csv").write_text("\n".join(["first,second,label", *rows]) + "\n", encoding="utf-8")
    write_recipe(folder, data="{train: pairs.csv, text: [first, second], label: label}", train=TRAIN)


def write_numbers(folder: Path) -> None:
    rows = [f"{GOOD[i % 8]}{i},{i % 8 / 2}" for i in range(96)]
    (folder / "rows.csv").write_text("\n".join(["text,stars", *rows]) + "\n", encoding="utf-8")
    write_recipe(folder, task="regression", data="{train: rows.csv, text: text, label: stars}", train=TRAIN)


WRITERS = {
    "numbers": write_numbers,
    "single": write_single,
    "several": write_several,
    "pairs": write_pairs,
    "hostile": write_hostile,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each kind, by name."""
    found = {}
    for name, write in WRITERS.items():
        folder = tmp_path_factory.mktemp(name)
        write(folder)
        done = train(folder, "~evaluate.behaviour")
        assert done.returncode == 0, done.stderr
        found[name] = folder / "run"
    return found


@pytest.fixture(scope="module")
def pages(runs: dict[str, Path]) -> dict[str, Page]:
    return {name: Page((run / "report.html").read_text(encoding="utf-8")) for name, run in runs.items()}


@pytest.mark.parametrize("kind", WRITERS)
def test_page_is_sound_and_needs_nothing_else(kind: str, pages: dict[str, Page]) -> None:
    page = pages[kind]
    assert page.faults == []
    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert len(ids) == len({*ids})
    for one in page.elements:
        for name, value in one.attributes.items():
            assert not name.startswith("on"), one
            assert name not in ("src", "srcset", "action", "data", "formaction"), one
            if name == "href":
                assert value is not None
                assert value.removeprefix("#") in ids
            if name == "aria-labelledby":
                assert value in ids
    assert all(one.attributes.get("scope") in ("row", "col") for one in page.all("th"))
    assert {one.tag for one in page.elements} & {"link", "img", "iframe", "object", "base", "font"} == set()
    for svg in page.all("svg"):
        assert svg.attributes.get("aria-hidden") == "true" or svg.attributes.get("aria-label")


@pytest.mark.parametrize("kind", WRITERS)
def test_browser_is_told_to_run_its_two_scripts_and_no_other(kind: str, pages: dict[str, Page]) -> None:
    scripts = pages[kind].all("script")
    assert len(scripts) == 2
    (policy,) = [
        one.attributes["content"] for one in pages[kind].all("meta") if one.attributes.get("http-equiv") is not None
    ]
    assert policy is not None
    digests = {base64.b64encode(hashlib.sha256(one.text.encode()).digest()).decode() for one in scripts}
    assert {*re.findall(r"'sha256-([^']+)'", policy)} == digests
    assert policy.startswith("default-src 'none'")


def test_hostile_texts_and_names_are_shown_and_nothing_else(runs: dict[str, Path], pages: dict[str, Page]) -> None:
    page = pages["hostile"]
    html = (runs["hostile"] / "report.html").read_text(encoding="utf-8")
    assert not re.search("[\0-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069\ufeff]", html)
    shown = {one.text.rsplit(" ", 1)[0] for one in page.all("p", "text")}
    rows = [row for row in read_csv(runs["hostile"] / "predictions.csv") if row["label"] != row["predicted"]]
    assert len(rows) > len(HOSTILE) / 2
    # As line ends become "\n" in a page, too.
    wanted = {printable(row["text"].rsplit(" ", 1)[0]).replace("\r\n", "\n").replace("\\r\n", "\n") for row in rows}
    assert {text for text in wanted if len(text) < 300} <= {text.replace("\\r\n", "\n") for text in shown}
    assert {printable(name) for name in CLASSES} <= {one.text for one in page.all("bdi")}
    assert "49" not in {one.text for one in page.all("bdi")}
    assert page.all("title")[0].text == "<i>tiny</i> · report"
    results = json.loads((runs["hostile"] / "results.json").read_text(encoding="utf-8"))
    texts = {one.attributes["id"]: one.text for one in page.all("section")}
    changed = [one["changed"] for test in results["behaviour"]["tests"] for one in test["examples"]]
    assert any("<" in text for text in changed)
    for text in changed:
        if len(text) < 300 and "\r" not in text:
            assert printable(text) in texts["behaviour"]
    for one in results["slices"]["validation"]["single"]:
        assert printable(one["where"][0][1]) in texts["slices"]


def test_it_holds_the_scores_and_what_they_are_of(runs: dict[str, Path], pages: dict[str, Page]) -> None:
    results = json.loads((runs["single"] / "results.json").read_text(encoding="utf-8"))
    (big,) = pages["single"].all("p", "big")
    assert big.text == f"{results['test']['scores']['accuracy']:.4f}"
    (scores,) = [one for one in pages["single"].all("section") if one.attributes["id"] == "scores"]
    assert "On 40 test rows" in scores.text
    assert "On 128 validation rows" in scores.text
    for part in (results, results["test"]):
        for one in part["baselines"]:
            assert f"{one['scores']['f1']:.4f}" in scores.text
    assert results["test"]["verdict"].partition(";")[0][1:] in scores.text
    (only,) = pages["several"].all("p", "part") or pages["several"].all("span", "part")
    assert only.text == "validation"


def test_each_run_has_the_sections_that_it_has_facts_for(pages: dict[str, Page]) -> None:
    sections = {name: [one.attributes["id"] for one in page.all("section")] for name, page in pages.items()}
    assert sections["single"] == [
        "scores", "course", "confusion", "classes", "slices", "mistakes", "behaviour", "reliability", "decisions",
        "texts", "setting",
    ]  # fmt: skip
    usual = [name for name in sections["single"] if name != "decisions"]
    assert sections["pairs"] == sections["hostile"] == usual
    assert sections["numbers"] == [
        "scores", "course", "tables", "slices", "mistakes", "behaviour", "texts", "setting",
    ]  # fmt: skip
    assert sections["several"] == [name for name in usual if name != "confusion"]
    for name, page in pages.items():
        linked = [one.attributes["href"] for one in page.all("a")]
        assert linked == ["#scores", *(f"#{key}" for key in sections[name])]


def test_losses_that_measure_different_things_have_a_chart_each(pages: dict[str, Page]) -> None:
    """Numbers are learned in deviations, and judged in their own unit."""
    for name, page in pages.items():
        captions = [one.text for one in page.all("figcaption")]
        apart = [title for title in ("Training loss", "Validation loss") if title in captions]
        assert apart == (["Training loss", "Validation loss"] if name == "numbers" else []), captions


@pytest.mark.parametrize("kind", WRITERS)
def test_mistakes_are_those_of_the_predictions_the_surest_first(
    kind: str, runs: dict[str, Path], pages: dict[str, Page]
) -> None:
    wrong = [row for row in read_csv(runs[kind] / "predictions.csv") if row["label"] != row["predicted"]]
    shown = [one.text.split(" · ") for one in pages[kind].all("span", "row") if one.text.startswith("loss")]
    assert sorted(row for _, row in shown) == sorted(row["row"] for row in wrong)
    losses = [float(loss.removeprefix("loss ")) for loss, _ in shown]
    assert losses == sorted(losses, reverse=True)
    (section,) = [one for one in pages[kind].all("section") if one.attributes["id"] == "mistakes"]
    rows = len(read_csv(runs[kind] / "predictions.csv"))
    what = "that are answered worst" if kind == "numbers" else "are not answered as they are labelled"
    assert f"{len(wrong)} of {rows} validation rows {what}" in section.text


def test_mistakes_have_neighbours_among_the_training_texts(runs: dict[str, Path], pages: dict[str, Page]) -> None:
    kept = json.loads((runs["pairs"] / "neighbours.json").read_text(encoding="utf-8"))
    rows = {row["row"]: row for row in read_csv(runs["pairs"] / "predictions.csv")}
    assert {*kept} == {row for row, one in rows.items() if one["label"] != one["predicted"]}
    source = read_csv(runs["pairs"].parent / "pairs.csv")
    for near in kept.values():
        assert len(near) == 3
        for one in near:
            assert one["row"] not in rows
            truth = source[int(one["row"].rpartition(":")[2]) - 1]
            assert (one["text"], one["pair"], one["label"]) == (truth["first"], truth["second"], truth["label"])
        likeness = [one["likeness"] for one in near]
        assert likeness == sorted(likeness, reverse=True)
    assert len(pages["pairs"].all("ul", "near")) == len(kept)


def test_probabilities_are_those_of_predict(runs: dict[str, Path], pages: dict[str, Page]) -> None:
    """Those of predictions.csv, which knows the temperature that predict divides by."""
    results = json.loads((runs["single"] / "results.json").read_text(encoding="utf-8"))
    config = json.loads((runs["single"] / "model" / "config.json").read_text(encoding="utf-8"))
    temperature = config["accel_cls"]["postprocessing"]["temperature"]
    assert temperature == results["calibration"]["temperature"] != 1.0
    facts = read_facts(RunFolder(runs["single"]))
    rows = read_csv(runs["single"] / "predictions.csv")
    assert facts.answered.probabilities[:, 1] == pytest.approx([float(row["p(GOOD)"]) for row in rows], abs=1e-6)
    worst = max((row for row in rows if row["label"] != row["predicted"]), key=lambda row: float(row["probability"]))
    said = next(one.text for one in pages["single"].all("p", "said"))
    assert worst["row"] in said
    assert f"{worst['predicted']} {100 * float(worst['probability']):.1f}%" in said
    (section,) = [one for one in pages["single"].all("section") if one.attributes["id"] == "reliability"]
    for part in ("validation", "test"):
        for when in ("before", "after"):
            assert f"{results['calibration'][part][when]['log_loss']:.4f}" in section.text
    assert f"the temperature {temperature:.2f}" in section.text


def test_slices_behaviour_and_decisions_are_those_of_results(runs: dict[str, Path], pages: dict[str, Page]) -> None:
    results = json.loads((runs["single"] / "results.json").read_text(encoding="utf-8"))
    texts = {one.attributes["id"]: one.text for one in pages["single"].all("section")}
    for part in ("validation", "test"):
        for one in results["slices"][part]["single"]:
            assert f"{' '.join(one['where'][0])}{one['rows']}{one['score']:.4f}" in texts["slices"]
    for one in results["behaviour"]["tests"]:
        assert f"{one['name']}{100 * one['differ']:.1f}%" in texts["behaviour"]
        assert all(example["row"] in texts["behaviour"] for example in one["examples"])
    kept = [rule for rule in results["decisions"]["rules"] if rule["kept"]]
    assert 0 < len(kept) < len(results["decisions"]["rules"])
    for rule in kept:
        assert f"{rule['test'][rule['rule']]:.4f}" in texts["decisions"]
    assert "decide.precision: 0.91 of GOOD" in texts["decisions"]


def test_suspects_are_shown_where_somebody_has_looked(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs["hostile"].parent, tmp_path / "hostile")
    monkeypatch.chdir(tmp_path / "hostile")
    status, _, err = cli(capsys, "suspects", "run")
    assert status == 0, err
    html = Path("run/report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.faults == []
    assert len(page.all("script")) == 2
    assert not re.search("[\0-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069\ufeff]", html)
    found = read_csv(Path("run/suspects.csv"))
    (section,) = [one for one in page.all("section") if one.attributes["id"] == "suspects"]
    assert f"names {len(found)} rows" in section.text
    assert all(row["row"] in section.text for row in found[:20])
    assert "## Suspects" in Path("run/report.md").read_text(encoding="utf-8")
    Path("run/suspects.csv").write_text("row,why\na,b\n", encoding="utf-8")
    status, _, err = cli(capsys, "report", "run")
    assert status == 2
    assert "found the columns row, why, expected those that accel-cls suspects writes" in err


def test_report_makes_all_anew_from_the_folder_alone(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for kind, run in runs.items():
        copy = tmp_path / kind
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoints", "*.safetensors.index.json"))
        (copy / "model" / "model.safetensors").unlink()
        names = ("report.html", "report.md", "model/README.md")
        for name in names:
            (copy / name).unlink()
        status, out, err = cli(capsys, "report", str(copy))
        assert (status, err) == (0, "")
        assert out.count("wrote ") == 3
        for name in names:
            assert (copy / name).read_bytes() == (run / name).read_bytes(), (kind, name)


def test_report_of_what_is_no_finished_run_is_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    status, _, err = cli(capsys, "report", str(tmp_path))
    assert status == 2
    assert "found no run; expected the folder of a finished one" in err
    copy = tmp_path / "copy"
    shutil.copytree(runs["single"], copy)
    (copy / "predictions.safetensors").unlink()
    status, _, err = cli(capsys, "report", str(copy))
    assert status == 2
    assert "found no answers of a model to validation rows" in err
    (copy / "results.json").unlink()
    status, _, err = cli(capsys, "report", str(copy))
    assert status == 2
    assert "found a run that is not finished" in err


def test_facts_about_the_texts_are_kept(runs: dict[str, Path], pages: dict[str, Page]) -> None:
    texts = json.loads((runs["hostile"] / "results.json").read_text(encoding="utf-8"))["texts"]
    assert sum(texts["classes"]["training"]) + sum(texts["classes"]["validation"]) == len(HOSTILE) * 10
    assert texts["truncated"]["training"] > 0
    assert 0 < texts["tokens"]["mean"] <= texts["tokens"]["95%"] <= 32
    (section,) = [one for one in pages["hostile"].all("section") if one.attributes["id"] == "texts"]
    assert f"{texts['truncated']['training']:,}" in section.text


def test_page_of_many_rows_and_classes_is_less_than_a_megabyte(runs: dict[str, Path]) -> None:
    """12,000 rows, most of them wrong, of long Chinese texts; a hundred classes, each taken for each."""
    count, classes = 12_000, 100
    facts = read_facts(RunFolder(runs["single"]))
    names = [f"类别名称{i}" for i in range(classes)]
    draw = np.random.default_rng(0)
    confusion = draw.integers(1, 99, (classes, classes))
    texts = Texts.of({"text": ["味" * 2000] * count})
    labels = draw.integers(0, classes, count)
    examples = Examples(texts, labels, tuple(f"reviews.csv:{i + 1}" for i in range(count)))
    suspect = KeptSuspect("reviews.csv:1", ("味" * 2000,), names[0], names[1], "0.1", "0.9", ("model",), "道" * 99)
    conditions = [
        {"where": [["class", name]], "rows": 120, "score": 0.5, "interval": [0.4, 0.6], "difference": 0.1, "p": 0.5}
        for name in names
    ]
    parts = {"validation": facts.results["slices"]["validation"] | {"single": conditions}}
    changed = [
        test | {"examples": [one | {"text": "味" * 2000, "changed": "道" * 2000} for one in test["examples"]]}
        for test in facts.results["behaviour"]["tests"]
    ]
    near = [{"text": "道" * 200, "row": "reviews.csv:1", "label": names[0], "likeness": 0.5}] * 3
    large = replace(
        facts,
        validation=Answers(examples, draw.normal(size=(count, classes)).astype(np.float32)),
        neighbours=dict.fromkeys(examples.rows, near),
        suspects=(suspect,) * count,
        results=facts.results
        | {
            "classes": [one | {"name": name} for name in names for one in facts.results["classes"][:1]],
            "confusion": confusion.tolist(),
            "test": None,
            "texts": {},
            "slices": parts,
            "behaviour": facts.results["behaviour"] | {"tests": changed},
            "decisions": None,
        },
    )
    html = render_page(large)
    assert Page(html).faults == []
    assert 300_000 < len(html.encode()) < 1_000_000
    assert len(Page(html).all("td", "w1")) > 100
